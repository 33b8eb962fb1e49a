"""The agent as one file, which Python runs on a machine that netfacts is not installed on."""

from __future__ import annotations

import importlib.util
import io
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from netfacts.model.errors import LabError

_NETFACTS = Path(__file__).resolve().parents[1]
# Readable by any Python 3, so that one that is too old says so itself.
_MAIN = """\
import sys

if sys.version_info < (3, 11):
    sys.exit("python3 is %d.%d here, and the agent of netfacts needs 3.11 or later" % sys.version_info[:2])

from netfacts.agent.direct import main

sys.exit(main(sys.argv[1:]))
"""
# The earliest that a zip file can say: the same files give the same bytes.
_WHEN = (1980, 1, 1, 0, 0, 0)


@cache
def zipapp() -> bytes:
    """Give the zipapp: the agent's package, and the only other one that it imports.

    Raises: LabError where that is not a folder of files.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in _files():
            archive.writestr(zipfile.ZipInfo(name, _WHEN), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _files() -> Iterator[tuple[str, bytes]]:
    yield "__main__.py", _MAIN.encode()
    yield "netfacts/__init__.py", (_NETFACTS / "__init__.py").read_bytes()
    for package, folder in (("netfacts/agent", _NETFACTS / "agent"), ("dns", _dnspython())):
        for path in sorted(folder.rglob("*.py")):
            yield f"{package}/{path.relative_to(folder)}", path.read_bytes()


def _dnspython() -> Path:
    found = importlib.util.find_spec("dns")
    places = list(found.submodule_search_locations or ()) if found else []
    if not places:
        raise LabError("the package dnspython can't be found, which the agent takes along", remedy="install netfacts")
    return Path(places[0])
