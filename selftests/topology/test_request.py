"""What the SDK is told of a container, from what a check asks for in Docker's words."""

from __future__ import annotations

from typing import Any

import docker
import pytest

from netfacts.topology.request import for_container, ipam

_ASKED: dict[str, Any] = {
    **dict.fromkeys(("name", "mode", "pid", "ipc", "address", "hostname", "restart"), ""),
    "image": "probe:1",
    "command": ["sleep", "1d"],
    "publish": {},
    "publish_all": False,
    "links": {},
    "hosts": {},
    "dns": [],
    "environment": {},
    "labels": {},
    "aliases": [],
    "cap_add": [],
    "cap_drop": [],
}


def _told(**asked: Any) -> dict[str, Any]:
    """What the SDK is told; with a version of its own it asks no engine for one."""
    return for_container(docker.APIClient(base_url="tcp://nobody.invalid:9", version="1.41"), _ASKED | asked)


def test_name_and_host_name_are_left_to_the_engine_where_none_is_asked_for() -> None:
    assert (_told()["name"], _told()["hostname"]) == (None, None)
    assert (_told(name="box-1")["name"], _told(hostname="heron")["hostname"]) == ("box-1", "heron")


def test_links_on_a_network_of_a_user_s_belong_to_the_connection() -> None:
    told = _told(mode="net-1", links={"web-1": "db"})

    assert told["networking_config"] == {"EndpointsConfig": {"net-1": {"Links": ["web-1:db"]}}}
    assert told["host_config"]["Links"] == ["web-1:db"]


@pytest.mark.parametrize("mode", ["", "bridge", "default"])
def test_links_on_the_default_bridge_are_the_container_s(mode: str) -> None:
    told = _told(mode=mode, links={"web-1": ""})

    assert told["networking_config"] is None
    assert told["host_config"]["Links"] == ["web-1"]


def test_range_and_gateway_belong_to_the_first_pool() -> None:
    told = ipam("198.51.100.0/24", "198.51.100.1", "2001:db8:7::/64", "198.51.100.64/28")

    assert told is not None
    first, second = told["Config"]
    assert (first["Subnet"], first["IPRange"], first["Gateway"]) == (
        "198.51.100.0/24",
        "198.51.100.64/28",
        "198.51.100.1",
    )
    assert (second["Subnet"], second["IPRange"]) == ("2001:db8:7::/64", None)


def test_further_subnets_are_pools_of_their_own() -> None:
    told = ipam("198.51.100.0/24", "198.51.100.1", "2001:db8:7::/64", further=["203.0.113.0/24"])

    assert told is not None
    subnets = [pool["Subnet"] for pool in told["Config"]]
    assert subnets == ["198.51.100.0/24", "203.0.113.0/24", "2001:db8:7::/64"]
    assert [pool["Gateway"] for pool in told["Config"]] == ["198.51.100.1", None, None]


def test_no_range_is_told_where_none_is_asked_for() -> None:
    told = ipam("198.51.100.0/24", "", "")

    assert told is not None
    assert told["Config"][0]["IPRange"] is None
    assert ipam("", "", "") is None
