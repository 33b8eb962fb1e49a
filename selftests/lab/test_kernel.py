"""What a kernel lacks is named with its remedy; what no lab can do without is a refusal."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from netfacts.lab import kernel, remote, wire
from netfacts.lab.agent import Agent
from netfacts.lab.kernel import (
    FEATURES,
    has,
    has_already,
    missing_features,
    neighbours,
    prober_of,
    require_linux,
    require_root,
)
from netfacts.lab.remote import RemoteSegment, Vm
from netfacts.lab.site import Site
from netfacts.lab.wire import BridgeError
from netfacts.model.errors import LabError, UsageError
from netfacts.run import Finished

RELEASE = "6.1.0-18-amd64"
BUILT_IN = f"/lib/modules/{RELEASE}/modules.builtin"


def lacking(*names: str) -> kernel.Prober:
    return lambda name: name not in names


class Wired:
    """A site's scratch segment, of a kernel that makes all links but some."""

    def __init__(self, site: Far) -> None:
        self._site = site

    def supports(self, kind: str) -> bool:
        self._site.tried.append(kind)
        return kind not in self._site.lacks

    def close(self) -> None:
        self._site.ended += 1


class Far:
    """A site with these files, and nothing that may be tried but links."""

    def __init__(self, *, files: Mapping[str, str] | None = None, lacks: tuple[str, ...] = ()) -> None:
        self.files = {"/proc/sys/kernel/osrelease": f"{RELEASE}\n", "/proc/filesystems": "nodev\toverlay\n"}
        self.files |= files or {}
        self.lacks = lacks
        self.tried: list[str] = []
        self.made = self.ended = 0

    def inode(self, agent: Agent, path: str) -> int:
        return int(path in self.files)

    def text(self, agent: Agent, path: str) -> str | None:
        return self.files.get(path)

    def segment(self, name: str) -> Wired:
        if "bridge" in self.lacks:
            raise BridgeError("could not add link", returned="Operation not supported")
        self.made += 1
        return Wired(self)

    def missing(self) -> set[str]:
        with prober_of(cast("Site", self), cast("Agent", None)) as probe:
            return set(missing_features(probe, where="vm1"))


def test_kernel_that_has_everything_lacks_nothing() -> None:
    assert missing_features(lacking()) == {}


def test_every_feature_is_asked_for_once() -> None:
    asked: list[str] = []

    def has(name: str) -> bool:
        asked.append(name)
        return True

    missing_features(has)

    assert asked == [feature.name for feature in FEATURES]


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("br_netfilter", "modprobe br_netfilter (it is part of linux-modules-extra, or a kernel built with it)"),
        ("vxlan", "modprobe vxlan (it is part of linux-modules-extra, or a kernel built with it)"),
        ("ipv6", "boot without ipv6.disable=1"),
    ],
)
def test_feature_that_only_some_facts_need_is_named_with_its_remedy(name: str, remedy: str) -> None:
    assert missing_features(lacking(name)) == {name: remedy}


@pytest.mark.parametrize("name", ["bridge", "veth", "overlay"])
def test_kernel_without_what_every_lab_needs_is_refused_by_name(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        missing_features(lacking(name))

    assert caught.value.exit_code == 4
    assert caught.value.attempted == f"this kernel lacks what every lab needs: {name}"
    assert caught.value.where == platform.release()
    assert f"modprobe {name}" in caught.value.remedy


def test_kernel_without_bridge_and_veth_is_refused_with_both() -> None:
    with pytest.raises(UsageError) as caught:
        missing_features(lacking("veth", "bridge", "ipv6"))

    assert str(caught.value).startswith("this kernel lacks what every lab needs: bridge, veth (on ")
    assert "modprobe bridge" in caught.value.remedy
    assert "modprobe veth" in caught.value.remedy
    assert "ipv6" not in str(caught.value)


def test_vital_features_are_those_without_which_there_is_no_lab() -> None:
    assert {feature.name for feature in FEATURES if feature.vital} == {"bridge", "veth", "overlay"}
    assert all(feature.remedy for feature in FEATURES)


# -- on a visit


def test_kernel_of_a_vm_is_asked_in_one_segment_that_is_made_when_it_is_needed() -> None:
    far = Far()

    with prober_of(cast("Site", far), cast("Agent", None)) as probe:
        probe("ipv6")
        made = [far.made]
        missing_features(probe)
        made.append(far.made)
        ended = far.ended

    assert made == [0, 1]
    assert (ended, far.ended) == (0, 1)


def test_of_a_vm_no_more_is_tried_than_links_that_change_nothing() -> None:
    """8021q filters VLAN 0 on every interface, dummy and ipip add one: they are looked for and never asked for."""
    far = Far()

    assert far.missing() == {"br_netfilter", "ipv6", "ip_vs", "esp", "vlan", "dummy", "ipip", "tun"}
    assert far.tried == ["bridge", "veth", "vxlan", "ipvlan"]


def test_features_of_a_vm_are_known_by_what_the_kernel_shows() -> None:
    signs = ("/proc/sys/net/bridge", "/proc/sys/net/ipv6", "/proc/net/ip_vs", "/proc/net/vlan", "/dev/net/tun")
    modules = "".join(f"{name} 16384 0 - Live 0x0\n" for name in ("dummy", "esp4", "ipip"))
    far = Far(files=dict.fromkeys(signs, "") | {"/proc/modules": modules}, lacks=("vxlan",))

    assert far.missing() == {"vxlan"}


def test_vm_without_bridges_is_refused_for_these() -> None:
    """There the scratch segment can't be made, in which the other links would be tried."""
    with pytest.raises(UsageError) as caught:
        Far(lacks=("bridge",)).missing()

    assert str(caught.value).startswith("this kernel lacks what every lab needs: bridge (on vm1)")
    assert caught.value.remedy.startswith("modprobe bridge (")


def test_vm_that_is_lost_meanwhile_is_not_taken_for_one_without_bridges(monkeypatch: pytest.MonkeyPatch) -> None:
    far = Far()

    def lost(name: str) -> Wired:
        raise LabError("the agent has gone")

    monkeypatch.setattr(far, "segment", lost)

    with pytest.raises(LabError, match="the agent has gone"):
        far.missing()


class Refusing:
    """An agent on a VM whose `ip` makes no links of some kinds, or which is lost when it is asked to."""

    def __init__(self, name: str, *, site: Any) -> None:
        self._site = site
        self.pid = 7

    def call(self, op: str, *, argv: list[str]) -> dict[str, Any]:
        if self._site == "lost":
            raise LabError("the agent has gone")
        refused = argv[-2:] == ["type", self._site]
        return {"exit": 2 if refused else 0, "out": "", "err": "Error: Unknown device type.\n" if refused else ""}

    def close(self) -> None:
        """Nothing."""


def test_segment_on_a_vm_tells_a_kernel_without_bridges_from_a_lost_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "Agent", Refusing)

    with pytest.raises(BridgeError) as caught:
        RemoteSegment(cast("Vm", "bridge"), "scratch")
    assert caught.value.returned == "Error: Unknown device type."

    with pytest.raises(LabError, match="the agent has gone") as lost:
        RemoteSegment(cast("Vm", "lost"), "scratch")
    assert not isinstance(lost.value, BridgeError)


def test_segment_on_a_vm_tells_an_unknown_kind_from_a_lost_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "Agent", Refusing)
    segment = RemoteSegment(cast("Vm", "veth"), "scratch")

    assert segment.supports("bridge")
    assert not segment.supports("veth")
    segment._agent._site = "lost"  # type: ignore[attr-defined]
    with pytest.raises(LabError, match="the agent has gone"):
        segment.supports("bridge")


def test_this_kernel_without_bridges_is_refused_for_these(monkeypatch: pytest.MonkeyPatch) -> None:
    do = wire.Netlink.do

    def do_without(netlink: wire.Netlink, noun: str, verb: str, **args: Any) -> None:
        if args.get("kind") == "bridge":
            raise LabError("could not add link", returned="Operation not supported")
        do(netlink, noun, verb, **args)

    monkeypatch.setattr(wire.Netlink, "do", do_without)

    with pytest.raises(UsageError, match=r"^this kernel lacks what every lab needs: bridge \(on ") as caught:
        missing_features(lambda name: name not in ("bridge", "veth", "vxlan") or has(name))
    assert caught.value.remedy.startswith("modprobe bridge (")


@pytest.mark.parametrize("name", ["br_netfilter", "ip_vs", "vlan", "esp", "dummy"])
def test_visit_to_this_machine_loads_nothing_to_see_whether_it_is_there(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tried(*_: object, **__: object) -> bool:
        raise AssertionError(f"{name} was tried")

    for trial in ("run", "Segment"):
        monkeypatch.setattr(kernel, trial, tried)

    assert has_already(name) in (True, False)


@pytest.mark.parametrize("sign", ["br_netfilter", "ip_vs", "vlan", "ipv6"])
def test_visit_to_this_machine_sees_what_the_kernel_shows(
    sign: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(kernel._SIGNS, sign, str(tmp_path / "sign"))

    before = has_already(sign)
    (tmp_path / "sign").mkdir()

    assert (before, has_already(sign)) == (False, True)


@pytest.mark.parametrize(
    ("files", "is_there"),
    [
        ({}, False),
        ({"/proc/modules": "esp4_offload 16384 0 - Live 0x0\nesp6 28672 0 - Live 0x0\n"}, False),
        ({"/proc/modules": "xfrm_user 1 0 - Live 0x0\nesp4 28672 4 - Live 0x0\n"}, True),
        ({BUILT_IN: "kernel/net/ipv4/esp4_offload.ko\nkernel/net/ipv6/esp6.ko\n"}, False),
        ({BUILT_IN: "kernel/net/ipv4/ah4.ko\nkernel/net/ipv4/esp4.ko\n"}, True),
        ({"/lib/modules/5.10.0/modules.builtin": "kernel/net/ipv4/esp4.ko\n"}, False),
    ],
)
def test_esp_is_read_alike_on_a_vm_and_on_this_machine(
    files: Mapping[str, str], is_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = Far(files=files)
    monkeypatch.setattr(kernel, "_text", far.files.get)

    assert ("esp" not in far.missing()) is is_there
    assert has_already("esp") is is_there


@pytest.mark.parametrize(
    ("files", "is_there"),
    [
        ({"/proc/modules": "dummy_stm 16384 0 - Live 0x0\n"}, False),
        ({"/proc/modules": "dummy 16384 0 - Live 0x0\n"}, True),
        ({BUILT_IN: "kernel/net/dummy_hcd.ko\nkernel/drivers/net/not-dummy.ko\n"}, False),
        ({BUILT_IN: "kernel/drivers/net/dummy.ko\n"}, True),
    ],
)
def test_dummy_is_read_alike_on_a_vm_and_on_this_machine(
    files: Mapping[str, str], is_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = Far(files=files)
    monkeypatch.setattr(kernel, "_text", far.files.get)

    assert ("dummy" not in far.missing()) is is_there
    assert has_already("dummy") is is_there


def test_dummy_is_loaded_without_an_interface_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []

    def start(argv: list[str], *, timeout_s: float) -> Finished:
        started.append(argv)
        return Finished(tuple(argv), 0, "", "")

    monkeypatch.setattr(kernel, "run", start)
    monkeypatch.setattr("shutil.which", lambda name: f"/sbin/{name}")
    monkeypatch.setattr(wire.Segment, "supports", lambda _, kind: started == [["modprobe", kind, "numdummies=0"]])

    assert has("dummy")


def test_root_is_required_with_a_way_to_become_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    with pytest.raises(UsageError) as caught:
        require_root()

    assert caught.value.returned == "this is user 1000"
    assert caught.value.remedy.startswith("sudo ")


def test_root_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)

    require_root()


@pytest.mark.parametrize("release", ["5.12.0", "5.15.0-91-generic", "6.1.0-18-amd64", "10.0"])
def test_linux_that_is_new_enough_is_not_refused(monkeypatch: pytest.MonkeyPatch, release: str) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.release", lambda: release)

    require_linux()


@pytest.mark.parametrize(
    ("system", "release", "said"),
    [("Darwin", "23.1.0", "Darwin"), ("Linux", "5.10.0-28-amd64", "5.10.0-28-amd64"), ("Linux", "4.19.0", "4.19.0")],
)
def test_system_that_can_not_make_labs_is_refused(
    monkeypatch: pytest.MonkeyPatch, system: str, release: str, said: str
) -> None:
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("platform.release", lambda: release)

    with pytest.raises(UsageError) as caught:
        require_linux()

    assert said in caught.value.returned


def test_kernel_whose_version_can_not_be_read_is_an_error_that_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.release", lambda: "mainline")

    with pytest.raises(LabError) as caught:
        require_linux()

    assert caught.value.returned == "mainline"


# -- neighbour tables


def _limits(folder: Path, *values: str) -> list[Path]:
    paths = [folder / "gc_thresh2", folder / "gc_thresh3"]
    for path, value in zip(paths, values, strict=True):
        path.write_text(f"{value}\n")
    return paths


def test_room_for_neighbours_is_made_and_given_back(tmp_path: Path) -> None:
    paths = _limits(tmp_path, "512", "1024")

    with neighbours(2000, folder=tmp_path):
        assert [path.read_text() for path in paths] == ["2000", "2000"]

    assert [path.read_text() for path in paths] == ["512", "1024"]


def test_room_for_neighbours_that_is_there_is_left_alone(tmp_path: Path) -> None:
    paths = _limits(tmp_path, "4096", "8192")

    with neighbours(2000, folder=tmp_path):
        assert [path.read_text() for path in paths] == ["4096\n", "8192\n"]

    assert [path.read_text() for path in paths] == ["4096\n", "8192\n"]


def test_room_that_another_has_made_meanwhile_stays(tmp_path: Path) -> None:
    _, most = _limits(tmp_path, "4096", "1024")

    with neighbours(2000, folder=tmp_path):
        most.write_text("9000")

    assert most.read_text() == "9000"


def test_limit_that_can_not_be_raised_is_refused_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught, neighbours(2000, folder=tmp_path):
        pass

    assert "gc_thresh3=2000" in caught.value.remedy
