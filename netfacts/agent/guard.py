"""What an agent refuses on a machine that is not netfacts' own: whatever would change it."""

from __future__ import annotations

import os
import re
from typing import Any

from netfacts.agent import wiring

INTERFACE = re.compile(r"nf[0-9a-f]{6}p\d+")
"""Names of the interfaces by which such a machine is wired to a lab; these are netfacts' own."""

_OWN_PARAMETER = re.compile(rf"net\.ipv[46]\.(conf|neigh)\.{INTERFACE.pattern}\.\w+")
_NETWORK_PARAMETER = re.compile(r"net\.[^\0]+")
_IN_CONTAINER = re.compile(r"/proc/([1-9]\d*)/root/[^\0]+")
# Of each program that may run: the options with which it only reads, and the other words that it may be given.
_TABLE_TOOL = re.compile(r"-([nvL]+|S|t|-version)"), re.compile(r".*")
_SAVE_TOOL = re.compile(r"-[ct]"), re.compile(r"\w*")
_READERS = {
    "ip": (
        re.compile(r"-(j|d|br|s|o|4|6)"),
        re.compile(r"((address|addr|link|route|neigh|rule)( (show|list|get)\b.*)?)?"),
    ),
    "iptables": _TABLE_TOOL,
    "ip6tables": _TABLE_TOOL,
    "iptables-save": _SAVE_TOOL,
    "ip6tables-save": _SAVE_TOOL,
    "nft": (re.compile(r"-(j|s|-stateless)"), re.compile(r"list ruleset")),
    "conntrack": (re.compile(r"-[Lfno]"), re.compile(r"\w*")),
    "journalctl": (re.compile(r"-(n\d*|ocat|-no-pager)"), re.compile(r"(_PID=\d+)?")),
    # It enters the namespace of an overlay to look what the engine has learned of other hosts.
    "nsenter": (
        re.compile(r"--net=/proc/\d+/root/(var/)?run/docker/netns/[\w-]+|-j"),
        re.compile(r"bridge fdb show"),
    ),
    # It changes what the engine has, and not the machine; what a check makes so bears the run's label.
    "docker": (re.compile(r".*"), re.compile(r".*", re.DOTALL)),
}
# What these change is of the network namespace that they run in; any other program might write to the machine's disk.
_NETWORK_TOOLS = frozenset(_READERS) - {"journalctl", "docker", "nsenter"}
# By these `ip` leaves that namespace, or runs a program.
_LEAVING = frozenset(("netns", "vrf", "-n", "-netns", "-b", "-batch"))

_FOR_ROOT_ALONE = {
    "capture": "capture packets",
    "processes": "look at the processes of others",
    "sockets": "look whose sockets there are",
}
_FOR_ROOT = frozenset(_READERS) - {"ip", "docker"}


class OffLimits(Exception):
    """What was asked would change the machine."""


class Guard:
    """Judges requests on a machine that is somebody's."""

    def __init__(self) -> None:
        self._privileged = os.geteuid() == 0
        self._net = _inode("self", "net")
        self._mnt = _inode("self", "mnt")

    def check(self, op: str, net: str, args: dict[str, Any]) -> None:
        """Let a request pass that changes nothing but containers and interfaces of netfacts' own.

        Raises: OffLimits that says what it would change.
        """
        if not self._privileged:
            self._check_rights(op, net, args)
        match op:
            case "furnish" | "spawn" | "signal":
                raise OffLimits(f"{op}: processes here are not netfacts' own")
            case "write" if not self._is_in_container(args["path"]):
                raise OffLimits(f"it would write {args['path']}")
            case "sysctl-set":
                # Those that are no network namespace's are the machine's in whichever one they are set.
                allowed = _OWN_PARAMETER if self._is_own(net) else _NETWORK_PARAMETER
                if foreign := [name for name in args["values"] if not allowed.fullmatch(name)]:
                    raise OffLimits(f"it would set {', '.join(foreign)}")
            case "plug" if not self._may_plug(args):
                raise OffLimits(f"it would lay a cable from {args['segment']} to {args['pid']} {args['interface']}")
            case "equip" | "route" if self._is_own(net) and not INTERFACE.fullmatch(args["interface"]):
                raise OffLimits(f"it would change addresses or routes of {args['interface'] or 'the machine'}")
            case "exec" if not (_reads if self._is_own(net) else _is_network_tool)(args["argv"]):
                raise OffLimits(f"it would run {' '.join(args['argv'])}")

    def _check_rights(self, op: str, net: str, args: dict[str, Any]) -> None:
        """Let pass what needs no root. Raises: OffLimits."""
        if net:
            raise OffLimits("it needs root: it would enter a container's network namespace")
        if op in _FOR_ROOT_ALONE:
            raise OffLimits(f"it needs root: it would {_FOR_ROOT_ALONE[op]}")
        if op == "write" or (
            op == "files" and not all(_is_readable(args.get("root", "") + one) for one in args["paths"])
        ):
            raise OffLimits("it needs root: it would read or write files of a container")
        if op == "exec" and args["argv"][0] in _FOR_ROOT and args["argv"][1:] != ["--version"]:
            raise OffLimits(f"it needs root: it would run {args['argv'][0]}")

    def _is_own(self, net: str) -> bool:
        """Whether this is the machine's own network namespace; a container in host mode has that."""
        return not net or os.stat(net).st_ino == self._net

    def _may_plug(self, args: dict[str, Any]) -> bool:
        """Whether a cable begins in a namespace of netfacts' own, and ends in one, too, or under such a name."""
        begins, ends = (wiring.own_namespace(args[end]) for end in ("segment", "pid"))
        if begins == self._net or not wiring.is_agent(args["segment"]) or not wiring.is_agent(args["pid"]):
            return False
        return ends != self._net or bool(INTERFACE.fullmatch(args["interface"]))

    def _is_in_container(self, path: str) -> bool:
        match = _IN_CONTAINER.fullmatch(path)
        if match is None or "/../" in path or _inode(match[1], "mnt") == self._mnt:
            return False
        # Services have mount namespaces of their own as well, in which the machine's own files are.
        return not os.path.samestat(os.stat(f"/proc/{match[1]}/root"), os.stat("/"))


def _is_readable(path: str) -> bool:
    """Whether a file may be read, or is not there."""
    try:
        os.stat(path)
    except PermissionError:
        return False
    except OSError:
        return True
    return os.access(path, os.R_OK)


def _inode(pid: str, kind: str) -> int:
    return os.stat(f"/proc/{pid}/ns/{kind}").st_ino


def _reads(argv: list[str]) -> bool:
    """Whether a command only reads: what is not known to is taken for one that changes something."""
    program, *words = argv
    if program not in _READERS:
        return False
    known, asks = _READERS[program]
    options = [word for word in words if word.startswith("-")]
    others = " ".join(word for word in words if not word.startswith("-"))
    return all(map(known.fullmatch, options)) and bool(asks.fullmatch(others))


def _is_network_tool(argv: list[str]) -> bool:
    """Whether a command changes nothing but the network namespace that it runs in, such as a container's."""
    return argv[0] in _NETWORK_TOOLS and not (argv[0] == "ip" and _LEAVING & set(argv))
