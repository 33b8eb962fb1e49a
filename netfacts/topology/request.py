"""From what a check asks for, in Docker's words, to what the SDK takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import docker

from netfacts.engine.image import EXPOSED

# The engine's choice is the default bridge, too.
_WITH_LEGACY_LINKS = ("", "default", "bridge")


def ipam(
    subnet: str, gateway: str, subnet6: str, ip_range: str = "", *, further: Sequence[str] = ()
) -> docker.types.IPAMConfig | None:
    """Give a network's address pools, None to let the engine choose."""
    pools = [docker.types.IPAMPool(subnet=subnet, iprange=ip_range or None, gateway=gateway or None)] if subnet else []
    pools += [docker.types.IPAMPool(subnet=one) for one in (*further, subnet6) if one]
    return docker.types.IPAMConfig(pool_configs=pools) if pools else None


def for_container(api: docker.APIClient, request: dict[str, Any]) -> dict[str, Any]:
    """Give the arguments of `create_container` for a request, whose keys are those of `Host.container`."""
    host_config = api.create_host_config(
        pid_mode=request["pid"] or None,
        ipc_mode=request["ipc"] or None,
        port_bindings=request["publish"] or None,
        publish_all_ports=request["publish_all"],
        links=request["links"] or None,
        dns=request["dns"] or None,
        extra_hosts=request["hosts"] or None,
        restart_policy={"Name": request["restart"]} if request["restart"] else None,
        cap_add=request["cap_add"] or None,
        cap_drop=request["cap_drop"] or None,
    )
    if request["mode"]:
        # Not by way of the SDK, which refuses published ports beside `host`: that is for an engine to say.
        host_config["NetworkMode"] = request["mode"]
    networking = None
    # As Docker's client does: to a network of a user's, links belong to how the container is connected to it.
    links = request["links"] if request["mode"] not in _WITH_LEGACY_LINKS else {}
    if request["address"] or request["aliases"] or links:
        endpoint = api.create_endpoint_config(
            ipv4_address=request["address"] or None, aliases=request["aliases"] or None, links=links or None
        )
        # The stub takes a single endpoint for what is a mapping of them.
        networking = docker.types.NetworkingConfig({request["mode"] or "bridge": endpoint})  # type: ignore[arg-type]
    ports = sorted({_port(key) for key in request["publish"]} | {(port, "tcp") for port in EXPOSED})
    return {
        "image": request["image"],
        "command": request["command"],
        "name": request["name"] or None,
        "hostname": request["hostname"] or None,
        "ports": None if request["mode"].startswith("container:") else ports,
        "host_config": host_config,
        "networking_config": networking,
        "environment": request["environment"],
        "labels": request["labels"],
        # As PID 1, sleep has no handler for SIGTERM, and an engine that ends would wait for it.
        "stop_signal": "SIGKILL",
    }


def _port(key: str | int) -> tuple[int, str]:
    number, _, protocol = str(key).partition("/")
    return int(number), protocol or "tcp"
