"""Who reaches whom: every station asks every other all its questions, in one batch for each, all at the same time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from netfacts.lab import Vantage
from netfacts.model.matrix import Protocol, Station, Way
from netfacts.model.verdict import Outcome
from netfacts.probe.ask import Answer, Probe, ask, icmp, tcp, udp
from netfacts.probe.listener import listen
from netfacts.probe.name import Resolution, look_up

# Of each station: as many as keep a machine with few processors busy, and do not grow old meanwhile.
_AT_ONCE = 16
# Of what is expected to be dropped: to wait is no work.
_WAITING_AT_ONCE = 4000
_NAMES_AT_ONCE = 8
# One more second than glibc takes to ask again where a nameserver has not answered.
_RESOLVE_S = 6.0
_STRANGER = "a stranger"


@dataclass(frozen=True)
class Question:
    """One station asks another. `expected` is what is to come of it: what should take long is asked for last."""

    source: Station
    destination: Station
    protocol: Protocol
    way: Way
    expected: Outcome


@dataclass(frozen=True)
class Seen:
    """What came of a question; see `Cell`."""

    outcome: Outcome
    by: str = ""
    detail: str = ""
    tries: int = 1


@dataclass(frozen=True)
class _Target:
    """What a station probes. Several questions may come down to one."""

    source: str
    protocol: Protocol
    address: str
    port: int


class Explorer:
    """Asks the questions of stations that stand where `vantages` say, by name; opens listeners in each for that."""

    def __init__(self, vantages: Mapping[str, Vantage], *, listening: Mapping[str, tuple[str, int]]) -> None:
        """`listening` says at which address and port stations have to listen, port 0 for any that is free.

        Raises: Refusal (a ProbeError) where a port is taken.
        """
        self._vantages = vantages
        self._ports = {
            (name, protocol): listen(
                vantage, listening[name][1], protocol=protocol, address=listening[name][0], name=name
            ).port
            for name, vantage in vantages.items()
            for protocol in (Protocol.TCP, Protocol.UDP)
        }

    def explore(self, questions: Sequence[Question]) -> list[Seen]:
        """Ask; what is seen is in the order of the questions.

        A name is resolved where it is asked for. Where it gives the address that is asked for anyway, one probe is the
        answer to both: what differs between the two ways is the name alone. What should be answered and is dropped is
        asked for once more, when nothing else goes on.

        Raises: ProbeError, LabError.
        """
        names = self._resolve(questions)
        slow = [question for question in questions if _was_slow(question, names)]
        names |= self._resolve(slow)
        targets = [self._target(question, names) for question in questions]
        waiting = {target for question, target in zip(questions, targets, strict=True) if _waits(question) and target}
        answers = self._ask({target for target in targets if target} - waiting, at_once=_AT_ONCE)
        answers |= self._ask(waiting, at_once=_WAITING_AT_ONCE)
        again = {
            target
            for question, target in zip(questions, targets, strict=True)
            if target and not _waits(question) and answers[target].outcome is Outcome.TIMED_OUT
        }
        answers |= self._ask(again, at_once=_WAITING_AT_ONCE)
        twice = set(map(_name, slow))
        return [
            _seen(question, answers[target], tries=2 if target in again else 1)
            if target
            else _unresolved(names[name], tries=2 if name in twice else 1)
            for question, target, name in zip(questions, targets, map(_name, questions), strict=True)
        ]

    def _resolve(self, questions: Iterable[Question]) -> dict[tuple[str, str], Resolution]:
        """Resolve the names that are asked for; what is found, by source and name."""
        wanted: dict[str, dict[str, None]] = {}
        for question in sorted(questions, key=_likely_lateness):
            if question.way is Way.NAME:
                wanted.setdefault(question.source.name, {})[question.destination.known_as] = None
        found = look_up(
            *((self._vantages[name], list(asked)) for name, asked in wanted.items()),
            timeout_s=_RESOLVE_S,
            at_once=_NAMES_AT_ONCE,
        )
        return {(source, one.name): one for source, each in zip(wanted, found, strict=True) for one in each}

    def _target(self, question: Question, names: Mapping[tuple[str, str], Resolution]) -> _Target | None:
        """Say what is to be probed, None for a name that gives no address."""
        destination = question.destination
        address, port = destination.address, self._ports.get((destination.name, question.protocol), 0)
        if question.way is Way.PUBLISHED:
            address, port = destination.host_address, destination.port
        elif question.way is Way.NAME:
            found = names[_name(question)].addresses
            if not found:
                return None
            address = found[0]
        return _Target(question.source.name, question.protocol, address, port)

    def _ask(self, targets: Collection[_Target], *, at_once: int) -> dict[_Target, Answer]:
        row = list(targets)
        return dict(zip(row, ask(*map(self._probe, row), at_once=at_once), strict=True))

    def _probe(self, target: _Target) -> Probe:
        vantage = self._vantages[target.source]
        if target.protocol is Protocol.ICMP:
            return icmp(vantage, target.address)
        kind = tcp if target.protocol is Protocol.TCP else udp
        return kind(vantage, target.address, target.port)


def _likely_lateness(question: Question) -> tuple[bool, bool]:
    """Names of a network of one's own come first: where the outside gives no answer, that may take all the time."""
    return question.source.network != question.destination.network, question.expected is not Outcome.CONNECTED


def _name(question: Question) -> tuple[str, str]:
    """Who asks, and for which name."""
    return question.source.name, question.destination.known_as


def _was_slow(question: Question, names: Mapping[tuple[str, str], Resolution]) -> bool:
    """Whether a name that should be found, or be said not to be, got no answer in time."""
    answered = (Outcome.CONNECTED, Outcome.NAME_NOT_FOUND, Outcome.TIMED_OUT, Outcome.UNREACHABLE)
    return (
        question.way is Way.NAME
        and question.expected in answered
        and names[_name(question)].outcome is Outcome.TIMED_OUT
    )


def _waits(question: Question) -> bool:
    return question.expected in (Outcome.TIMED_OUT, Outcome.UNREACHABLE)


def _seen(question: Question, answer: Answer, *, tries: int) -> Seen:
    by = ""
    if answer.outcome is Outcome.CONNECTED and question.protocol is not Protocol.ICMP:
        by = "" if answer.name == question.destination.name else answer.name or _STRANGER
    return Seen(answer.outcome, by, answer.detail, tries)


def _unresolved(resolution: Resolution, *, tries: int) -> Seen:
    return Seen(resolution.outcome, detail=resolution.detail, tries=tries)
