"""What checks share on an engine: lent to whoever asks for the same, and seen to be as it was when it comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from netfacts.engine import Engine
from netfacts.lab import Lab
from netfacts.model.verdict import Outcome
from netfacts.probe import ask, listen, tcp
from netfacts.topology import Container, Host, Standing

Check = Callable[..., Host]


@pytest.fixture
def standing(engine: Engine) -> Iterator[Standing]:
    """What stands on the module's engine. Undo: nothing does any more."""
    standing = Standing(engine)
    yield standing
    standing.clear()


@pytest.fixture
def check(engine: Engine, standing: Standing) -> Check:
    """Gives a host for a further check."""

    def begin(*, shared: bool = True) -> Host:
        return Host(engine, check="some.fact", standing=standing, shared=shared)

    return begin


def _ids(engine: Engine) -> set[str]:
    return {found["Id"] for found in engine.api.containers(all=True)}


def test_check_gets_what_one_before_it_has_asked_for(check: Check) -> None:
    first, second = check(), check()
    made = first.container("box", network=first.network("net"))
    listen(made.vantage, 8080)
    first.close()

    network = second.network("net")
    lent = second.container("box", network=network)

    assert (lent.id, lent.name, lent.pid) == (made.id, made.name, made.pid)
    assert (network.name, second.made, first.made) == (made.mode, {}, {"networks": 1, "containers": 1})
    assert second.find("box") is lent
    # Whatever was open in it has gone with the first check: the port is free.
    listener = listen(lent.vantage, 8080)
    assert ask(tcp(lent.vantage, "127.0.0.1", listener.port))[0].outcome is Outcome.CONNECTED
    second.close()


@pytest.mark.parametrize(
    "other",
    [
        lambda host: host.container("other"),
        lambda host: host.container("box", environment={"A": "1"}),
        lambda host: host.container("box", mode="none"),
    ],
    ids=["role", "environment", "network"],
)
def test_other_requests_get_others(check: Check, other: Callable[[Host], Container]) -> None:
    first, second = check(), check()
    made = first.container("box")
    first.close()

    assert other(second).id != made.id

    second.close()


def test_check_that_shares_nothing_has_its_own(check: Check, engine: Engine) -> None:
    first, second = check(), check(shared=False)
    made = first.container("box")
    first.close()

    own = second.container("box")
    second.close()

    assert own.id != made.id
    assert _ids(engine) == {made.id}


@pytest.mark.parametrize(
    "options",
    [{"publish": {"8080/tcp": 18080}}, {"start": False}],
    ids=["host port", "not started"],
)
def test_what_others_could_not_have_meanwhile_goes_with_its_check(
    check: Check, engine: Engine, options: dict[str, object]
) -> None:
    host = check()
    host.container("box", **options)

    host.close()

    assert _ids(engine) == set()


def test_what_stands_on_a_network_of_one_check_goes_with_it(check: Check, engine: Engine) -> None:
    host = check()
    target = host.container("target", network=host.network("net", subnet="203.0.113.0/28"))
    host.container("joined", mode=f"container:{target.id}")

    host.close()

    assert _ids(engine) == set()
    assert [found["Name"] for found in engine.api.networks() if found["Name"].startswith("net-")] == []


@pytest.mark.parametrize(
    "change",
    [
        lambda host, box: host.connect(host.network("more", subnet="203.0.113.0/28"), box),
        lambda host, box: host.stop(box),
        lambda host, box: (host.stop(box), host.start(box)),
    ],
    ids=["connected", "stopped", "restarted"],
)
def test_check_that_changes_what_it_shares_is_told(
    check: Check, standing: Standing, change: Callable[[Host, Container], object]
) -> None:
    host = check()
    box = host.container("box")
    change(host, box)

    with pytest.raises(ExceptionGroup) as raised:
        host.close()

    said = "\n".join(map(str, raised.value.exceptions))
    assert f"{box.name} is shared by checks, and one has changed it" in said
    assert "take @pytest.mark.shared off" in said
    standing.clear()


def test_who_counts_what_is_on_a_bridge_is_alone_on_it(check: Check, lab: Lab) -> None:
    first, second = check(), check(shared=False)
    first.container("box")
    first.close()
    brif = "/sys/class/net/docker0/brif"
    assert len(lab["host"].names(brif) or ()) == 1

    second.require_alone()

    assert lab["host"].names(brif) == []
    second.close()


def test_removal_waits_for_its_own_ports_and_not_for_those_that_stand(check: Check, lab: Lab) -> None:
    first, second = check(), check(shared=False)
    first.container("box")
    first.close()
    second.container("own")

    second.close()

    assert len(lab["host"].names("/sys/class/net/docker0/brif") or ()) == 1
