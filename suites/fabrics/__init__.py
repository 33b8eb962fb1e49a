"""Fabrics: Flannel's and Calico's ways to lead containers' packets from host to host."""

from __future__ import annotations

import pytest

FLANNEL = ("host-gw", "vxlan", "udp")

each_backend = pytest.mark.parametrize(
    # For all checks of a module at once: between backends engines are started again.
    "backend",
    FLANNEL,
    ids=[f"backend={name}" for name in FLANNEL],
    scope="module",
)
"""For checks of what is said of all of Flannel's backends that are tried."""
