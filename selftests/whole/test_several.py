"""`--target ssh://a,b,c`: machines of namespaces play two VMs with engines and one without; netfacts is on a fourth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from netfacts.engine import Engine, resolve
from netfacts.engine.installed import RUN_LABEL
from netfacts.engine.swarm import form_swarm
from netfacts.lab import Lab, Machine
from netfacts.lab.stamp import remove_cgroups, stamp
from netfacts.lab.wait import until
from netfacts.model.lab import SHAPES
from netfacts.observe.inventory import Inventory, take
from netfacts.topology import Host
from selftests.whole.conftest import ENGINE
from selftests.whole.near import PORT, Near, agents, serve_ssh, uploaded

_VMS = ("host", "host2", "client")


@dataclass
class Several:
    """VMs of somebody's; `near` is where netfacts runs."""

    lab: Lab
    engines: dict[str, Engine]
    swarming: bool = False

    @property
    def near(self) -> Near:
        return Near(self.lab["resolver"])

    @property
    def vms(self) -> list[Machine]:
        return [self.lab[name] for name in _VMS]

    def target(self, *names: str) -> str:
        return "ssh://" + ",".join(f"root@{self.lab[name].address}:{PORT}" for name in names or _VMS)

    def swarm(self) -> None:
        """Make the engines a swarm, as their user would."""
        if not self.swarming:
            form_swarm(self.engines["host"], [self.engines["host2"]])
            self.swarming = True

    def made_by_runs(self) -> list[str]:
        """What runs have made on the engines."""
        labelled = {"filters": {"label": RUN_LABEL}}
        found = []
        for engine in self.engines.values():
            api = engine.api
            found += [*api.containers(all=True, **labelled), *api.networks(**labelled), *api.images(**labelled)]
        return [one["Id"] for one in found] + self.services()

    def services(self) -> list[str]:
        """What services there are; the user has none."""
        return [one["ID"] for one in self.engines["host"].api.services()] if self.swarming else []

    def until_left(self) -> None:
        """Wait until nothing of a run is anywhere."""
        until(lambda: not self.made_by_runs(), what=f"{self.made_by_runs()} to go", timeout_s=40)
        for vm in self.vms:
            until(lambda vm=vm: not agents(vm) + uploaded(vm), what=f"agents on {vm.name} to go", timeout_s=30)

    def inventories(self) -> dict[str, Inventory]:
        return {name: take(engine) for name, engine in self.engines.items()}

    def changes(self, since: dict[str, Inventory]) -> list[str]:
        """What is different; but for the agent that looks, the VMs' sshd, and the cgroups of other labs."""
        foreign = ("nf-worker", "netfacts-", "sshd")
        return [
            f"{name} {one}"
            for name, engine in self.engines.items()
            for one in since[name].changes(take(engine))
            if engine.cgroup in one.thing or not any(word in one.thing for word in foreign)
        ]


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Several]:
    """Two hosts, each with a container of its user's."""
    lab = Lab(SHAPES["two-hosts"])
    cgroups = {name: stamp(f"several-{name}") for name in ("host", "host2")}
    try:
        vms = [lab[name] for name in _VMS]
        serve_ssh(vms, lab["resolver"], tmp_path_factory.mktemp("keys"), configs={PORT: ""})
        engines = {name: Engine(lab[name], resolve(ENGINE), cgroup=cgroup) for name, cgroup in cgroups.items()}
        for engine in engines.values():
            Host(engine, check="the user's").container("web", publish={"8080/tcp": 80})
        yield Several(lab, engines)
    finally:
        lab.close()
        for cgroup in cgroups.values():
            remove_cgroups(cgroup)


def test_hosts_that_are_no_swarm_are_made_none(several: Several) -> None:
    before = several.inventories()

    done = several.near.run(several.target(), "-k", "overlay.reach or publish.basic or macvlan.basic")

    assert done.exit_status == 0, done.out + done.err
    said = {line["fact"]: line for line in several.near.lines("verdict")}
    assert said["publish.basic"]["verdict"] == "conforms"
    assert said["macvlan.basic"]["verdict"] == "conforms"
    assert said["overlay.reach"]["verdict"] == "not_exercised"
    assert "docker swarm init" in said["overlay.reach"]["reason"]
    several.until_left()
    assert several.changes(before) == []


def test_hosts_that_are_a_swarm_have_their_overlays_judged(several: Several) -> None:
    several.swarm()
    before = several.inventories()

    done = several.near.run(
        several.target(), "-k", "overlay.reach or overlay.mtu or overlay.vxlan or swarm.dnsrr or publish.basic"
    )

    assert done.exit_status == 0, done.out + done.err
    said = {line["fact"]: line["verdict"] for line in several.near.lines("verdict")}
    assert said == dict.fromkeys(said, "conforms")
    assert len(said) == 5
    (host,) = several.near.lines("host")
    assert host["left"] == []
    (lab,) = [line for line in several.near.lines("lab") if line["shape"] == "two-hosts"]
    addresses = {one["name"]: one["ports"][0]["addresses"][0] for one in lab["machines"] if one["name"] in _VMS}
    assert addresses == {vm.name: vm.address for vm in several.vms}
    several.until_left()
    until(lambda: not several.changes(before), what=f"{several.changes(before)} to go", timeout_s=60)


def test_killed_visit_leaves_nothing_on_any_of_them(several: Several) -> None:
    several.swarm()
    before = several.inventories()
    pid = several.near.start(several.target(), "-k", "swarm.dnsrr")
    until(several.services, what="a service", timeout_s=120)

    several.near.machine.kill(pid)

    several.until_left()
    until(lambda: not several.changes(before), what=f"{several.changes(before)} to go", timeout_s=60)
