"""What the engine refuses of a container that joins another's network: options, and further networks."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.observe import links
from netfacts.topology import Container, Host, refusal
from netfacts.verdict import equal, holds

_CONFLICT = "conflicting options"
# What clients before 28 say themselves, where later ones leave it to the engine.
_NO_LINKS = "links are only supported for user-defined networks"
_FLAGS = (
    "--publish=20080:8080",
    "--publish-all",
    "--expose=9090",
    "--hostname=elsewhere",
    "--dns=203.0.113.53",
    "--add-host=extra.example:203.0.113.77",
)
_IGNORED = ("--dns-search=example.org", "--dns-option=ndots:2")
_MAC = "--mac-address=06:00:00:00:00:07"
_NO_MAC = f"{_CONFLICT}: mac-address and the network mode"
_SHARING = "container sharing network namespace with another container or host"
_OK = 200
_CLIENT = """\
#!/bin/sh
case " $* " in *"--network=container:"*"{option}="*) echo "{words}" >&2; exit 125 ;; esac
exec /usr/bin/docker "$@"
"""


@pytest.mark.fact("joined.flag-conflicts")
def test_options_of_a_network_are_refused_for_a_joined_container(host: Host, act: Act, claim: Claim) -> None:
    """Beside --network container:T, options that are about a network, a name or an address of one's own are refused."""
    target = host.container("target")
    flags = (*_FLAGS, f"--link={target.name}")

    with act:
        words = {flag: _refused(host, f"box{number}", target, flag) for number, flag in enumerate(flags)}
        plain = refusal(partial(host.typed, "plain", *flags, start=False))
        others = {flag: _refused(host, f"other{number}", target, flag) for number, flag in enumerate(_IGNORED)}

    claim.show(
        "docker create --network container:T …", "\n".join(f"{flag}\n    {said}" for flag, said in words.items())
    )
    claim.show("… of further options", "\n".join(f"{flag}\n    {said or 'created'}" for flag, said in others.items()))
    claim.control(equal("refusal of all of them without container mode", plain, "", control=True))
    claim.judge(
        *(
            holds(f"refusal of {flag}", _CONFLICT in said or _NO_LINKS in said, said, expected=_CONFLICT)
            for flag, said in words.items()
        ),
        *(equal(f"refusal of {flag}", said, "") for flag, said in others.items()),
    )


def _refused(host: Host, role: str, target: Container, *flags: str) -> str:
    return refusal(partial(host.typed, role, f"--network=container:{target.id}", *flags, start=False))


@tamper("joined.flag-conflicts", "the client ignores --network container:T")
def _(request: dict[str, Any]) -> dict[str, Any]:
    typed = [word for word in request.get("typed", ()) if not word.startswith("--network=container:")]
    return request | {"typed": typed}


@tamper("joined.flag-conflicts", "the client ignores what conflicts")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"typed": [word for word in request.get("typed", ()) if word.startswith("--network=")]}


@strike("joined.flag-conflicts", "the option that the page names as refused is")
def _(stage: Stage) -> None:
    _refuse(stage, "--dns-search", f"{_CONFLICT}: dns-search and the network mode")


@pytest.mark.fact("joined.mac-flag")
def test_mac_address_is_refused_for_a_joined_container(host: Host, act: Act, claim: Claim) -> None:
    """Beside --network container:T, --mac-address is refused."""
    target = host.container("target")

    with act:
        words = _refused(host, "box", target, _MAC)

    claim.show(f"docker create --network container:T {_MAC}", words or "created")
    other = words if _NO_MAC not in words else ""
    claim.control(equal("refusal on other grounds", other, "", control=True))
    claim.judge(holds("the option", bool(words), words, expected="refused"))


@tamper("joined.mac-flag", "the client ignores --mac-address", engines="<25")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"typed": [word for word in request.get("typed", ()) if word != _MAC]}


@strike("joined.mac-flag", "the option is refused as by older engines", engines=">=25")
def _(stage: Stage) -> None:
    _refuse(stage, "--mac-address", _NO_MAC)


def _refuse(stage: Stage, option: str, words: str) -> None:
    """Put a client in place that refuses an option; it is found before the engine's own."""
    path = f"/proc/{stage.host.engine.pid}/root/usr/sbin/docker"
    stage.host.machine.agent.call("write", path=path, text=_CLIENT.format(option=option, words=words))
    stage.host.vantage.run(f"chmod 755 {path}")


@pytest.mark.fact("joined.no-connect")
def test_joined_container_is_connected_to_no_further_network(host: Host, act: Act, claim: Claim) -> None:
    """`docker network connect` refuses a joined container, where it takes the target."""
    network, target = host.network("net"), host.container("target")
    joined = host.container("joined", mode=f"container:{target.id}")

    with act:
        words = refusal(partial(host.connect, network, joined))
        before = [link.name for link in links(joined.vantage) if link.name != "lo"]
        taken = refusal(partial(host.connect, network, target))
        joined.refresh()

    claim.show(f"docker network connect {network.name} {joined.name}", words)
    claim.control(equal("refusal to connect the target", taken, "", control=True))
    claim.judge(
        holds("refusal to connect the joined one", _SHARING in words, words, expected=_SHARING),
        equal("interfaces besides lo, after that", before, ["eth0"], vantage=joined.name),
        equal("networks that docker inspect lists", list(joined.networks), [], vantage=joined.name),
    )


@tamper("joined.no-connect", "the engine ignores --network container:T")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": ""}


@strike("joined.no-connect", "the engine says that it has done so")
def _(stage: Stage) -> None:
    stage.forge("/connect", lambda _: None, status=_OK)


@strike("joined.no-connect", "the target is connected first, and the joined container with it")
def _(stage: Stage) -> None:
    stage.host.connect(stage.host.network("further"), stage.container("target"))
