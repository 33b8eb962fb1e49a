"""Matrices of who reaches whom: machines and containers, what each asks of each, what was seen. Pure data."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from netfacts.model.record import EngineInfo
from netfacts.model.verdict import Outcome

SCHEMA = 1


class Kind(StrEnum):
    """What a container of a matrix is on."""

    BRIDGE = "bridge"
    """The engine's default bridge network."""
    USER = "user"
    """A bridge network of its host's own, which a user has created."""
    INTERNAL = "internal"
    """The same with --internal."""
    OVERLAY = "overlay"
    """An attachable overlay of all hosts."""
    HOST = "host"
    """Its host's own network."""


class Protocol(StrEnum):
    """What a station is asked by."""

    TCP = "tcp"
    UDP = "udp"
    ICMP = "icmp"


class Way(StrEnum):
    """What a station is asked at."""

    ADDRESS = "address"
    """Its own address."""
    NAME = "name"
    """Its name: what the resolver of who asks makes of it."""
    PUBLISHED = "published"
    """The port of its host that it has published."""


class Station(msgspec.Struct, frozen=True, kw_only=True):
    """A machine, or a container on it: who asks in a row of the matrix, and is asked in a column.

    `network` tells networks of one kind apart; it is "" for a machine, and `kind` None. `known_as` is the name that it
    is asked for by. `port` is the one of its host, at `host_address`, that it has published, 0 for none.
    """

    name: str
    machine: str
    host_address: str
    address: str
    known_as: str
    network: str = ""
    kind: Kind | None = None
    port: int = 0

    @property
    def group(self) -> str:
        """What those have in common that are expected to reach, and to be reached, alike."""
        return f"{self.network} on {self.machine}" if self.network else self.name


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Why an outcome is expected: in a sentence, and the facts of the catalogue that say so.

    `also` is as good: which of them it is depends on how busy the kernel or a nameserver is.
    """

    outcome: Outcome
    also: tuple[Outcome, ...] = ()
    why: str
    facts: tuple[str, ...] = ()

    def allows(self, outcome: Outcome) -> bool:
        """Say whether an outcome is as expected."""
        return outcome is self.outcome or outcome in self.also


class Cell(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One question of one station to another, what was expected of it, and how it ended.

    `rule` is the number of what is expected among the matrix's rules. `by` is who answered, where that is another than
    who was asked; `tries` is how often it was asked. `detail` holds the kernel's words. What is at its default is not
    written, so `agrees` has none: whoever counts the wrong cells finds it in each.
    """

    source: str
    destination: str
    protocol: Protocol
    way: Way
    rule: int
    expected: Outcome
    observed: Outcome
    by: str = ""
    detail: str = ""
    tries: int = 1
    agrees: bool

    @property
    def seen(self) -> str:
        """What was seen, in words."""
        return f"{self.observed} to {self.by}" if self.by else str(self.observed)


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    """A whole matrix: matrix.json. Cells are in the order of their sources, and then of their destinations.

    `changes` are the commands that changed the lab before it was looked at, by those who asked for the matrix.
    `took_s` says how long building the lab, the containers, and probing took.
    """

    schema: int = SCHEMA
    netfacts: str
    at: str
    kernel: str
    lab: str
    engine: EngineInfo
    networks: tuple[str, ...]
    publish: bool = False
    routes: bool = False
    changes: tuple[str, ...] = ()
    took_s: dict[str, float]
    rules: tuple[Rule, ...]
    stations: tuple[Station, ...]
    cells: tuple[Cell, ...]

    @property
    def wrong(self) -> tuple[Cell, ...]:
        """The cells that are not as expected."""
        return tuple(cell for cell in self.cells if not cell.agrees)
