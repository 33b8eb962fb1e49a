"""Finds in a text what names a machine or its user, and puts stand-ins there."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import unquote

from reports.standin import StandIns

PATH = "<path>"
LEFT_OUT = "<left out>"

# -- what is looked for

_OCTET = r"0{0,2}(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[0-9]?[0-9])"
_IPV4 = rf"(?<![0-9])(?:{_OCTET}\.){{3}}{_OCTET}(?![0-9])"
_FOUND = re.compile(
    rf"""
      (?P<url>[A-Za-z][A-Za-z0-9+.-]{{0,20}}://[^\s<>"'`]*)
    | (?P<quoted>(?<=['"`])(?:~[\w.-]*|\.{{1,2}})?/[^'"`\n]*(?=['"`]))
    # Not a prefix length, nor what stands between words; of homes also that.
    | (?P<path>
        (?: (?:(?<![\w/])|(?<=\\[nrt])) (?:~[\w.-]*|\.{{1,2}})?/ | (?=/(?:home|Users)/)/ )
        (?![0-9]+(?![\w./-])) [^\s'"`,;:<>|)\]}}]+
      )
    | (?P<encoded>(?:%2[Ff][^\s%'"`<>/?&]*)+)
    | (?P<nibbles>(?:[0-9A-Fa-f]\.){{1,32}}ip6\.arpa)
    | (?P<reverse>(?<![0-9])(?:{_OCTET}\.){{1,4}}in-addr\.arpa)
    | (?P<dashed_mac>(?<![0-9A-Fa-f])[0-9A-Fa-f]{{2}}(?:-[0-9A-Fa-f]{{2}}){{5}}(?![0-9A-Fa-f]))
    | (?P<dashed>(?<![0-9])(?<![0-9]-)(?:{_OCTET}-){{3}}{_OCTET}(?![0-9])(?!-[0-9]))
    | (?P<run>(?<![0-9A-Fa-f:.])[0-9A-Fa-f.]*(?::[0-9A-Fa-f.]*){{2,}})
    | (?P<ipv4>{_IPV4})
    """,
    re.VERBOSE,
)
_MAC_OR_IPV4 = re.compile(
    rf"(?P<mac>(?<![0-9A-Fa-f])[0-9A-Fa-f]{{2}}(?::[0-9A-Fa-f]{{2}}){{5}}(?![0-9A-Fa-f]))|(?P<ipv4>{_IPV4})"
)
_ESCAPED_END = re.compile(r"\\[nrt]$")
"""The end of a line within a text that is quoted itself."""
_MOST_COLONS = 8
_LONGEST_IPV6 = len("0000:0000:0000:0000:0000:0000:255.255.255.255")
_ADDRESS = rf"(?:{_IPV4}|\[?[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*\]?)(?:[:/][0-9]+)*"
_ADDRESSES = re.compile(rf"(?:{_ADDRESS}(?:,{_ADDRESS})*|[0-9]+)")
_AUTHORITY = re.compile(r"(?P<user>[^/?#@]*@)?(?P<host>\[[^\]]*\]|[^/?#:]*)(?P<port>:[0-9]*)?(?P<rest>.*)", re.DOTALL)
_PUBLIC_HOST = re.compile(
    r"(?:[\w-]+\.)*(?:localhost|lab|example|test|invalid|docker\.com|docker\.io|github\.com)", re.IGNORECASE
)

# -- what stays

_API = re.compile(r"/v[0-9]+\.[0-9]+/[a-z]+(?:/(?:json|create|prune))?")
_SYSTEM_FOLDERS = (
    *("/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/usr/libexec/docker"),
    *("/proc", "/sys/class", "/sys/module", "/run/docker", "/run/containerd", "/run/netfacts", "/var/run/docker"),
)
_SYSTEM_PATHS = frozenset(
    (
        *("/", "/dev", "/dev/null", "/lib", "/marker", "/root", "/run", "/sys", "/usr", "/var", "/var/lib"),
        *("/etc", "/etc/docker/daemon.json", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf"),
        *("/run/docker.sock", "/var/run/docker.sock", "/var/lib/docker"),
        # No paths, but written like ones.
        *("/tcp", "/udp", "/sctp"),
    )
)


class Censor:
    """Takes addresses, MACs, paths, hosts of URLs and given names out of texts, with the same stand-ins in all of them.

    Censors with the same `stand_ins` have the same for the same in the texts of each other, too.
    `hosts` go where they stand as a word, `words` anywhere, `renamed` becomes what it maps to. `made` are names of
    what stood in a lab: those say nothing.
    """

    def __init__(
        self,
        *,
        stand_ins: StandIns,
        hosts: Iterable[str] = (),
        words: Iterable[str] = (),
        renamed: Mapping[str, str],
        made: Iterable[str],
    ) -> None:
        self._stand_ins = stand_ins
        self._made = set(made)
        self._renamed = {old.lower(): new for old, new in renamed.items() if old and old != new}
        host = _any_of(hosts)
        kinds = {
            "renamed": _any_of(self._renamed),
            "word": _any_of(words),
            "host": host and rf"(?<![A-Za-z0-9])(?:{host})(?![A-Za-z0-9])",
        }
        patterns = [f"(?P<{kind}>{pattern})" for kind, pattern in kinds.items() if pattern]
        self._words = re.compile("|".join(patterns), re.IGNORECASE) if patterns else None

    def text(self, text: str) -> str:
        """Give a text without names, paths and addresses."""
        if self._words:
            text = self._words.sub(self._word, text)
        return _FOUND.sub(self._found, text)

    def _word(self, match: re.Match[str]) -> str:
        kind, found = str(match.lastgroup), match.group()
        return self._renamed[found.lower()] if kind == "renamed" else self._stand_ins.name(found, kind)

    def _found(self, match: re.Match[str]) -> str:
        kind, found = str(match.lastgroup), match.group()
        match kind:
            case "url":
                return self._url(found)
            case "path" | "quoted":
                return self._path(found)
            case "encoded":
                return found if _is_kept(unquote(found), self._made) else PATH
            case "nibbles":
                return f"{LEFT_OUT}.ip6.arpa"
            case "reverse":
                return self._reverse(found)
            case "dashed_mac":
                return self._stand_ins.mac(found.split("-"), "-")
            case "dashed":
                return self._ipv4(found.replace("-", ".")).replace(".", "-")
            case "run":
                before = _ESCAPED_END.sub("", match.string[max(0, match.start() - 2) : match.start()])
                glued = before[-1:] + match.string[match.end() : match.end() + 1]
                return "".join(self._run_of_colons(found, glued=any(map(str.isalpha, glued))))
            case _:
                return self._ipv4(found)

    def _ipv4(self, text: str) -> str:
        return self._stand_ins.ipv4(IPv4Address(".".join(str(int(byte)) for byte in text.split("."))))

    def _ipv6(self, text: str, address: IPv6Address, *, port: bool) -> str:
        said = self._stand_ins.ipv6(address)
        if IPv6Address(said) == address:
            return text
        # A port that follows would become a part of a short one.
        return IPv6Address(said).exploded if port else said

    def _reverse(self, text: str) -> str:
        octets = text.removesuffix(".in-addr.arpa").split(".")
        if len(octets) < 4:
            return f"{LEFT_OUT}.in-addr.arpa"
        return ".".join(reversed(self._ipv4(".".join(reversed(octets))).split("."))) + ".in-addr.arpa"

    def _run_of_colons(self, run: str, *, glued: bool) -> Iterator[str]:
        """Go through what may be MACs, addresses of either family, ports, or none of these, such as a time.

        `glued`: a letter stands next to it, so that two colons at its begin are those of "ip::container".
        """
        at = 0
        while at < len(run):
            address, end = (None, at) if glued and run.startswith("::", at) else _ipv6_at(run, at)
            if address is not None:
                yield self._ipv6(run[at:end], address, port=run.startswith(":", end))
                at = end
            elif match := _MAC_OR_IPV4.match(run, at):
                mac = match["mac"]
                yield self._stand_ins.mac(mac.split(":")) if mac else self._ipv4(match.group())
                at = match.end()
            else:
                yield run[at]
                at += 1

    def _url(self, url: str) -> str:
        bare = url.rstrip(".,;:!)]}")
        # An address in brackets ends with one of its own.
        if bare.count("[") > bare.count("]"):
            bare = url[: len(bare) + 1]
        scheme, _, rest = bare.partition("://")
        match = _AUTHORITY.fullmatch(rest)
        if match is None:
            return f"{scheme}://{PATH}"
        host, port, path = match["host"], match["port"] or "", match["rest"]
        if host[:1] == "%":
            host = _FOUND.sub(self._found, host)
        elif host and not is_address(host) and not _PUBLIC_HOST.fullmatch(host) and host not in self._made:
            host = self._stand_ins.name(host, "host")
        else:
            host = _FOUND.sub(self._found, host)
        path = self._path(path.partition("?")[0]) if path.startswith("/") and path != "/" else path and "/"
        return f"{scheme}://{host}{port}{path}{url[len(bare) :]}"

    def _path(self, path: str) -> str:
        bare = path.rstrip(".")
        return (bare if _is_kept(bare, self._made) else PATH) + path[len(bare) :]


def _ipv6_at(run: str, start: int) -> tuple[IPv6Address | None, int]:
    """Give the longest address that begins here, where one may begin, and where it ends."""
    if start and run[start - 1] not in ":.":
        return None, start
    for end in range(min(len(run), start + _LONGEST_IPV6), start + 1, -1):
        whole = end == len(run) or run[end] in ":."
        if whole and (address := _parse(run[start:end])) is not None:
            return address, end
    return None, start


@functools.lru_cache(1024)
def _parse(text: str) -> IPv6Address | None:
    if not 2 <= text.count(":") <= _MOST_COLONS or ":::" in text:
        return None
    try:
        return IPv6Address(text)
    except AddressValueError:
        return None


def _is_kept(path: str, made: set[str]) -> bool:
    """Whether a path says nothing about the machine: it is every machine's, or in a container of the lab."""
    # Through /proc/1/root and the like one sees all paths.
    if not path.startswith("/") or any(part in path for part in ("/..", "/root/", "/cwd/")) or re.search(r"\s", path):
        return False
    # An address in it, which is looked for once only.
    if any(match.lastgroup != "path" for match in _FOUND.finditer(path[1:])):
        return False
    return (
        path in _SYSTEM_PATHS
        or any(path == folder or path.startswith(f"{folder}/") for folder in _SYSTEM_FOLDERS)
        or _API.fullmatch(path) is not None
        or path.split("/")[1] in made
    )


def is_address(text: str) -> bool:
    """Whether a text is nothing but addresses, with ports or prefix lengths, or a number."""
    return _ADDRESSES.fullmatch(text) is not None


def _any_of(words: Iterable[str]) -> str:
    """A pattern of words, the longest first: what is left of a longer one would tell it."""
    return "|".join(re.escape(word) for word in sorted(set(words), key=lambda word: (-len(word), word)) if word)
