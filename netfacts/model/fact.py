"""Facts: falsifiable sentences about Docker networking, with what each engine version is expected to do."""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from netfacts.model.errors import EngineError
from netfacts.model.verdict import Expected

NEEDS = {
    "br_netfilter": "the kernel puts bridged frames before iptables",
    "vxlan": "the kernel has VXLAN",
    "ipv6": "the kernel has IPv6",
    "ip_vs": "the kernel has IPVS, by which swarm spreads connections over a service's tasks",
    "esp": "the kernel has IPsec's ESP with AES-GCM",
    "ipvlan": "the kernel has ipvlan",
    "ipip": "the kernel has IP-in-IP tunnels",
    "tun": "the kernel has TUN devices",
    "vlan": "the kernel has 802.1Q VLANs",
    "dummy": "the kernel has dummy interfaces, which lead nowhere",
    "iptables": "the engine's firewall backend is iptables",
    "lab-nameserver": "the host's nameserver is the lab's, and not somebody's",
    "docker-cli": "the engine comes with its command line client",
    "applications": "images of Redis, Flask and MariaDB can be made of this machine's packages, or are in the cache",
    "etcd": "etcd can be unpacked from this machine's packages, or is in the cache",
    "bird": "BIRD can be unpacked from this machine's packages, or is in the cache",
}
"""What a fact may need beyond what every lab has, each with what it means."""


class Accuracy(StrEnum):
    """How well the notes and documents that a fact comes from describe it."""

    TRUE = "true"
    IMPRECISE = "imprecise"
    OUTDATED = "outdated"
    WRONG = "wrong"


class Carried(StrEnum):
    """What decides about a fact where one engine has taken over what another had built, and keeps it running."""

    RUNNING = "by-running-engine"
    """The engine that runs now."""
    STARTED = "as-started"
    """The one that started the container or created the network: it is settled then, and stays."""
    INSTALLED = "as-installed"
    """The one that was the first to start on the machine: what it made outlives it and its containers."""
    FAILS = "fails"
    """The restart: on no engine does the claim hold for what was there before it."""
    FAILS_LIVE = "fails-live"
    """The restart of the engine alone: on none does the claim hold for containers that have kept running over it."""
    HOLDS = "holds"
    """The restart: on every engine the claim holds after it, for new things, too."""


class Expectation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a range of engine versions is expected to do.

    `engine` is a range in packaging's specifiers (">=20.10,<28"), `source` the release note or pull request that
    made the range differ from its neighbours.
    """

    engine: str
    outcome: Expected
    source: str = ""

    def covers(self, version: Version) -> bool:
        """Say whether `version` lies in this range; a release candidate counts as the release it is for."""
        return SpecifierSet(self.engine).contains(version.base_version)


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One catalogue entry. `show` holds the commands a person would type to see it."""

    id: str
    area: str
    claim: str
    sources: tuple[str, ...]
    lab: str
    expect: tuple[Expectation, ...]
    show: tuple[str, ...]
    note: str = ""
    accuracy: Accuracy = Accuracy.TRUE
    needs: tuple[str, ...] = ()
    carried: Carried = Carried.RUNNING

    def expectation(self, version: Version) -> Expectation:
        """Give the expectation for an engine of this version.

        Raises: EngineError where no range of the fact covers the version.
        """
        for expectation in self.expect:
            if expectation.covers(version):
                return expectation
        raise EngineError(
            f"no expectation of {self.id} covers engine {version}",
            remedy=f"add a range for it to `expect` of [{self.id}] in facts/{self.area}.toml",
        )


def engine_version(text: str) -> Version:
    """Read an engine's version; distribution suffixes such as `+dfsg1` and `~ce` are dropped.

    Raises: EngineError where the text has no version in it.
    """
    stripped = re.split(r"[+~]", text.strip().removeprefix("v"), maxsplit=1)[0]
    try:
        return Version(stripped)
    except InvalidVersion:
        raise EngineError(f"the engine calls its version {text!r}", remedy="expected something like 28.5.2") from None
