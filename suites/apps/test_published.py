"""Databases whose port is published, used from another machine with their own clients."""

from __future__ import annotations

import re
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper, without
from netfacts.engine.application import Image
from netfacts.lab import Vantage
from netfacts.observe import serving
from netfacts.probe import run_program
from netfacts.topology import Container, Host
from netfacts.verdict import equal

_REDIS, _MYSQL = 6379, 3306
_PASSWORD = "netfacts"  # noqa: S105  (of a server that lives for a second)
_QUESTIONS = "PING\nSET note 004\nGET note\nCLIENT LIST\n"
_QUERIES = """\
CREATE TABLE visits (n INT);
INSERT INTO visits VALUES (42);
SELECT n FROM visits;
SELECT SUBSTRING_INDEX(USER(), '@', -1);
"""


@pytest.mark.fact("app.redis-published")
def test_published_redis_serves_another_machine(
    host: Host, client: Vantage, flask_redis: Image, act: Act, claim: Claim
) -> None:
    """A Redis container started with -p 6379:6379 is used from another machine at the host's address.

    client: redis-cli ── lan ── host:6379 ── docker0 ── [redis-server]
    """
    host.require_unserved(_REDIS)
    image = flask_redis.load(host.engine)
    command = ("redis-server", "--protected-mode", "no")
    redis = host.container(
        "redis-server", image=image, command=command, publish={f"{_REDIS}/tcp": host.unguarded(_REDIS)}
    )
    act.settle(lambda: serving(redis.vantage, _REDIS))

    with act:
        said = run_program(
            client, flask_redis.root, "redis-cli", "-h", host.address, "-p", str(_REDIS), text=_QUESTIONS
        )
        kept = redis.run("redis-cli", "get", "note")

    lines = [*said.out.splitlines(), *said.err.splitlines()]
    claim.show(f"redis-cli -h {host.address}, on the client", f"{said.out}\n{said.err}")
    claim.show("docker port redis-server", "\n".join(map(str, redis.ports)))
    claim.judge(
        equal("what Redis said to PING, SET note 004, GET note", lines[:3], ["PONG", "OK", "004"], vantage=client),
        equal("note, as Redis in the container has it", kept.out.strip(), "004", vantage=redis.name),
        equal("who asked, as Redis saw it", _addresses(said.out), [client.machine.address], vantage=redis.name),
    )


def _addresses(clients: str) -> list[str]:
    return re.findall(r" addr=(\S+):\d+", clients)


@tamper("app.redis-published", "the engine ignores -p")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return without(request, "publish")


@tamper("app.redis-published", "Redis protects itself, as it does unless it is told not to")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"command": ["redis-server"]}


@strike("app.redis-published", "the DNAT rule is deleted and docker-proxy is killed")
def _(stage: Stage) -> None:
    stage.unpublish(stage.container("redis-server"))


@strike("app.redis-published", "the DNAT rule is deleted: docker-proxy asks in the client's place")
def _(stage: Stage) -> None:
    stage.delete_rules("nat", "DOCKER", f" {stage.container('redis-server').address}:")


@strike("app.redis-published", "the port leads to another Redis")
def _(stage: Stage) -> None:
    _divert(stage, stage.container("redis-server"), _REDIS)


def _divert(stage: Stage, container: Container, port: int) -> None:
    """Have the port lead to another container like this one, which is published as well: at a port of its own."""
    image, command = str(container.said["Config"]["Image"]), container.said["Config"]["Cmd"]
    other = stage.host.container("other", image=image, command=command, publish={f"{port}/tcp": port + 1})
    serving(other.vantage, port)
    matched = f"-p tcp -d {stage.host.address} --dport {port}"
    stage.host.engine.run(f"iptables -t nat -I PREROUTING {matched} -j DNAT --to {other.address}:{port}")


@pytest.mark.fact("app.mysql-published")
def test_published_mysql_serves_another_machine(
    host: Host, client: Vantage, mariadb: Image, act: Act, claim: Claim
) -> None:
    """A MySQL server started with -p 3306:3306 is used from another machine at the host's address.

    client: mariadb ── lan ── host:3306 ── docker0 ── [db]
    """
    host.require_unserved(_MYSQL)
    db = host.container(
        "db", image=mariadb.load(host.engine), command=(), publish={f"{_MYSQL}/tcp": host.unguarded(_MYSQL)}
    )
    act.settle(lambda: serving(db.vantage, _MYSQL))

    with act:
        address = ("-h", host.address, "-P", str(_MYSQL), "-uroot", f"-p{_PASSWORD}")
        said = run_program(client, mariadb.root, "mariadb", *address, "--batch", "-N", "shop", text=_QUERIES)
        kept = db.run("mariadb", "--batch", "-N", "shop", "-e", "SELECT n FROM visits")

    claim.show(f"mariadb -h {host.address} shop, on the client", f"{_QUERIES}\n{said.out}\n{said.err}")
    claim.show("docker exec db mariadb shop -e 'SELECT n FROM visits'", kept.out)
    claim.show("docker port db", "\n".join(map(str, db.ports)))
    claim.judge(
        equal("exit status of the client", said.exit_status, 0, vantage=client),
        equal("what was put into a table and read back", said.out.splitlines()[:1], ["42"], vantage=client),
        equal("the table, as the server in the container has it", kept.out.strip(), "42", vantage=db.name),
        equal("who asked, as the server saw it", said.out.splitlines()[1:], [client.machine.address], vantage=db.name),
    )


@tamper("app.mysql-published", "the engine ignores -p")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return without(request, "publish")


@tamper("app.mysql-published", "the server listens on the container's loopback only")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"command": ["mariadbd", "--bind-address=127.0.0.1"]}


@strike("app.mysql-published", "the DNAT rule is deleted and docker-proxy is killed")
def _(stage: Stage) -> None:
    stage.unpublish(stage.container("db"))


@strike("app.mysql-published", "the DNAT rule is deleted: docker-proxy asks in the client's place")
def _(stage: Stage) -> None:
    stage.delete_rules("nat", "DOCKER", f" {stage.container('db').address}:")


@strike("app.mysql-published", "the port leads to another server")
def _(stage: Stage) -> None:
    _divert(stage, stage.container("db"), _MYSQL)
