"""The portrait of an engine: all that it sets up in its machine, in words that two engines can be compared by."""

from __future__ import annotations

import re
from collections.abc import Mapping

from netfacts.engine import Engine
from netfacts.lab import Vantage, of_machine
from netfacts.observe.firewall import rules
from netfacts.observe.link import Link, links, routes
from netfacts.observe.process import processes

_FAMILIES = {4: "iptables", 6: "ip6tables"}
_EVERYWHERE = ("net.ipv4.ip_forward", "net.ipv4.conf.all.route_localnet", "net.ipv6.conf.all.forwarding")
_BRIDGED = ("net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables")
_PER_BRIDGE = ("ipv4.conf.{}.route_localnet", "ipv4.conf.{}.rp_filter", "ipv6.conf.{}.disable_ipv6")
_IN_CONTAINERS = (
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv6.conf.all.disable_ipv6",
    "net.ipv6.conf.lo.disable_ipv6",
    "net.ipv6.conf.eth0.disable_ipv6",
)
# Generated anew each time: what a veth pair or an engine's own chain is called, and where a socket happens to be.
_GENERATED = ((re.compile(r"\bveth[0-9a-f]{7}\b"), "veth…"), (re.compile(r"\b[0-9a-f]{64}\b"), "ID…"))


def portrait(engine: Engine, containers: Mapping[str, Vantage], words: Mapping[str, str]) -> dict[str, list[str]]:
    """Read the firewall, links, kernel parameters and docker-proxies that an engine has set up.

    `containers` are those that run, by role; `words` maps whatever was generated (names, addresses, subnets) to the
    role that it plays. Gives lines by what was read, in an order that does not depend on chance.

    Raises: ProbeError.
    """
    machine = of_machine(engine.machine)
    bridges = [link for link in links(machine) if link.kind == "bridge"]
    parts: dict[str, list[str]] = {}
    for family, tool in _FAMILIES.items():
        found = rules(engine, family=family)
        for table in sorted({table for table, _ in found.chains}):
            # In the order of iptables-save: within a chain it is what the rules mean.
            parts[f"{tool} {table}"] = found.text(table).splitlines()[1:]
    parts["links"] = sorted(_link(link) for link in links(machine) if link.name != "lo")
    parts["links in containers"] = sorted(
        f"{role}: {_link(link)}" for role, vantage in containers.items() for link in links(vantage)
    )
    parts["routes in containers"] = sorted(
        f"{role}: {route.destination}" + (f" via {route.gateway}" if route.gateway else "") + f" dev {route.device}"
        for role, vantage in containers.items()
        for family in _FAMILIES
        for route in routes(vantage, family=family)
    )
    parts["sysctls"] = _sysctls(machine, (*_EVERYWHERE, *_BRIDGED), "") + [
        line
        for bridge in sorted(bridges, key=lambda link: _plain(link.name, words))
        for line in _sysctls(machine, [f"net.{name.format(bridge.name)}" for name in _PER_BRIDGE], "")
    ]
    parts["sysctls in containers"] = [
        line for role, vantage in sorted(containers.items()) for line in _sysctls(vantage, _IN_CONTAINERS, f"{role}: ")
    ]
    parts["docker-proxy"] = sorted(
        " ".join(("docker-proxy", *process.argv[1:])) for process in processes(engine.machine, name="docker-proxy")
    )
    return {title: [_plain(line, words) for line in lines] for title, lines in parts.items() if lines}


def _sysctls(vantage: Vantage, names: tuple[str, ...] | list[str], prefix: str) -> list[str]:
    values = vantage.machine.agent.call("sysctl-get", net=vantage.net, names=list(names))
    return [f"{prefix}{name} = {values[name]}" for name in names if values[name] is not None]


def _link(link: Link) -> str:
    # What the kernel makes up by itself says nothing of the engine.
    addresses = [str(address) for address in link.addresses if not address.ip.is_link_local]
    return " ".join(
        filter(
            None,
            (
                link.name,
                link.kind,
                f"mtu {link.mtu_bytes}",
                f"master {link.master}" if link.master else "",
                "up" if link.up else "down",
                *addresses,
            ),
        )
    )


def _plain(text: str, words: Mapping[str, str]) -> str:
    # Longest first: 172.18.0.10 holds 172.18.0.1.
    for generated in sorted(words, key=len, reverse=True):
        text = re.sub(rf"(?<![\w.:]){re.escape(generated)}(?![\w])", words[generated], text)
    for pattern, role in _GENERATED:
        text = pattern.sub(role, text)
    return text
