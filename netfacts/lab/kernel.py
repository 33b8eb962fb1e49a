"""What this machine's kernel can do: tried out in a scratch network namespace, never assumed."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from netfacts.lab.agent import Agent
from netfacts.lab.site import Site, Wire
from netfacts.lab.wire import BridgeError, Segment
from netfacts.model.errors import LabError, UsageError
from netfacts.run import run

_MODPROBE_S = 10.0
_NEIGHBOURS = Path("/proc/sys/net/ipv4/neigh/default")


@dataclass(frozen=True)
class Feature:
    """A feature of the kernel. `vital` ones every lab needs; `remedy` is the command that mends its absence."""

    name: str
    vital: bool
    remedy: str


_MODULES = "linux-modules-extra, or a kernel built with it"
FEATURES = (
    Feature("bridge", True, f"modprobe bridge (it is part of {_MODULES})"),
    Feature("veth", True, f"modprobe veth (it is part of {_MODULES})"),
    Feature("overlay", True, f"modprobe overlay (it is part of {_MODULES})"),
    Feature("br_netfilter", False, f"modprobe br_netfilter (it is part of {_MODULES})"),
    Feature("vxlan", False, f"modprobe vxlan (it is part of {_MODULES})"),
    Feature("ipv6", False, "boot without ipv6.disable=1"),
    Feature("ip_vs", False, f"modprobe ip_vs (it is part of {_MODULES})"),
    Feature("esp", False, f"modprobe esp4 (it is part of {_MODULES})"),
    Feature("ipvlan", False, f"modprobe ipvlan (it is part of {_MODULES})"),
    Feature("ipip", False, f"modprobe ipip (it is part of {_MODULES})"),
    Feature("tun", False, f"modprobe tun (it is part of {_MODULES})"),
    Feature("vlan", False, f"modprobe 8021q (it is part of {_MODULES})"),
    Feature("dummy", False, f"modprobe dummy numdummies=0 (it is part of {_MODULES})"),
)

# What shows that a feature is there, where trying it out would load what decides over the machine's own traffic or
# changes its interfaces: 8021q puts a filter for VLAN 0 on each of them.
_SIGNS = {
    "ipv6": "/proc/sys/net/ipv6",
    "br_netfilter": "/proc/sys/net/bridge",
    "ip_vs": "/proc/net/ip_vs",
    "vlan": "/proc/net/vlan",
}
# A character device that loads its module when it is opened; a system without the module has no such device, or one
# behind which there is nothing.
_TUN = "/dev/net/tun"
# Modules that show no such sign. dummy and ipip change the machine's interfaces, too: they come with one of their own.
_OF_MODULE = {"esp": "esp4", "dummy": "dummy", "ipip": "ipip"}

Prober = Callable[[str], bool]


def missing_features(probe: Prober | None = None, *, where: str = "") -> dict[str, str]:
    """Give the features that a kernel lacks, each with its remedy; `where` names it where it is not this machine's.

    Raises: UsageError where a vital one is missing, naming it.
    """
    probe = probe or has
    missing = {feature.name: feature.remedy for feature in FEATURES if _lacks(probe, feature.name)}
    refuse_without_vital(missing, where=where)
    return missing


def _lacks(probe: Prober, name: str) -> bool:
    try:
        return not probe(name)
    except BridgeError:
        # Other links are tried beside a bridge. Of what could not be tried it is not said that it is missing: a kernel
        # without bridges is refused anyway.
        return name == "bridge"


def refuse_without_vital(missing: Mapping[str, str], *, where: str = "") -> None:
    """Raises: UsageError where a feature that every lab needs is among the missing ones."""
    vital = [feature for feature in FEATURES if feature.vital and feature.name in missing]
    if vital:
        raise UsageError(
            f"this kernel lacks what every lab needs: {', '.join(feature.name for feature in vital)}",
            where=where or platform.release(),
            remedy="; ".join(feature.remedy for feature in vital),
        )


def has(name: str) -> bool:
    """Say whether the kernel has a feature, loading its module where it is one.

    Raises: LabError where that can't be tried, BridgeError for want of bridges.
    """
    trial = _TRIALS.get(name)
    return trial() if trial else _has_link(name)


def has_to_a_user(name: str) -> bool:
    """Say whether the kernel has a feature, as far as one sees who is not root: the rest is taken to be there."""
    if name in ("br_netfilter", "ipv6"):
        return Path(_SIGNS[name]).exists()
    return True


def has_already(name: str) -> bool:
    """Say whether the kernel has a feature without loading what decides over traffic or changes interfaces.

    Raises: LabError, as `has`.
    """
    if name in _SIGNS:
        return Path(_SIGNS[name]).exists()
    if name in _OF_MODULE:
        return _is_loaded(_OF_MODULE[name], _text)
    return has(name)


@contextlib.contextmanager
def prober_of(site: Site, agent: Agent) -> Iterator[Prober]:
    """Yield what says whether the kernel of a site's machine has a feature, loading no more than `has_already` does.

    `agent` is in the namespaces of that machine. The prober raises LabError, ProbeError.
    """
    with contextlib.ExitStack() as stack:

        @cache
        def scratch() -> Wire:
            return stack.enter_context(contextlib.closing(site.segment("scratch")))

        def has(name: str) -> bool:
            if name in _SIGNS:
                return site.inode(agent, _SIGNS[name]) != 0
            if name == "tun":
                return site.inode(agent, _TUN) != 0
            if name in _OF_MODULE:
                return _is_loaded(_OF_MODULE[name], partial(site.text, agent))
            if name == "overlay":
                return _lists(site.text(agent, "/proc/filesystems") or "", "overlay")
            return scratch().supports(name)

        yield has


def _is_loaded(module: str, text: Callable[[str], str | None]) -> bool:
    """Say whether the kernel has a module, built in or loaded already; `text` reads a file of its machine."""
    release = (text("/proc/sys/kernel/osrelease") or "").strip()
    loaded = (text("/proc/modules") or "").splitlines()
    built_in = (text(f"/lib/modules/{release}/modules.builtin") or "").splitlines()
    return any(line.startswith(f"{module} ") for line in loaded) or any(
        line.endswith(f"/{module}.ko") for line in built_in
    )


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text()
    except OSError:
        return None


def _has_link(kind: str) -> bool:
    """Try to make such a link; the kernel loads the module if there is one. Raises: LabError."""
    with Segment("scratch") as scratch:
        return scratch.supports(kind)


def _has_filesystem(name: str) -> bool:
    for _ in range(2):
        if _lists(Path("/proc/filesystems").read_text(), name):
            return True
        _modprobe(name)
    return False


def _lists(filesystems: str, name: str) -> bool:
    return any(line.split()[-1] == name for line in filesystems.splitlines())


def _has_br_netfilter() -> bool:
    switches = Path(_SIGNS["br_netfilter"])
    if switches.is_dir():
        return True
    _modprobe("br_netfilter")
    if not switches.is_dir():
        return False
    # Loading it puts the frames of this machine's own bridges before iptables. That is for this machine to decide:
    # switch it off again here; the labs' namespaces have switches of their own.
    for name in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables"):
        (switches / name).write_text("0")
    return True


def _has_ip_vs() -> bool:
    _modprobe("ip_vs")
    return Path(_SIGNS["ip_vs"]).exists()


def _has_esp() -> bool:
    """Try to make such a state, with the cipher that engines ask for, in a namespace that ends with the trial."""
    if not shutil.which("unshare"):
        return False
    ends = ["src", "198.51.100.1", "dst", "198.51.100.2", "proto", "esp", "spi", "1", "mode", "transport"]
    cipher = ["aead", "rfc4106(gcm(aes))", f"0x{'00' * 20}", "64"]
    done = run(["unshare", "--net", "ip", "xfrm", "state", "add", *ends, *cipher], timeout_s=_MODPROBE_S)
    return done.exit_status == 0


def _has_tun() -> bool:
    try:
        os.close(os.open(_TUN, os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _has_dummy() -> bool:
    # Without the interface that making such a link would load it with, too.
    _modprobe("dummy", "numdummies=0")
    return _has_link("dummy")


def _has_ipip() -> bool:
    # Loaded without the device that it else puts into every network namespace, this machine's own among them.
    switch = Path("/proc/sys/net/core/fb_tunnels_only_for_init_net")
    with contextlib.suppress(OSError):
        before = switch.read_text()
        switch.write_text("2")
        try:
            _modprobe("ipip")
        finally:
            switch.write_text(before)
    return _has_link("ipip")


def _modprobe(module: str, *parameters: str) -> None:
    if shutil.which("modprobe"):
        run(["modprobe", module, *parameters], timeout_s=_MODPROBE_S)


_TRIALS: Mapping[str, Callable[[], bool]] = {
    "ipv6": Path(_SIGNS["ipv6"]).exists,
    "overlay": partial(_has_filesystem, "overlay"),
    "br_netfilter": _has_br_netfilter,
    "ip_vs": _has_ip_vs,
    "esp": _has_esp,
    "tun": _has_tun,
    "ipip": _has_ipip,
    "dummy": _has_dummy,
}
"""How features are tried that are no links, or whose modules are to be loaded with care."""


@contextlib.contextmanager
def neighbours(count: int, *, folder: Path = _NEIGHBOURS) -> Iterator[None]:
    """Have room for so many entries of neighbour tables while a `with` block lasts.

    The kernel counts those of all its namespaces together, and says that it has no buffer space where they are too
    many. The limit is raised, and put back afterwards unless another has changed it meanwhile.

    Raises: UsageError where it is too low and can't be raised.
    """
    raised: dict[Path, tuple[str, str]] = {}
    try:
        for path in (folder / "gc_thresh3", folder / "gc_thresh2"):
            before = path.read_text().strip()
            if int(before) < count:
                raised[path] = before, str(count)
                path.write_text(str(count))
    except OSError as error:
        raise UsageError(
            f"what asks for each other needs {count} entries in the kernel's neighbour tables",
            where=str(folder),
            returned=error.strerror or str(error),
            remedy=f"sysctl -w net.ipv4.neigh.default.gc_thresh3={count} net.ipv4.neigh.default.gc_thresh2={count}",
        ) from None
    try:
        yield
    finally:
        for path, (before, now) in raised.items():
            if path.read_text().strip() == now:
                path.write_text(before)


def require_root() -> None:
    """Raises: UsageError where this process may not build labs."""
    if os.geteuid() != 0:
        raise UsageError(
            "building a lab needs root: it makes namespaces, interfaces and mounts of its own",
            returned=f"this is user {os.geteuid()}",
            remedy="sudo ./toxw, or sudo -E netfacts …",
        )


def require_linux() -> None:
    """Raises: UsageError on another system or one too old."""
    if platform.system() != "Linux":
        raise UsageError("labs are made of Linux namespaces", returned=f"this is {platform.system()}")
    require_release(platform.release())


def require_release(release: str) -> None:
    """Raises: UsageError for a kernel that is too old."""
    try:
        major, minor = (int(part) for part in release.split(".")[:2])
    except ValueError:
        raise LabError("the kernel's version can't be read", returned=release) from None
    if (major, minor) < (5, 12):
        raise UsageError("labs need Linux 5.12 or later (mount_setattr)", returned=f"this is {release}")
