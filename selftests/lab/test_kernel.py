"""What a kernel lacks is named with its remedy; what no lab can do without is a refusal."""

from __future__ import annotations

import platform

import pytest

from netfacts.lab import kernel
from netfacts.lab.kernel import FEATURES, missing_features, require_linux, require_root
from netfacts.model.errors import LabError, UsageError


def lacking(*names: str) -> kernel.Prober:
    return lambda name: name not in names


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
