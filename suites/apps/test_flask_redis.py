"""Flask and Redis, as the notes have them: a page that counts its visits in another container."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper, without
from netfacts.engine.application import Image
from netfacts.lab import Vantage
from netfacts.model.verdict import Observation, Outcome
from netfacts.observe import links, serving
from netfacts.probe import Answer, ask, http, listen, resolve, tcp
from netfacts.topology import Container, Host
from netfacts.verdict import equal, seen

_WEB, _REDIS = 5000, 6379
_VISITS = 3
# As in the official image, whose Redis lets others in without a password; Debian's refuses all but its own machine.
_SERVER = ("redis-server", "--protected-mode", "no")
# How note 002 puts the count into its page: Redis gives bytes.
_AS_NOTED = "import os; from redis import Redis; print('%s' % Redis(host=os.environ.get('REDIS_HOST')).get('hits'))"
_REPLY = re.compile(r"(\d+)-----\w+")


@pytest.mark.fact("app.flask-redis-link")
def test_flask_counts_visits_in_redis_by_its_link_name(
    host: Host, client: Vantage, flask_redis: Image, act: Act, claim: Claim
) -> None:
    """A page in a container counts its visits in a linked Redis, and says so to another machine with its own host name.

    client ── lan ── host:5000 ── docker0 ─┬─ [flask-redis]
                                           └─ [redis-server]
    """
    host.require_unserved(_WEB)
    image = flask_redis.load(host.engine)
    redis = host.container("redis-server", image=image, command=_SERVER)
    web = _web(host, image, redis, links={redis.name: redis.name})
    act.settle(lambda: (serving(redis.vantage, _REDIS), serving(web.vantage, _WEB)))

    with act:
        replies = [_visit(client, host) for _ in range(_VISITS)]
        (found,) = resolve(web.vantage, redis.name)
        kept, clients = redis.run("redis-cli", "get", "hits"), redis.run("redis-cli", "client", "list")
        noted = web.run("python3", "-c", _AS_NOTED)

    claim.show(f"curl {host.address}:{_WEB}, {_VISITS} times", "\n".join(map(_said, replies)))
    claim.show("docker exec flask-redis cat /etc/hosts", _hosts(web))
    claim.show("docker exec redis-server redis-cli client list", clients.out)
    claim.show(f'docker exec flask-redis python3 -c "{_AS_NOTED}"', noted.out)
    claim.show("docker logs flask-redis", web.logs())
    claim.judge(
        *_counted(replies, web),
        seen(found, Outcome.CONNECTED),
        equal(f"addresses of {redis.name}", found.addresses, (redis.address,), vantage=web.name),
        equal("visits that this Redis has counted", kept.out.strip(), str(_last(replies)), vantage=redis.name),
        equal("the count as the note's page has it", noted.out.strip(), f"b'{_last(replies)}'", vantage=web.name),
        equal("who is connected to this Redis", _addresses(clients.out), {web.address}, vantage=redis.name),
    )


@tamper("app.flask-redis-link", "the engine ignores --link")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return without(request, "links")


@tamper("app.flask-redis-link", "the engine ignores -e")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"environment": {}}


@tamper("app.flask-redis-link", "the engine ignores -p")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return without(request, "publish")


@strike("app.flask-redis-link", "the name leads to another Redis")
def _(stage: Stage) -> None:
    redis, web = stage.container("redis-server"), stage.container("flask-redis")
    other = stage.host.container("other", image=str(redis.said["Config"]["Image"]), command=_SERVER)
    serving(other.vantage, _REDIS)
    text = _hosts(web).replace(redis.address, other.address)
    stage.host.machine.agent.call("write", path=str(web.said["HostsPath"]), text=text)


@strike("app.flask-redis-link", "Python's client of Redis gives text, as on Python 2")
def _(stage: Stage) -> None:
    # Python runs it whenever it starts; the page has started before.
    path = f"/proc/{stage.container('flask-redis').pid}/root/usr/lib/python3/dist-packages/text.pth"
    patched = "redis.Redis.__init__ = functools.partialmethod(redis.Redis.__init__, decode_responses=True)"
    stage.host.machine.agent.call("write", path=path, text=f"import functools, redis; {patched}\n")


@pytest.mark.fact("app.flask-redis-network")
def test_flask_counts_visits_in_redis_by_name_on_a_user_network(
    host: Host, client: Vantage, flask_redis: Image, act: Act, claim: Claim
) -> None:
    """On a user-defined network the same page reaches Redis by its container's name, without a link.

    client ── lan ── host:5000 ── net ─┬─ [flask-redis]
                                       └─ [redis-server]
    """
    host.require_unserved(_WEB)
    image = flask_redis.load(host.engine)
    network = host.network("net")
    redis = host.container("redis-server", image=image, network=network, command=_SERVER)
    web = _web(host, image, redis, network=network)
    act.settle(lambda: (serving(redis.vantage, _REDIS), serving(web.vantage, _WEB)))

    with act:
        replies = [_visit(client, host) for _ in range(_VISITS)]
        (found,) = resolve(web.vantage, redis.name)
        kept, clients = redis.run("redis-cli", "get", "hits"), redis.run("redis-cli", "client", "list")

    claim.show(f"curl {host.address}:{_WEB}, {_VISITS} times", "\n".join(map(_said, replies)))
    claim.show("docker exec flask-redis cat /etc/hosts", _hosts(web))
    claim.show("docker exec redis-server redis-cli client list", clients.out)
    claim.show("docker logs flask-redis", web.logs())
    claim.judge(
        *_counted(replies, web),
        seen(found, Outcome.CONNECTED),
        equal(f"addresses of {redis.name}", found.addresses, (redis.address,), vantage=web.name),
        equal(f"lines of its /etc/hosts that name {redis.name}", _naming(redis, _hosts(web)), [], vantage=web.name),
        equal("visits that this Redis has counted", kept.out.strip(), str(_last(replies)), vantage=redis.name),
        equal("who is connected to this Redis", _addresses(clients.out), {web.address}, vantage=redis.name),
    )


@tamper("app.flask-redis-network", "Redis is put on another network")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": "bridge"} if _is_redis(request) else request


@tamper("app.flask-redis-network", "the engine writes Redis into /etc/hosts, with a wrong address")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"hosts": dict.fromkeys(request.get("environment", {}).values(), "203.0.113.1")}


@tamper("app.flask-redis-network", "the engine ignores -p")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return without(request, "publish")


@strike("app.flask-redis-network", "another Redis has the same name on this network")
def _(stage: Stage) -> None:
    redis, network = stage.container("redis-server"), stage.network("net")
    image = str(redis.said["Config"]["Image"])
    other = stage.host.container("other", image=image, network=network, command=_SERVER, aliases=[redis.name])
    serving(other.vantage, _REDIS)


@pytest.mark.fact("app.redis-private")
def test_redis_that_is_not_published_serves_containers_only(
    host: Host, client: Vantage, flask_redis: Image, act: Act, claim: Claim
) -> None:
    """A Redis that is not published is reached by the linked page, and not by another machine.

    client ── lan ── host ── docker0 ─┬─ [flask-redis], published
                                      └─ [redis-server]
    """
    host.require_unserved(_WEB)
    host.require_unserved(_REDIS)
    image = flask_redis.load(host.engine)
    redis = host.container("redis-server", image=image, command=_SERVER)
    web = _web(host, image, redis, links={redis.name: redis.name})
    act.settle(lambda: (serving(redis.vantage, _REDIS), serving(web.vantage, _WEB)))
    (open_,) = ask(tcp(client, host.address, _WEB, exchange=False))
    claim.control(seen(open_, Outcome.CONNECTED, control=True))

    with act:
        pinged = web.run("ping", "-c", "1", "-W", "2", redis.name)
        answered = web.run("redis-cli", "-h", redis.name, "ping")
        (closed,) = ask(tcp(client, host.address, _REDIS, exchange=False))

    claim.show("docker exec flask-redis ping -c 1 redis-server", pinged.out)
    claim.show("docker exec flask-redis redis-cli -h redis-server ping", answered.out)
    claim.show("docker port redis-server", "\n".join(map(str, redis.ports)))
    claim.judge(
        equal(f"exit status of ping {redis.name}", pinged.exit_status, 0, vantage=web.name),
        equal(f"redis-cli -h {redis.name} ping", answered.out.strip(), "PONG", vantage=web.name),
        seen(closed, Outcome.REFUSED),
        equal("ports that Redis publishes", list(map(str, redis.ports)), [], vantage=redis.name),
    )


@tamper("app.redis-private", "the engine publishes the port that the image exposes")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"publish": {f"{_REDIS}/tcp": _REDIS}} if _is_redis(request) else request


@tamper("app.redis-private", "the engine ignores --link")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return without(request, "links")


@strike("app.redis-private", "a program of the host's passes the port on")
def _(stage: Stage) -> None:
    listen(stage.host.vantage, _REDIS)


@strike("app.redis-private", "Redis's veth is no port of docker0")
def _(stage: Stage) -> None:
    (peer,) = [link.peer_index for link in links(stage.container("redis-server").vantage) if link.name == "eth0"]
    stage.host.machine.netlink.do("link", "set", index=peer, master=0)


@pytest.mark.fact("app.env-visible")
def test_variable_of_e_is_in_the_environment_of_the_page(
    host: Host, flask_redis: Image, act: Act, claim: Claim
) -> None:
    """A variable given by -e is seen by the container's program, and by what docker exec runs beside it."""
    image = flask_redis.load(host.engine)
    redis = host.container("redis-server", image=image, command=_SERVER)
    web = _web(host, image, redis, links={redis.name: redis.name}, publish=False)

    with act:
        (text,) = host.machine.read(f"/proc/{web.pid}/environ")
        printed = web.run("env")

    inside, beside = _variables((text or "").split("\0")), _variables(printed.out.splitlines())
    claim.show("docker exec flask-redis env", printed.out)
    claim.show("tr '\\0' '\\n' </proc/1/environ, in flask-redis", (text or "").replace("\0", "\n"))
    claim.judge(
        equal("REDIS_HOST of the page's own process", inside.get("REDIS_HOST", ""), redis.name, vantage=web.name),
        equal("REDIS_HOST of docker exec … env", beside.get("REDIS_HOST", ""), redis.name, vantage=web.name),
    )


@tamper("app.env-visible", "the engine ignores -e")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"environment": {}}


@tamper("app.env-visible", "the engine turns names into lower case")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"environment": {name.lower(): value for name, value in request["environment"].items()}}


def _web(host: Host, image: str, redis: Container, *, publish: bool = True, **options: Any) -> Container:
    """Start the page; the image's own command runs it."""
    return host.container(
        "flask-redis",
        image=image,
        command=(),
        publish={f"{_WEB}/tcp": host.unguarded(_WEB)} if publish else {},
        environment={"REDIS_HOST": redis.name},
        **options,
    )


def _visit(client: Vantage, host: Host) -> Answer:
    (answer,) = ask(http(client, host.address, _WEB))
    return answer


def _counted(replies: Sequence[Answer], web: Container) -> list[Observation]:
    """Observe that each reply counts one more than the one before it, and names the container."""
    first = _count(replies[0])
    wanted = [f"{first + number}-----{web.id[:12]}" for number in range(len(replies))]
    vantage = replies[0].probe.vantage
    return [
        *(seen(reply, Outcome.CONNECTED) for reply in replies),
        equal("what the page said each time", [_said(reply) for reply in replies], wanted, vantage=vantage),
    ]


def _said(reply: Answer) -> str:
    """What a visitor reads: the page, or the status of an error."""
    return reply.body if reply.status == 200 else f"HTTP status {reply.status} {reply.outcome.value}"


def _count(reply: Answer) -> int:
    match = _REPLY.fullmatch(reply.body)
    return int(match[1]) if match else 1


def _last(replies: Sequence[Answer]) -> int:
    return _count(replies[0]) + len(replies) - 1


def _addresses(clients: str) -> set[str]:
    """Read who is connected from CLIENT LIST, but for the one that asks."""
    return {address for address in re.findall(r" addr=(\S+):\d+", clients) if address != "127.0.0.1"}


def _hosts(container: Container) -> str:
    (text,) = container.engine.machine.read(f"/proc/{container.pid}/root/etc/hosts")
    return text or ""


def _naming(container: Container, text: str) -> list[str]:
    return [line for line in text.splitlines() if container.name in line.split()]


def _variables(entries: Sequence[str]) -> dict[str, str]:
    return dict(entry.partition("=")[::2] for entry in entries if entry)


def _is_redis(request: dict[str, Any]) -> bool:
    return bool(request["name"].startswith("redis-server"))
