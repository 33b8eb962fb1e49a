"""What an engine answers, taken with care: it may refuse, say nothing, or say what can't be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol

import docker.errors
import msgspec
import requests.exceptions

from netfacts.lab.machine import Machine
from netfacts.model.errors import EngineError

# What the SDK itself raises over answers that it takes for granted, such as a refusal without a message.
_CHOKED = (docker.errors.DockerException, LookupError, TypeError, AttributeError, ValueError, RecursionError)
# Of what can't be read, as much as says what it is.
_SHOWN = 300
_MOST_WORDS = 4000


class Asked(Protocol):
    """An engine, as far as an error tells of it."""

    @property
    def machine(self) -> Machine:
        """Where it runs."""

    def log_tail(self) -> str:
        """Give the end of its log."""


def answer_of(
    engine: Asked,
    attempt: str,
    call: Callable[[], Any],
    *,
    like: Any = Any,
    refused: type[EngineError] = EngineError,
) -> Any:
    """Give the answer to a call of the engine's API. `attempt` says it in words, `like` is the type that it must fit.

    Raises: `refused` with the engine's words where it refuses; EngineError where it does not answer, or with nonsense.
    """
    try:
        said = call()
        msgspec.convert(said, like)
        _check_text(said)
    except docker.errors.APIError as error:
        words = str(error.explanation or error).encode(errors="replace").decode()[:_MOST_WORDS]
        raise refused(f"the engine refused to {attempt}", where=engine.machine.name, returned=words) from None
    except requests.exceptions.RequestException as error:
        raise EngineError(
            f"the engine did not answer when asked to {attempt}",
            where=engine.machine.name,
            returned=f"{error}\n{engine.log_tail()}",
        ) from None
    except msgspec.ValidationError as error:
        raise EngineError(
            f"the engine's answer can't be read, when asked to {attempt}",
            where=engine.machine.name,
            returned=f"{error}\n{str(said)[:_SHOWN]}",
        ) from None
    except _CHOKED as error:
        raise EngineError(
            f"the engine's answer can't be read, when asked to {attempt}",
            where=engine.machine.name,
            returned=repr(error)[:_SHOWN],
        ) from error
    return said


def _check_text(said: Any) -> None:
    """Raises: ValueError for half a character, which JSON can hold and nobody could be told of."""
    if isinstance(said, dict | list | str):
        try:
            json.dumps(said, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"{error.object[error.start]!a} is half a character") from None
