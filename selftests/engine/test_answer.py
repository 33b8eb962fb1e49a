"""What an engine, or whatever stands before it, answers: something to stand on, or an engine error that says what."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import docker
import docker.errors
import pytest
import requests
import requests.adapters
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netfacts.engine import Engine
from netfacts.engine.answer import answer_of
from netfacts.engine.swarm import await_swarm, form_swarm
from netfacts.model.errors import EngineError
from netfacts.topology import Container, Host, Network, Service, refusal
from netfacts.topology.refusal import Refused
from netfacts.topology.removal import remove

Said = tuple[int, bytes]
_URL = "http://engine.invalid:2375"


class Proxy(requests.adapters.BaseAdapter):
    """Stands where the engine's socket would, and answers whatever a test likes."""

    def __init__(self, answer: Callable[[str, str], Said]) -> None:
        super().__init__()
        self._answer = answer

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        """Answer."""
        response = requests.Response()
        path = (request.url or "").removeprefix(_URL).partition("?")[0].partition("/v1.41")[2]
        response.status_code, response._content = self._answer(request.method or "", path)
        response.url, response.request = request.url or "", request
        return response

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class _Machine:
    name: str = "host"
    address: str = "198.51.100.10"
    released: list[int] = field(default_factory=list)

    def inode(self, path: str) -> int:
        """Say that there are no files."""
        return 0

    def text(self, path: str) -> str | None:
        """Say that there are no files."""

    def release(self, inode: int) -> None:
        """Note it."""
        self.released.append(inode)


@dataclass
class _Engine:
    api: docker.APIClient
    machine: _Machine = field(default_factory=_Machine)
    image: str = "image"
    private: bool = True
    labels: dict[str, str] = field(default_factory=dict)

    def log_tail(self, lines: int = 15) -> str:
        """There is none."""
        return ""


def engine_that(answer: Callable[[str, str], Said]) -> Engine:
    """An engine that answers so, whatever it is asked."""
    api = docker.APIClient(base_url=_URL, version="1.41")
    api.trust_env = False
    api.mount(_URL, Proxy(answer))
    return cast("Engine", _Engine(api))


def saying(value: Any, status: int = 200) -> Engine:
    """An engine that always says this."""
    return engine_that(lambda *_: (status, value if isinstance(value, bytes) else json.dumps(value).encode()))


CONTAINER: dict[str, Any] = {
    "Id": "c" * 64,
    "Name": "/box",
    "State": {"Status": "running", "Pid": 4711, "ExitCode": 0},
    "HostConfig": {"NetworkMode": "bridge"},
    "NetworkSettings": {
        "Networks": {"bridge": {"NetworkID": "n" * 25, "IPAddress": "172.17.0.2", "GlobalIPv6Address": ""}},
        "Ports": {"8080/tcp": [{"HostIp": "0.0.0.0", "HostPort": "32768"}], "53/udp": None},
    },
}
NETWORK: dict[str, Any] = {
    "Id": "n" * 64,
    "Name": "net",
    "Driver": "bridge",
    "IPAM": {"Config": [{"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}]},
    "Options": {"com.docker.network.bridge.name": "br0"},
}


def of_container(engine: Engine) -> list[Any]:
    """All that a check may ask a container for."""
    box = Container(engine, "c" * 64, "box")
    box.refresh()
    found: list[Any] = [box.pid, box.state, box.networks, box.ports, box.address_on("bridge")]
    for ask in (lambda: box.address, lambda: box.address6, lambda: box.host_port(8080)):
        with contextlib.suppress(EngineError):
            found.append(ask())
    return found


def of_network(engine: Engine) -> list[Any]:
    """All that a check may ask a network for."""
    net = Network(engine, "n" * 64, "net")
    return [net.driver, net.subnet, net.subnets, net.gateway, net.bridge]


def test_whole_answers_are_taken_as_they_are() -> None:
    assert of_container(saying(CONTAINER))[:2] == [4711, "running 0"]
    assert [str(port) for port in of_container(saying(CONTAINER))[3]] == ["8080/tcp -> 0.0.0.0:32768"]
    assert of_network(saying(NETWORK)) == ["bridge", "172.18.0.0/16", ["172.18.0.0/16"], "172.18.0.1", "br0"]


def _places(value: Any, *way: Any) -> Iterator[tuple[Any, ...]]:
    entries: list[Any] = list(value.items() if isinstance(value, dict) else enumerate(value))
    for key, inner in entries:
        yield (*way, key)
        if isinstance(inner, (dict, list)):
            yield from _places(inner, *way, key)


def _changed(value: Any, way: tuple[Any, ...], new: Any) -> Any:
    if not way:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[way[0]] = _changed(copy[way[0]], way[1:], new)
    return copy


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from([10**30, -1, "\ud800", "-1", "²", "70000", "\x1b[2J", "a" * 5000]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=6), inner, max_size=2),
    max_leaves=4,
)
BODIES = st.binary(max_size=30) | JSON.map(lambda value: json.dumps(value).encode())


def _is_value_or_engine_error(ask: Callable[[], Any], *named: str) -> None:
    """Assert that nothing but an engine error comes of it, in few words that name what was asked for."""
    words = ""
    try:
        found = ask()
    except EngineError as error:
        words = f"{error.attempted} {error.where}"
        assert len(error.returned) < 5000, "a reader is not to be buried"  # noqa: PT017
    else:
        assert json.dumps(found, default=str, ensure_ascii=False).encode()
        words = " ".join(named)
    assert all(name in words for name in named)


@settings(deadline=None)
@given(st.sampled_from(list(_places(CONTAINER))), JSON)
@example(("Name",), None)
@example(("State",), None)
@example(("State", "Pid"), "4711")
@example(("State", "Pid"), -1)
@example(("State", "ExitCode"), None)
@example(("NetworkSettings",), [])
@example(("NetworkSettings", "Networks"), None)
@example(("NetworkSettings", "Networks", "bridge"), None)
@example(("NetworkSettings", "Networks", "bridge", "IPAddress"), "\ud800")
@example(("NetworkSettings", "Ports"), {"tcp": []})
@example(("NetworkSettings", "Ports"), {"\x80/tcp": [{"HostIp": "", "HostPort": ""}]})
@example(("NetworkSettings", "Ports", "8080/tcp"), {})
@example(("NetworkSettings", "Ports", "8080/tcp", 0, "HostPort"), "²")
def test_container_with_any_field_changed_is_one_or_an_engine_error(way: tuple[Any, ...], new: Any) -> None:
    _is_value_or_engine_error(lambda: of_container(saying(_changed(CONTAINER, way, new))), "container box", "host")


@settings(deadline=None)
@given(st.sampled_from(list(_places(NETWORK))), JSON)
@example(("IPAM",), [])
@example(("IPAM", "Config"), {"Subnet": 1})
@example(("IPAM", "Config", 0), {})
@example(("Options",), None)
def test_network_with_any_field_changed_is_one_or_an_engine_error(way: tuple[Any, ...], new: Any) -> None:
    _is_value_or_engine_error(lambda: of_network(saying(_changed(NETWORK, way, new))), "network net", "host")


@settings(max_examples=200, deadline=None)
@given(BODIES, st.sampled_from([200, 201, 204, 304, 404, 409, 500, 503]))
@example(b"{}", 500)
@example(b"[]", 404)
@example(b'{"message": null}', 500)
@example(b'{"message": ["no"]}', 404)
@example(b"[" * 100_000, 200)
@example(b"[" * 100_000, 500)
@example(b"<html>", 502)
def test_any_answer_to_anything_is_a_value_or_an_engine_error(body: bytes, status: int) -> None:
    """Refusals included: what should hold their words may be anything, too."""
    engine = saying(body, status)
    box, net = Container(engine, "c" * 64, "box"), Network(engine, "n" * 64, "net")
    host = Host(engine)

    _is_value_or_engine_error(lambda: of_container(engine), "container box", "host")
    _is_value_or_engine_error(lambda: of_network(engine), "network net", "host")
    _is_value_or_engine_error(lambda: host.predefined("bridge").name, "network bridge", "host")
    _is_value_or_engine_error(lambda: host.network("net").id, "network net", "host")
    _is_value_or_engine_error(lambda: host.container("box", start=False).id, "container box", "host")
    _is_value_or_engine_error(lambda: host.remove(net), "network net", "host")
    _is_value_or_engine_error(box.logs, "box", "host")
    _is_value_or_engine_error(lambda: box.run("true").exit_status, "true in box", "host")
    _is_value_or_engine_error(Service([engine], "s", "svc", "n" * 64, 1).addresses, "svc", "host")


@settings(deadline=None)
@given(BODIES, st.sampled_from([200, 204, 404, 500]))
@example(b"{}", 500)
@example(b"[]", 200)
@example(b"null", 200)
def test_removal_tells_what_went_wrong_and_goes_on(body: bytes, status: int) -> None:
    """An overlay's ID makes it ask the engine what it says of it."""
    asked: list[tuple[str, str]] = []

    def answer(method: str, path: str) -> Said:
        asked.append((method, path))
        return status, body

    engine = engine_that(answer)
    boxes = [Container(engine, f"box{number}", f"box{number}") for number in range(2)]
    nets = [Network(engine, "n" * 25, "net"), Network(engine, "other", "other")]

    errors = remove(engine, boxes, nets, releasing=lambda _: None)

    assert all(isinstance(error, EngineError) for error in errors)
    removed = {path for method, path in asked if method == "DELETE"}
    assert removed == {"/containers/box0", "/containers/box1", f"/networks/{'n' * 25}", "/networks/other"}


def test_what_has_gone_already_is_no_trouble() -> None:
    engine = saying({"message": "no such thing"}, 404)

    errors = remove(
        engine, [Container(engine, "c", "box")], [Network(engine, "n" * 25, "net")], releasing=lambda _: None
    )

    assert errors == []


@settings(deadline=None)
@given(BODIES, st.sampled_from([200, 404, 500]))
@example(b"[{}]", 200)
@example(b'[{"Status": null}]', 200)
@example(b"{}", 200)
def test_swarm_is_formed_or_an_engine_error(body: bytes, status: int) -> None:
    def wrong(method: str, path: str) -> Said:
        return status, body

    with pytest.raises(EngineError) as caught:
        form_swarm(engine_that(wrong), [])

    assert caught.value.where == "host"
    assert caught.value.attempted


@pytest.mark.parametrize("nodes", [[{}], {"0": {}}, [{"Status": []}], None, [None], 7])
def test_nodes_that_are_none_are_an_engine_error_at_once(nodes: Any) -> None:
    with pytest.raises(EngineError, match="can't be read, when asked to list its nodes"):
        await_swarm(saying(nodes), [])


# -- the words


def test_refusal_is_told_in_the_engine_s_words() -> None:
    with pytest.raises(Refused, match="the engine refused to create network net") as caught:
        Host(saying({"message": "no more"}, 500)).network("net")

    assert (caught.value.where, caught.value.returned) == ("host", "no more")


def test_engine_that_can_t_be_asked_about_a_container_has_not_refused_to_make_it() -> None:
    """Or a check that expects a refusal would take the one for the other."""

    def answer(method: str, path: str) -> Said:
        return (201, b'{"Id": "c"}') if method == "POST" else (500, b'{"message": "later"}')

    with pytest.raises(EngineError, match="the engine refused to inspect container box"):
        refusal(lambda: Host(engine_that(answer)).container("box", start=False))


def test_nonsense_is_told_with_its_place_and_the_beginning_of_what_came() -> None:
    with pytest.raises(EngineError) as caught:
        of_container(saying(CONTAINER | {"State": {"Status": "running", "Pid": "4711", "ExitCode": 0}}))

    assert caught.value.attempted == "the engine's answer can't be read, when asked to inspect container box"
    assert "Expected `int`, got `str` - at `$.State.Pid`" in caught.value.returned
    assert "'Pid': '4711'" in caught.value.returned or len(caught.value.returned) > 300


def test_no_answer_is_told_as_that() -> None:
    def silent(method: str, path: str) -> Said:
        raise requests.exceptions.ReadTimeout("30 s")

    with pytest.raises(EngineError, match="did not answer when asked to say so") as caught:
        answer_of(engine_that(silent), "say so", engine_that(silent).api.version)

    assert caught.value.returned == "30 s"
