"""The guard: on somebody's machine an agent reads, and changes nothing but containers and its own interfaces."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfacts.agent import wiring
from netfacts.agent.guard import Guard, OffLimits

_OWN = "nf0a1b2cp0"


_STAY = "print('there', flush=True); input()"
_OWN_ROOT = """
import os, subprocess, sys
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", sys.argv[1]], check=True)
os.chroot(sys.argv[1])
"""


@contextlib.contextmanager
def _unshared(code: str, *arguments: str) -> Iterator[int]:
    """Run Python in a mount namespace of its own; yields its PID when it says that it is there."""
    if os.geteuid() != 0:
        pytest.skip("a mount namespace needs root")
    argv = ["unshare", "--mount", sys.executable, "-c", code, *arguments]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        yield process.pid
        process.kill()


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A process with a mount namespace and a root of its own, as a container's first is."""
    with _unshared(_OWN_ROOT + _STAY, str(tmp_path_factory.mktemp("root"))) as pid:
        yield pid


@pytest.fixture(scope="module")
def service() -> Iterator[int]:
    """A process that has but a mount namespace of its own, as many services of a machine do."""
    with _unshared(_STAY) as pid:
        yield pid


@pytest.mark.parametrize("op", ["furnish", "spawn", "signal"])
def test_processes_are_left_alone(op: str) -> None:
    with pytest.raises(OffLimits):
        Guard().check(op, "", {"pid": 1, "signal": 9, "argv": ["true"]})


@pytest.mark.parametrize(
    "argv",
    [
        ["ip", "-j", "-d", "address", "show"],
        ["ip", "-br", "link"],
        ["ip", "-6", "-j", "route", "show", "table", "all"],
        ["iptables-save"],
        ["iptables", "-t", "nat", "-S"],
        ["iptables", "-nvL", "FORWARD"],
        ["iptables", "--version"],
        ["nft", "-j", "list", "ruleset"],
        ["conntrack", "-L"],
        ["docker", "create", "--label", "x=y", "image"],
        ["nsenter", "--net=/proc/7/root/var/run/docker/netns/1-abc0123def", "bridge", "-j", "fdb", "show"],
    ],
)
def test_reading_passes(argv: list[str]) -> None:
    Guard().check("exec", "", {"argv": argv})


@pytest.mark.parametrize(
    "argv",
    [
        ["ip", "link", "del", "docker0"],
        ["ip", "-batch", "-"],
        ["ip", "netns", "exec", "a", "true"],
        ["ip", "route", "flush", "table", "main"],
        ["iptables", "-t", "nat", "-F"],
        ["iptables", "-I", "DOCKER-USER", "-j", "DROP"],
        ["iptables", "-t", "nat", "-S", "-Z"],
        ["iptables", "-P", "FORWARD", "ACCEPT"],
        ["iptables-restore"],
        ["nft", "flush", "ruleset"],
        ["nft", "-f", "-"],
        ["conntrack", "-F"],
        ["conntrack", "-L", "-D"],
        ["sh", "-c", "true"],
        ["rm", "-rf", "/var/lib/docker"],
        ["sysctl", "-w", "net.ipv4.ip_forward=0"],
        ["ss", "-K"],
        ["bridge", "fdb", "flush", "dev", "docker0"],
        ["journalctl", "--vacuum-size=1"],
        ["nsenter", "--net=/proc/1/ns/net", "bridge", "-j", "fdb", "show"],
        ["nsenter", "--net=/proc/7/root/run/docker/netns/../../../x", "bridge", "-j", "fdb", "show"],
        ["nsenter", "--net=/proc/7/root/run/docker/netns/1-a", "bridge", "fdb", "flush"],
        ["nsenter", "--net=/proc/7/root/run/docker/netns/1-a", "sh"],
    ],
)
def test_what_may_change_the_host_does_not_pass(argv: list[str]) -> None:
    with pytest.raises(OffLimits, match=argv[0]):
        Guard().check("exec", "", {"argv": argv})
    # By another name for the same namespace: that of a container in host mode.
    with pytest.raises(OffLimits):
        Guard().check("exec", "/proc/self/ns/net", {"argv": argv})


@given(
    st.lists(st.sampled_from(["-S", "-F", "-A", "INPUT", "-t", "nat", "-D", "-X", "-Z", "-n", "-L", "-N", "-P", "-R"]))
)
def test_no_mixture_of_words_makes_iptables_write(words: list[str]) -> None:
    writes = {"-F", "-A", "-D", "-X", "-Z", "-N", "-P", "-R"} & set(words)
    try:
        Guard().check("exec", "", {"argv": ["iptables", *words]})
    except OffLimits:
        return
    assert not writes


@pytest.mark.parametrize(
    "argv",
    [["ip", "link", "set", "eth0", "down"], ["iptables", "-t", "nat", "-F"], ["ip", "-d", "link", "show", "eth0"]],
    ids=" ".join,
)
def test_network_of_a_container_may_be_changed(agent_in_own_network: int, argv: list[str]) -> None:
    Guard().check("exec", f"/proc/{agent_in_own_network}/ns/net", {"argv": argv})


@pytest.mark.parametrize(
    "argv",
    [
        ["sh", "-c", "true"],
        ["rm", "-rf", "/var/lib/docker"],
        ["sysctl", "-w", "vm.swappiness=0"],
        ["docker", "rm", "web"],
        ["journalctl", "--vacuum-size=1"],
        ["ip", "netns", "exec", "a", "true"],
        ["ip", "-n", "a", "link", "del", "eth0"],
        ["ip", "link", "set", "eth0", "netns", "1"],
        ["ip", "vrf", "exec", "a", "true"],
        ["ip", "-batch", "-"],
    ],
    ids=" ".join,
)
def test_what_may_change_the_host_does_not_pass_in_a_container_either(
    agent_in_own_network: int, argv: list[str]
) -> None:
    """Its network namespace is another one, and the files are the machine's all the same."""
    with pytest.raises(OffLimits, match="it would run"):
        Guard().check("exec", f"/proc/{agent_in_own_network}/ns/net", {"argv": argv})


def test_parameters_of_the_network_alone_are_set_in_a_container(agent_in_own_network: int) -> None:
    net = f"/proc/{agent_in_own_network}/ns/net"
    Guard().check("sysctl-set", net, {"values": {"net.ipv6.conf.eth0.disable_ipv6": "1"}})
    for name in ("vm.swappiness", "kernel.panic", "fs.file-max", "network"):
        with pytest.raises(OffLimits, match="would set"):
            Guard().check("sysctl-set", net, {"values": {"net.ipv6.conf.eth0.disable_ipv6": "1", name: "0"}})


def test_parameters_of_its_own_interfaces_alone_are_set() -> None:
    Guard().check("sysctl-set", "", {"values": {f"net.ipv6.conf.{_OWN}.accept_dad": "0"}})
    for name in ("net.ipv4.ip_forward", "net.ipv4.conf.all.rp_filter", f"net.ipv4.conf.{_OWN}.x/../../all.forwarding"):
        with pytest.raises(OffLimits, match="would set"):
            Guard().check("sysctl-set", "", {"values": {name: "0"}})


def test_files_of_containers_alone_are_written(container: int, service: int) -> None:
    Guard().check("write", "", {"path": f"/proc/{container}/root/etc/hosts"})
    for path in (
        "/etc/resolv.conf",
        f"/proc/{os.getpid()}/root/etc/hosts",
        f"/proc/{container}/root/../../../etc/hosts",
        f"/proc/{service}/root/etc/hosts",
        "/proc/self/root/etc/hosts",
        f"/proc/{container}/cwd/x",
    ):
        with pytest.raises(OffLimits, match="would write"):
            Guard().check("write", "", {"path": path})


# -- wires


def test_addresses_and_routes_of_own_interfaces_may_be_given() -> None:
    Guard().check("equip", "", {"interface": _OWN, "addresses": ["198.51.100.10/24"]})
    Guard().check("route", "", {"verb": "add", "prefix": "203.0.113.0/24", "via": "198.51.100.1", "interface": _OWN})


@pytest.mark.parametrize("interface", ["docker0", "eth0", "", "nf0a1b2cp0x", f"{_OWN}\nlink del docker0"])
@pytest.mark.parametrize("op", ["equip", "route"])
def test_addresses_and_routes_of_other_interfaces_are_left_alone(op: str, interface: str) -> None:
    with pytest.raises(OffLimits):
        Guard().check(op, "", {"interface": interface})


@pytest.fixture(scope="module")
def agent_in_own_network() -> Iterator[int]:
    """A process that is called as agents are, in a network namespace of its own."""
    if os.geteuid() != 0:
        pytest.skip("a network namespace needs root")
    name = "open('/proc/self/comm', 'w').write('nf-lan')"
    argv = ["unshare", "--net", sys.executable, "-c", f"{name}; print('there', flush=True); input()"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


def _cable(segment: int, pid: int, interface: str = "eth0") -> dict[str, object]:
    return {"segment": segment, "pid": pid, "interface": interface, "port": "port1", "index": 1001}


def test_cable_between_agents_may_be_laid(agent_in_own_network: int) -> None:
    Guard().check("plug", "", _cable(agent_in_own_network, agent_in_own_network))


def test_cable_that_begins_in_the_machine_itself_is_refused(
    agent_in_own_network: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring, "is_agent", lambda pid: True)
    with pytest.raises(OffLimits):
        Guard().check("plug", "", _cable(os.getpid(), agent_in_own_network))


@pytest.mark.parametrize("pid_of", [os.getppid, os.getpid])
def test_cable_to_who_is_no_agent_is_refused(agent_in_own_network: int, pid_of: Callable[[], int]) -> None:
    with pytest.raises(OffLimits):
        Guard().check("plug", "", _cable(agent_in_own_network, pid_of(), _OWN))


@pytest.mark.parametrize(("interface", "passes"), [(_OWN, True), ("eth0", False), ("docker0", False)])
def test_cable_to_the_machine_itself_bears_a_name_of_its_own(
    agent_in_own_network: int, monkeypatch: pytest.MonkeyPatch, interface: str, passes: bool
) -> None:
    # As on a VM, where the guarded agent's own process is one end.
    monkeypatch.setattr(wiring, "is_agent", lambda pid: True)
    cable = _cable(agent_in_own_network, os.getpid(), interface)
    if passes:
        Guard().check("plug", "", cable)
        return
    with pytest.raises(OffLimits):
        Guard().check("plug", "", cable)


@pytest.mark.parametrize("address", ["198.51.100.10/24 dev docker0\nlink del docker0", "a\tb", "", "$(id)"])
def test_what_is_no_word_reaches_no_tool(address: str) -> None:
    with pytest.raises(ValueError, match="no commands for ip"):
        asyncio.run(wiring.equip({"interface": _OWN, "addresses": [f"{address};"]}))
