"""All that a machine has which a run could change, and what became of it meanwhile."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from netfacts.engine import Engine
from netfacts.model.errors import OffLimits, ProbeError
from netfacts.observe.api import fetch
from netfacts.observe.firewall import rules

_FAMILIES = ("-4", "-6")
_NOT_FOUND = 400
# What the kernel counts, and no setting.
_COUNTED = re.compile(r"net\.netfilter\.nf_conntrack_count|net\.ipv6\.route\.flush|net\..*\.(fs|dentry)-.*")
_OF_LINK = re.compile(r"net\.(?:ipv4|ipv6|mpls)\.(?:conf|neigh)\.(.+)\.\w+")
_IDLE_CHAIN = re.compile(r"type \w+ hook \w+ priority [^;]+; policy accept;")
_BUILT_BY_ENGINES = re.compile(
    r"\b(veth[0-9a-f]{7}|br-[0-9a-f]{12}|docker\w*|containerd\S*|DOCKER\S*|runc)\b|/docker/|/docker[-\w]*\b"
)
# An address, or a route to such: not one to elsewhere by way of such.
_LINK_LOCAL = re.compile(r"docker0 fe80::\S+|(?:(?:local|anycast|multicast) )?(?:fe80::\S*|ff00::/8) docker0(?: \S+)?")


@dataclass(frozen=True)
class Change:
    """A thing that came or went. `part` names what kind of thing it is."""

    part: str
    thing: str
    came: bool

    def __str__(self) -> str:
        return f"{'+' if self.came else '-'} {self.part}: {self.thing}"


@dataclass(frozen=True)
class Inventory:
    """A machine's things by the part that they belong to, such as links, routes or processes; each as one line."""

    parts: dict[str, Counter[str]]
    unread: tuple[str, ...] = ()
    """Parts that only root may read."""

    def changes(self, later: Inventory) -> list[Change]:
        """Say what came and what went until `later`."""
        found = []
        for part in self.parts.keys() & later.parts.keys():
            before, after = self.parts[part], later.parts[part]
            if part == "kernel parameters":
                before, after = _of_common_links(before, after)
            found += [Change(part, thing, came=False) for thing in (before - after).elements()]
            found += [Change(part, thing, came=True) for thing in (after - before).elements()]
        return sorted(found, key=lambda change: (change.part, change.came, change.thing))


def take(engine: Engine) -> Inventory:
    """Read all that a run could change on an engine's machine.

    Raises: ProbeError.
    """
    parts: dict[str, Counter[str]] = {}
    unread = []
    for part, read in _READERS.items():
        try:
            parts[part] = Counter(read(engine))
        except OffLimits:
            unread.append(part)
    return Inventory(parts, tuple(unread))


def is_owned(change: Change, marks: Iterable[str]) -> bool:
    """Say whether a thing bears one of the marks of what a run has made: an id, a name, an address, an interface."""
    return any(re.search(rf"(?<![\w.:]){re.escape(mark)}(?![\w:]|\.\d)", change.thing) for mark in marks)


def is_of_engines(change: Change) -> bool:
    """Say whether a thing is such as an engine makes and removes for any container, whoever asked for it."""
    return change.part in ("engine", "processes", "mounts", "cgroups") or bool(_BUILT_BY_ENGINES.search(change.thing))


def is_anybodys(change: Change) -> bool:
    """Say whether such things come and go all the time on a machine in use: no run makes them but for containers.

    The kernel gives docker0 its link-local address and routes when the first container of all comes to it, and they
    stay: whoever is that first one has changed nothing that the next one would not.
    """
    return change.part in ("processes", "mounts", "cgroups") or (
        change.came and change.part in ("addresses", "routes") and bool(_LINK_LOCAL.fullmatch(change.thing))
    )


# -- parts


def _ip(engine: Engine, *words: str) -> list[dict[str, Any]]:
    done = engine.machine.execute(["ip", "-j", *words]).checked("could not read links and routes", ProbeError)
    said: list[dict[str, Any]] = json.loads(done.out or "[]")
    # iproute2 prints an empty object for what a filter left out.
    return [entry for entry in said if entry]


def _links(engine: Engine) -> list[str]:
    return [
        " ".join(
            (
                link["ifname"],
                link.get("linkinfo", {}).get("info_kind", link.get("link_type", "")),
                f"mtu {link['mtu']}",
                f"master {link['master']}" if "master" in link else "",
                "up" if "UP" in link["flags"] else "down",
                link.get("address", ""),
            )
        )
        for link in _ip(engine, "-d", "link", "show")
    ]


def _addresses(engine: Engine) -> list[str]:
    return [
        f"{link['ifname']} {address['local']}/{address['prefixlen']}"
        for link in _ip(engine, "address", "show")
        for address in link.get("addr_info", ())
        if "local" in address
    ]


def _routes(engine: Engine) -> list[str]:
    return [
        " ".join(str(route[key]) for key in ("type", "dst", "gateway", "dev", "table", "prefsrc") if key in route)
        for family in _FAMILIES
        for route in _ip(engine, family, "route", "show", "table", "all")
        # The kernel's notes on single peers (redirects, MTUs) come and go with traffic.
        if "cache" not in route.get("flags", ())
    ]


def _routing_rules(engine: Engine) -> list[str]:
    found = []
    for family in _FAMILIES:
        done = engine.machine.execute(["ip", family, "rule"]).checked("could not read routing rules", ProbeError)
        found += [f"{family} {line.strip()}" for line in done.out.splitlines()]
    return found


def _rules(engine: Engine, *, family: int) -> list[str]:
    ruleset = rules(engine, family=family)
    # A table's own chains come with whoever looks into it, and accept then: that is no difference.
    chains = [f"{table} {chain} {policy}" for (table, chain), policy in ruleset.chains.items() if policy != "ACCEPT"]
    return chains + [f"{rule.table} {rule.text}" for rule in ruleset.rules]


def _nftables(engine: Engine) -> list[str]:
    """The rules of tables that iptables does not show, without counters; none where there is no nft."""
    try:
        done = engine.execute(["nft", "--stateless", "list", "ruleset"])
    except ProbeError:
        return []
    where, found = [], []
    for line in done.out.splitlines():
        text = line.strip()
        if text.endswith("{"):
            where.append(text[:-1].strip())
        elif text == "}":
            where.pop()
        elif text and not text.startswith("#") and not _IDLE_CHAIN.fullmatch(text):
            found.append(" / ".join((*where, text)))
    return found


def _parameters(engine: Engine) -> list[str]:
    said: dict[str, str] = engine.machine.agent.call("sysctl-all", folder="net")
    return [f"{name} = {value}" for name, value in said.items() if not _COUNTED.fullmatch(name)]


def _of_common_links(before: Counter[str], after: Counter[str]) -> tuple[Counter[str], Counter[str]]:
    """Leave out the parameters of links that only one side has: they came or went with these."""
    common = _parameter_links(before) & _parameter_links(after)
    first, second = (
        Counter({line: count for line, count in side.items() if (link := _link(line)) is None or link in common})
        for side in (before, after)
    )
    return first, second


def _parameter_links(lines: Iterable[str]) -> set[str | None]:
    return {_link(line) for line in lines}


def _link(line: str) -> str | None:
    match = _OF_LINK.match(line.partition(" = ")[0])
    return match[1] if match else None


def _objects(engine: Engine) -> list[str]:
    try:
        containers = [
            f"container {one['Id']} {one['Names'][0].lstrip('/')} {_state(engine, one['Id'])}"
            for one in _said(engine, "/containers/json?all=1") or ()
        ]
        networks = [
            f"network {one['Id']} {one['Name']} {json.dumps((one.get('IPAM') or {}).get('Config'), sort_keys=True)}"
            for one in _said(engine, "/networks") or ()
        ]
        services = [f"service {one['ID']} {one['Spec']['Name']}" for one in _said(engine, "/services") or ()]
        volumes = [f"volume {one['Name']}" for one in (_said(engine, "/volumes") or {}).get("Volumes") or ()]
        images = [
            f"image {one['Id']} {' '.join(one.get('RepoTags') or ())}" for one in _said(engine, "/images/json") or ()
        ]
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ProbeError("the engine said something else than what it has", returned=repr(error)) from None
    return containers + networks + services + volumes + images


def _state(engine: Engine, identity: str) -> str:
    said = _said(engine, f"/containers/{identity}/json")
    if said is None:
        return "gone"
    state = said["State"]
    return f"{state['Status']} since {state['StartedAt']}, process {state['Pid']}"


def _said(engine: Engine, path: str) -> Any:
    """What the engine has at a path of its API, None where it has nothing there."""
    reply = fetch(engine, path, version=engine.info.api)
    return json.loads(reply.text) if reply.status < _NOT_FOUND else None


def _processes(engine: Engine) -> list[str]:
    return [
        f"{one['pid']} {one['name']} {' '.join(one['argv'])}".strip()
        for one in engine.machine.agent.call("processes")
        if one["argv"]
    ]


def _mounts(engine: Engine) -> list[str]:
    text = engine.machine.read("/proc/self/mountinfo")[0] or ""
    rows = [line.split() for line in text.splitlines()]
    return [f"{row[4]} {row[row.index('-') + 1]}" for row in rows if "-" in row]


def _cgroups(engine: Engine) -> list[str]:
    found: list[str] = engine.machine.agent.call("folders", path="/sys/fs/cgroup")
    return found


_READERS: dict[str, Callable[[Engine], list[str]]] = {
    "links": _links,
    "addresses": _addresses,
    "routes": _routes,
    "routing rules": _routing_rules,
    "iptables": partial(_rules, family=4),
    "ip6tables": partial(_rules, family=6),
    "nftables": _nftables,
    "kernel parameters": _parameters,
    "engine": _objects,
    "processes": _processes,
    "mounts": _mounts,
    "cgroups": _cgroups,
}
