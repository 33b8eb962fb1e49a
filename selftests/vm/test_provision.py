"""What `vagrant up` does to a VM, done to one of ours: provision.sh, and toxw beside it."""

from __future__ import annotations

import json

import pytest

from netfacts.run import Finished
from selftests.vm.image import ROOT
from selftests.vm.machine import VirtualMachine

FOLDER = "/opt/netfacts"
# For a VM that emulates and installs.
LONG_S = 180.0
# Docker's static bundle has these in a folder named docker. Debian's own programs are put there in its stead.
PROGRAMS = ("dockerd", "docker", "docker-proxy", "docker-init", "containerd", "containerd-shim-runc-v2", "ctr", "runc")


def provision(machine: VirtualMachine, *arguments: str) -> Finished:
    for name in ("provision.sh", "toxw"):
        machine.put((ROOT / name).read_text(), f"{FOLDER}/{name}")
    return machine.sudo("sh", f"{FOLDER}/provision.sh", *arguments, timeout_s=LONG_S)


def addresses(machine: VirtualMachine) -> set[str]:
    """The IPv6 addresses on the segment."""
    (link,) = json.loads(machine.ssh("ip", "-j", "-6", "address", "show", "eth1").out)
    return {f"{address['local']}/{address['prefixlen']}" for address in link["addr_info"] if "tentative" not in address}


@pytest.mark.parametrize(("role", "fixture"), [("engine", "vm"), ("client", "client_vm")])
def test_vm_of_these_packages_lacks_nothing_and_gets_its_address(
    request: pytest.FixtureRequest, role: str, fixture: str
) -> None:
    machine: VirtualMachine = request.getfixturevalue(fixture)
    address = "2001:db8:1::77/64"
    before = addresses(machine)
    try:
        for _ in ("at the first start", "and at every other"):
            done = provision(machine, role, address)

            assert (done.exit_status, done.out, done.err) == (0, "", "")
            assert addresses(machine) == before | {address}
    finally:
        machine.sudo("ip", "address", "del", address, "dev", "eth1")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["engine", "2001:db8:1::77/64", "/bundle.tgz"], "the distribution's docker.io is installed here"),
        (["client", "2001:db8:1::77/64", "/bundle.tgz"], "a client has no engine"),
        (["router", "2001:db8:1::77/64"], "engine or client (not router)"),
        (["engine"], "takes engine or client, the IPv6 address"),
    ],
    ids=["two-engines", "client", "role", "no-address"],
)
def test_what_can_not_be_is_refused(vm: VirtualMachine, arguments: list[str], said: str) -> None:
    before = addresses(vm)

    refused = provision(vm, *arguments)

    assert refused.exit_status == 4
    assert said in refused.err
    assert addresses(vm) == before


def test_bundle_becomes_the_engine_that_runs(own_vm: VirtualMachine) -> None:
    bundle = f"mkdir /opt/docker && cd /opt && cp $(which {' '.join(PROGRAMS)}) docker && tar -cf bundle.tgz docker"
    for argv in (["sh", "-c", bundle], ["dpkg", "--remove", "docker.io", "containerd", "runc"]):
        done = own_vm.sudo(*argv, timeout_s=LONG_S)
        assert done.exit_status == 0, done.err
    assert own_vm.sudo("sh", "-c", "command -v dockerd").out == ""

    for _ in ("at the first start", "and at every other"):
        done = provision(own_vm, "engine", f"{own_vm.ipv6}/64", "/opt/bundle.tgz")

        assert done.exit_status == 0, done.err
        engine = own_vm.sudo(
            "sh", "-c", "readlink /proc/$(cat /run/docker.pid)/exe && docker version -f '{{.Server.Version}}'"
        )
        assert engine.out.partition("+")[0] == "/usr/local/bin/dockerd\n20.10.24"
