"""A session of pytest over the suites, as the commands ask for it."""

from __future__ import annotations

import datetime
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from netfacts.catalogue.load import FACTS
from netfacts.catalogue.shard import Shard
from netfacts.lab.destination import SCHEME, Destination
from netfacts.model.errors import UsageError

ROOT = FACTS.parent
_SUITES = ROOT / "suites"
TARGETS = {
    "embedded": "private engines, in labs of netfacts' own",
    "local": "the engine that runs on this machine anyway, which is only visited",
    "ssh://[user@]vm[:port],…": "the engine of a VM, visited over ssh, or two's, and a client; root by `sudo -n`",
}
"""Where labs are, in words."""
# Workers per core, and at most: checks wait more than they work, for probes that Docker drops and engines that start, …
_WORKERS = (2, 4)
# … and most where one engine takes another's place.
_TAKEOVER_WORKERS = (4, 8)


@dataclass(frozen=True, kw_only=True)
class Session:
    """What is to be run. `workers` is the number of labs at the same time, 0 for all in one process.

    `brief`: where a `predecessor` is replaced, one case of each check on what was carried over, and nothing anew.
    """

    out: Path
    engine: str
    predecessor: str = ""
    restart: bool = False
    brief: bool = False
    target: str = "embedded"
    ssh_config: str = ""
    select: str = ""
    shard: str = ""
    shuffle: int | None = None
    workers: int = -1
    sabotage: bool = False
    portrait: bool = False
    keep_lab: bool = False

    def arguments(self) -> list[str]:
        """Give pytest's arguments.

        Raises: UsageError for what can't be run.
        """
        if not _SUITES.is_dir():
            raise UsageError("the suites are not there", where=str(_SUITES), remedy="run netfacts from its checkout")
        if self.target.startswith(SCHEME):
            Destination.parse(self.target)
        elif self.target not in TARGETS:
            raise UsageError(f"{self.target!r} is no target", remedy=f"one of: {', '.join(TARGETS)}")
        if self.restart and not self.predecessor:
            raise UsageError("--restart says how one engine takes another's place", remedy="name the first by --from")
        if self.shard:
            Shard.parse(self.shard)
        per_core, most = _TAKEOVER_WORKERS if self.predecessor else _WORKERS
        if self.workers >= 0:
            workers = self.workers
        else:
            # Somebody's engine is one, and so is the lab around it; a kept lab is one, too.
            workers = 0 if self.target != "embedded" or self.keep_lab else min(per_core * (os.cpu_count() or 1), most)
        return [
            str(_SUITES),
            f"--rootdir={ROOT}",
            f"--confcutdir={ROOT}",
            f"--engine={self.engine}",
            f"--target={self.target}",
            *([f"--ssh-config={self.ssh_config}"] if self.ssh_config else []),
            f"--out={self.out}",
            "--progress",
            # Neither a cache in the checkout nor folders in /tmp: a run leaves its own folder and nothing else.
            *("-p", "no:cacheprovider", "-p", "no:tmpdir"),
            *([f"--from={self.predecessor}"] if self.predecessor else []),
            *(["--restart"] if self.restart else []),
            *(["--brief"] if self.brief else []),
            *(["--sabotage"] if self.sabotage else []),
            *(["--portrait"] if self.portrait else []),
            *(["--keep-lab"] if self.keep_lab else []),
            *(["-k", self.select] if self.select else []),
            *([f"--shard={self.shard}"] if self.shard else []),
            *([f"--shuffle={self.shuffle}"] if self.shuffle is not None else []),
            # worksteal: a worker that crashes takes only its own check with it.
            *(["-n", str(workers), "--dist", "worksteal"] if workers else []),
        ]


def new_folder(prefix: str = "") -> Path:
    """Give the name of a folder for what is about to be done; it is not made yet."""
    now = datetime.datetime.now(datetime.UTC)
    return ROOT / "reports" / "out" / f"{prefix}{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
