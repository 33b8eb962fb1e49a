"""A store that a lab's hosts share: one answer for all, what it had is there again, and no word where it is cut off."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from netfacts.engine.program import ETCD, Unpacked, obstacle, ready, start
from netfacts.fabric import Store
from netfacts.lab import Lab
from netfacts.model.errors import LabError
from netfacts.model.lab import SHAPES

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="not root: labs are made of namespaces")

_WORDS = 'two  words, "quoted" \\ – and\na second line'


@pytest.fixture(scope="module")
def etcd() -> Unpacked:
    if remedy := obstacle(ETCD):
        pytest.skip(f"etcd can't be had: {remedy}")
    return ready(ETCD)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    built = Lab(SHAPES["fabric"])
    yield built
    built.close()


@pytest.fixture
def store(lab: Lab, etcd: Unpacked) -> Iterator[Store]:
    built = Store(lab["store"], etcd)
    yield built
    built.close()


@pytest.fixture
def store_v2(store: Store) -> Store:
    if not store.has_version_2:
        pytest.skip("etcd 3.6 or newer")
    return store


def test_all_hosts_read_what_was_put(store: Store, lab: Lab) -> None:
    store.put("net/one", _WORDS)

    found = {name: store.get(lab[name], "net/one") for name in ("host", "host2", "host3", "store")}

    assert found == dict.fromkeys(found, _WORDS)
    assert store.get(lab["host"], "net/two") is None
    assert store.endpoint == "http://198.51.100.79:2379"


def test_keys_are_those_that_begin_so(store: Store) -> None:
    pairs = {"net/b": "-2", "net/a": "", 'net/"c d"': "x=y", "netz": "no"}
    for key, value in pairs.items():
        store.put(key, value)

    assert store.keys("net/") == {key: value for key, value in pairs.items() if key != "netz"}
    assert store.keys("other") == {}


def test_key_is_created_once(store: Store, lab: Lab) -> None:
    assert store.create(lab["host"], '10.0.0.0/24 of "a"', _WORDS)
    assert not store.create(lab["host3"], '10.0.0.0/24 of "a"', "another")

    assert store.keys("") == {'10.0.0.0/24 of "a"': _WORDS}


def test_of_all_who_create_a_key_at_the_same_time_one_succeeds(store: Store, lab: Lab) -> None:
    hosts = ["host", "host2", "host3"] * 2
    with ThreadPoolExecutor(len(hosts)) as pool:
        won = list(pool.map(lambda one: store.create(lab[one[1]], "subnet", f"{one[0]}"), enumerate(hosts)))

    assert won.count(True) == 1
    assert store.get(lab["host"], "subnet") == str(won.index(True))


def test_keys_of_version_2_are_others(store_v2: Store) -> None:
    store_v2.put("docker/network", "3")
    store_v2._etcdctl(store_v2.machine, "mk", "/docker/network/v1.0/one", "2", version=2)

    assert store_v2.keys_v2("/docker") == ["/docker/network/", "/docker/network/v1.0/", "/docker/network/v1.0/one"]
    assert store_v2.keys("/docker") == {}
    with pytest.raises(LabError, match="could not ask the store") as caught:
        store_v2.keys_v2("/nowhere")
    assert "Key not found (/nowhere)" in caught.value.returned


def test_keys_of_version_2_are_there_again_when_it_is_back(store_v2: Store) -> None:
    store_v2._etcdctl(store_v2.machine, "mk", "/kept", "2", version=2)

    store_v2.stop()
    store_v2.start()

    assert store_v2.keys_v2("/") == ["/kept"]


def test_store_that_was_stopped_says_nothing_and_has_its_keys_when_it_is_back(store: Store, lab: Lab) -> None:
    store.put("kept", "3")

    store.stop()
    with pytest.raises(LabError, match="could not ask the store from host") as caught:
        store.create(lab["host"], "kept", "other")
    store.start()

    assert "context deadline exceeded" in caught.value.returned
    assert store.get(lab["host"], "kept") == "3"


def test_host_that_is_cut_off_is_told_so_and_others_are_not(store: Store, lab: Lab) -> None:
    store.put("key", "value")
    lab["router"].sysctl(**{"net.ipv4.ip_forward": "0"})
    try:
        with pytest.raises(LabError, match="could not ask the store from host3"):
            store.get(lab["host3"], "key")
        assert store.get(lab["host"], "key") == "value"
    finally:
        lab["router"].sysctl(**{"net.ipv4.ip_forward": "1"})


def test_next_store_of_a_machine_has_nothing_of_the_one_before(lab: Lab, etcd: Unpacked) -> None:
    first = Store(lab["store"], etcd)
    first.put("key", "value")
    first.close()

    second = Store(lab["store"], etcd)
    found = second.keys("")
    second.close()

    assert found == {}
    assert not [name for name in lab["store"].names("/run/netfacts") or () if name.startswith("store-")]


def test_store_that_can_not_listen_is_an_error_with_the_end_of_its_log(store: Store, etcd: Unpacked) -> None:
    with pytest.raises(LabError, match="etcd ended with status 1") as caught:
        Store(store.machine, etcd)

    assert caught.value.where == f"store, etcd-server {etcd.version}"
    assert "address already in use" in caught.value.returned


def test_store_that_was_stopped_can_be_closed(lab: Lab, etcd: Unpacked) -> None:
    built = Store(lab["store"], etcd)
    built.stop()

    built.close()

    assert not lab["store"].exists(built.log)


def test_program_that_is_not_in_the_root_is_not_taken_from_the_machine(lab: Lab, etcd: Unpacked) -> None:
    with pytest.raises(LabError, match="could not start busybox") as caught:
        start(lab["host"], etcd, ["busybox", "sleep", "1000"], log="/run/netfacts/busybox.log")

    assert lab["host"].execute(["busybox", "true"]).exit_status == 0
    assert "No such file or directory" in caught.value.returned
