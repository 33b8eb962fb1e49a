"""What an engine's API answers to a client of some version of it."""

from __future__ import annotations

from dataclasses import dataclass

import requests.exceptions

from netfacts.engine import Engine
from netfacts.model.errors import ProbeError


@dataclass(frozen=True)
class Reply:
    """An HTTP reply of the API."""

    version: str
    status: int
    text: str


def fetch(engine: Engine, path: str, *, version: str) -> Reply:
    """Get a path of the API as a client does that speaks this version of it.

    Raises: ProbeError where the engine does not answer.
    """
    api = engine.api
    try:
        response = api.get(f"{api.base_url}/v{version}{path}", timeout=engine.call_s)
    except requests.exceptions.RequestException as error:
        raise ProbeError(f"the engine did not answer GET /v{version}{path}", returned=str(error)) from None
    return Reply(version, response.status_code, response.text.strip())
