"""A host of an overlay that is cut off from the others for a while."""

from __future__ import annotations

import contextlib
import time

from netfacts.lab.wait import until
from netfacts.model.errors import NetfactsError
from netfacts.probe import query
from netfacts.topology import Container, Host

_DNS = "127.0.0.11"
# A node takes another for lost after about six seconds of silence.
_LOST_S = 30.0
# For some seconds more the two still tell each other so, which would bring them together in another way.
_SETTLED_S = 5.0


class _Unlost(NetfactsError):
    pass


def cut(here: Host, *others: Host) -> None:
    """Let a host and the others not hear of each other. Undo: `mend`.

    Raises: LabError.
    """
    _change("-I", here, *others)


def mend(here: Host, *others: Host) -> None:
    """Take back what `cut` did.

    Raises: LabError.
    """
    _change("-D", here, *others)


def _change(how: str, here: Host, *others: Host) -> None:
    for there in others:
        for host, other in ((here, there), (there, here)):
            host.engine.run(f"iptables {how} INPUT -s {other.address} -j DROP")


def await_loss(here: Container, *others: Container) -> None:
    """Wait until for some seconds a container's DNS server has had no name for the others, and theirs none for it.

    No error where one never loses them: that is for the check to see.
    """
    lost_at = [0.0]

    def lost() -> bool:
        knows = any(
            query(one.vantage, _DNS, other.name).records
            for there in others
            for one, other in ((here, there), (there, here))
        )
        lost_at[0] = 0.0 if knows else lost_at[0] or time.monotonic()
        return bool(lost_at[0]) and time.monotonic() - lost_at[0] > _SETTLED_S

    with contextlib.suppress(_Unlost):
        until(lost, what="the hosts to lose each other", timeout_s=_LOST_S, error=_Unlost)
