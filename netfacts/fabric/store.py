"""A key-value store that hosts share: etcd on a machine of the lab."""

from __future__ import annotations

import base64
import json
import platform
import re
from collections.abc import Mapping
from itertools import count
from typing import Any

from netfacts.engine import program
from netfacts.engine.program import Unpacked
from netfacts.lab import Machine, of_machine
from netfacts.lab.program import run_program
from netfacts.model.errors import LabError, ProbeError
from netfacts.run import Finished

_PORT, _PEERS = 2379, "http://127.0.0.1:2380"
_READY_S = 30.0
_STOP_S = 10.0
_ASKED_S = 5.0
# etcd 3.4 refuses to run on it otherwise.
_ARCHITECTURE = {"ETCD_UNSUPPORTED_ARCH": "arm64"} if platform.machine() == "aarch64" else {}
# Stores that follow each other on a machine have nothing of each other's.
_NUMBERS = count(1)


class Store:
    """A running etcd that answers on its machine's address. Ends with the machine.

    It has two sets of keys, which do not know of each other: those of its API version 3, and, where `has_version_2`,
    those of version 2.
    """

    def __init__(self, machine: Machine, unpacked: Unpacked) -> None:
        """Start it, without keys, and wait until it answers.

        Raises: LabError with the end of its log.
        """
        self.machine = machine
        self._unpacked = unpacked
        self._name = f"store-{next(_NUMBERS)}"
        self._folder = f"/run/netfacts/{self._name}"
        self.log = f"{self._folder}.log"
        """Where it writes its log, in the machine."""
        self.start()

    @property
    def endpoint(self) -> str:
        """Where it listens, as a URL."""
        return f"http://{self.machine.address}:{_PORT}"

    @property
    def has_version_2(self) -> bool:
        """Whether it speaks version 2, as libkv of engines up to 20.10 does: etcd 3.6 does not any more."""
        major, minor, *_ = (int(part) for part in re.findall(r"\d+", self._unpacked.version))
        return (major, minor) < (3, 6)

    # -- life

    def start(self) -> None:
        """Start it with the keys that it had, and wait until it answers.

        Raises: LabError with the end of its log.
        """
        argv = [
            "etcd",
            f"--name={self._name}",
            f"--data-dir={self._folder}",
            *(["--enable-v2"] if self.has_version_2 else []),
            f"--listen-client-urls={self.endpoint}",
            f"--advertise-client-urls={self.endpoint}",
            f"--listen-peer-urls={_PEERS}",
            f"--initial-advertise-peer-urls={_PEERS}",
            f"--initial-cluster={self._name}={_PEERS}",
        ]
        self._daemon = program.start(self.machine, self._unpacked, argv, log=self.log, environment=_ARCHITECTURE)
        self._daemon.await_ready(self._answers, what="etcd to answer", timeout_s=_READY_S)

    def _answers(self) -> bool:
        # Another one could answer there until this one finds that it can't listen.
        return f", {self._name}, " in self._asked(self.machine, "member", "list").out

    def stop(self) -> None:
        """Stop it in order; its keys stay.

        Raises: LabError if it has to be killed.
        """
        self._daemon.stop(timeout_s=_STOP_S)

    def close(self) -> None:
        """End it, in whatever state it is, and remove its keys. Raises: LabError."""
        self._daemon.kill()
        done = self.machine.execute(["rm", "-rf", self._folder, self.log])
        done.checked("could not remove the store's keys", LabError)

    # -- keys

    def keys(self, prefix: str, machine: Machine | None = None) -> dict[str, str]:
        """Give all keys of version 3 that begin with this, and their values, as read from a machine of the lab.

        Without one it is the store's own. Raises: LabError with etcdctl's words where the store does not answer there.
        """
        return self._got(machine or self.machine, prefix, "--prefix")

    def remove(self, prefix: str) -> None:
        """Remove all keys of version 3 that begin with this; that there are none is success. Raises: LabError."""
        self._etcdctl(self.machine, "del", "--prefix", "--", prefix)

    def put(self, key: str, value: str) -> None:
        """Give a key of version 3 a value. Raises: LabError."""
        self._etcdctl(self.machine, "put", "--", key, value)

    def get(self, machine: Machine, key: str) -> str | None:
        """Read a key of version 3 from another machine of the lab; None where there is none.

        Raises: LabError with etcdctl's words where the store does not answer there.
        """
        return self._got(machine, key).get(key)

    def create(self, machine: Machine, key: str, value: str) -> bool:
        """Give a key of version 3 a value from another machine of the lab, unless it has one; say whether that was so.

        It is one transaction: of all who try, one succeeds.

        Raises: LabError with etcdctl's words where the store does not answer there.
        """
        named, given = (json.dumps(one, ensure_ascii=False) for one in (key, value))
        # Conditions, what to do where they are met, and what to do elsewhere, each ended by an empty line.
        text = f'version({named}) = "0"\n\nput -- {named} {given}\n\n\n'
        # A transaction of etcdctl's has no deadline, and no words where nobody answers.
        self.get(machine, key)
        done = self._etcdctl(machine, "txn", "--write-out=json", text=text)
        return bool(_object(done).get("succeeded"))

    def keys_v2(self, folder: str) -> list[str]:
        """Give all keys of version 2 below a folder, and the folders below it, which end with a slash.

        Raises: LabError with etcdctl's words, also where there is no such folder.
        """
        done = self._etcdctl(self.machine, "ls", "--recursive", "-p", folder, version=2)
        return sorted(done.out.split())

    def _got(self, machine: Machine, key: str, *options: str) -> dict[str, str]:
        said = _object(self._etcdctl(machine, "get", "--write-out=json", *options, "--", key))
        return {_text(one, "key"): _text(one, "value") for one in said.get("kvs", ())}

    def _etcdctl(self, machine: Machine, *argv: str, text: str = "", version: int = 3) -> Finished:
        """Ask the store from a machine, over the lab's network. Raises: LabError."""
        done = self._asked(machine, *argv, text=text, version=version)
        return done.checked(f"could not ask the store from {machine.name}", LabError)

    def _asked(self, machine: Machine, *argv: str, text: str = "", version: int = 3) -> Finished:
        limit = "--command-timeout" if version == 3 else "--total-timeout"
        try:
            return run_program(
                of_machine(machine),
                self._unpacked.root,
                "etcdctl",
                f"--endpoints={self.endpoint}",
                f"{limit}={_ASKED_S:.0f}s",
                *argv,
                text=text,
                environment={"ETCDCTL_API": str(version)},
                timeout_s=2 * _ASKED_S,
            )
        except ProbeError as error:
            raise LabError("could not ask the store", where=machine.name, returned=str(error)) from None


def _object(done: Finished) -> Mapping[str, Any]:
    """What etcdctl printed, as JSON. Raises: LabError where it is none."""
    try:
        said = json.loads(done.out)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise LabError("etcdctl's answer can't be read", returned=f"{' '.join(done.argv)}\n{done.out[:400]}")
    return said


def _text(pair: Mapping[str, str], field: str) -> str:
    """A field of a key and its value. An empty one is left out."""
    return base64.b64decode(pair.get(field, "")).decode(errors="replace")
