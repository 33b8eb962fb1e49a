"""What a DNS message asks or answers, in a few words; the checks themselves ask with a real resolver."""

from __future__ import annotations

import struct

PORT = 53
_RESPONSE = 0x8000
_CODES = {0: "", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
_TYPES = {1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV", 255: "ANY"}


def summary(message: bytes) -> str:
    """Say what a message asks for and how it is answered; "" for what is none."""
    if len(message) < 12:
        return ""
    _, flags, questions, answers = struct.unpack("!HHHH", message[:8])
    asked = _question(message[12:]) if questions == 1 else None
    if asked is None:
        return ""
    if not flags & _RESPONSE:
        return f"{asked}?"
    code = flags & 15
    number = "1 answer" if answers == 1 else f"{answers} answers"
    return f"{asked}: {_CODES.get(code, f'code {code}') or number}"


def _question(rest: bytes) -> str | None:
    labels = []
    while rest and 0 < rest[0] < 64:
        label, rest = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
        labels.append("".join(chr(byte) if 0x20 < byte < 0x7F else "?" for byte in label))
    # A question comes first and so never points elsewhere.
    if len(rest) < 5 or rest[0]:
        return None
    (kind,) = struct.unpack("!H", rest[1:3])
    return f"{_TYPES.get(kind, f'type {kind}')} {'.'.join(labels) or '.'}"
