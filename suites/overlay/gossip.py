"""Waiting for a swarm's gossip: what is built on one host, the others hear of a moment later."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from netfacts.lab.wait import until
from netfacts.model.errors import NetfactsError
from netfacts.model.verdict import Outcome
from netfacts.observe import Remote, remotes
from netfacts.probe import ask, icmp, query
from netfacts.topology import Container, Network

# Where two hosts exchange what they know of a network twice at a time, one of them waits 30 seconds (moby #51701), and
# what it has missed comes in the next exchange only, up to half a minute later.
HEARD_S = 75.0
_DNS = "127.0.0.11"


class _Unheard(NetfactsError):
    pass


def await_gossip(mesh: Network, *containers: Container) -> None:
    """Wait until each container's host knows behind which host the others are, and what they are called.

    No error where one never hears of it: that is for the check to see.
    """
    with contextlib.suppress(_Unheard):
        until(
            lambda: all(
                _heard(mesh, here, there) for here in containers for there in containers if here.engine != there.engine
            ),
            what=f"each host to hear of the others' containers on {mesh.name}",
            timeout_s=HEARD_S,
            error=_Unheard,
        )


def await_services(names: Mapping[str, Sequence[str]], *containers: Container, timeout_s: float = HEARD_S) -> None:
    """Wait until each container's DNS server gives each name these addresses, and they answer.

    What is called how, and what is behind which host, travels apart: a name may be known while its host is not.

    No error where that never comes: it is for the check to see.
    """
    addresses = sorted({address for given in names.values() for address in given})

    def known() -> bool:
        named = all(
            sorted(query(here.vantage, _DNS, name).records) == sorted(given)
            for here in containers
            for name, given in names.items()
        )
        return named and all_answer(addresses, *containers)

    with contextlib.suppress(_Unheard):
        until(
            known,
            what=f"each host to hear of {', '.join(names)}, and answers from there",
            timeout_s=timeout_s,
            error=_Unheard,
        )


def await_reunion(mesh: Network, *containers: Container, timeout_s: float) -> None:
    """Wait until each container resolves every other one, and reaches it.

    No error where that never comes: it is for the check to see.
    """
    await_services({one.name: [one.address_on(mesh.name)] for one in containers}, *containers, timeout_s=timeout_s)


def all_answer(addresses: Sequence[str], *containers: Container) -> bool:
    """Say whether each address answers each container's ping."""
    answers = ask(*(icmp(here.vantage, address, timeout_s=0.5) for here in containers for address in addresses))
    return all(answer.outcome is Outcome.CONNECTED for answer in answers)


def _heard(mesh: Network, here: Container, there: Container) -> bool:
    behind = Remote(str(there.networks[mesh.name]["MacAddress"]), there.engine.machine.address)
    return behind in remotes(here.engine, mesh.id) and bool(query(here.vantage, _DNS, there.name).records)


def forwarding(mesh: Network, container: Container) -> str:
    """Give the forwarding table of a container's host as lines, for evidence."""
    return "\n".join(f"{remote.mac} dst {remote.host}" for remote in remotes(container.engine, mesh.id))
