"""What real engines' tools printed, in `goldens/`: Debian bookworm's 20.10.24 and forky's 28.5.2.

On the lab `two-hosts`, with a user-defined network 192.0.2.0/24 (bridge nf-golden), a container `web` on docker0 that
publishes 8080/tcp on 198.51.100.10 and 53/udp on port 5353, and a container on the network. `frames.json`: what passed
the host's eth0 while a container of an overlay network asked one on the other host, and the host host2 over IPv6.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

GOLDENS = Path(__file__).parent / "goldens"


@pytest.fixture(scope="session")
def golden() -> Callable[[str], str]:
    """Reads a golden by name."""
    return lambda name: (GOLDENS / name).read_text()
