"""What images of applications are made of: packages, a few files of netfacts' own, and what their scripts would do."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from netfacts.engine import packaged
from netfacts.engine.packaged import Packaged
from netfacts.engine.source import PATH
from netfacts.engine.unpack import merge_usr
from netfacts.model.errors import EngineError
from netfacts.run import run

NEED = "applications"
"""What facts call it that need them."""
TAR = "image.tar"
"""The file of an entry that engines import."""

_SOURCES = Path(__file__).parent / "images"
# What is left out of all is said by the latter.
_RECIPES = (Path(__file__), Path(packaged.__file__))
_RUN_S = 60.0
_APPLETS = ("cat", "env", "hostname", "ls", "ping", "sh", "sleep")


@dataclass(frozen=True)
class Application(Packaged):
    """What an image is made of.

    `changes` are its Dockerfile's instructions; `prepare` does to the unpacked root what these packages' scripts, or a
    RUN, would have done.
    """

    changes: tuple[str, ...] = ()
    prepare: Callable[[Path], None] = lambda _: None

    kind = "image"

    @property
    def sources(self) -> Path:
        """The folder of what is netfacts' own in it."""
        return _SOURCES / self.name

    @property
    def recipe(self) -> str:
        """A digest of how it is made."""
        return _digest_of(self)

    def complete(self, root: Path) -> None:
        """Prepare the root, and pack it beside it. Raises: EngineError."""
        finish(root)
        self.prepare(root)
        pack(root, root.with_name(TAR))


@functools.cache
def _digest_of(application: Application) -> str:
    files = [*_RECIPES, *sorted(path for path in application.sources.iterdir() if path.is_file())]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()


def finish(root: Path) -> None:
    """Do what an engine, and whoever looks around in a container, expects of any image."""
    merge_usr(root)
    for name in ("proc", "sys", "run", "root"):
        (root / name).mkdir(exist_ok=True)
    for applet in _APPLETS:
        link = root / "usr/bin" / applet
        if not link.is_symlink() and not link.exists():
            link.symlink_to("busybox")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    # Without it glibc asks DNS before it looks into /etc/hosts.
    (root / "etc/nsswitch.conf").write_text("hosts: files dns\n")


def pack(root: Path, target: Path) -> None:
    """Write an image's tar. Devices are left out: an engine makes them for each container."""

    def kept(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        member.uname = member.gname = ""
        return None if member.name.startswith("dev/") else member

    with tarfile.open(target, "w") as tar:
        for name in sorted(os.listdir(root)):
            tar.add(root / name, name, filter=kept)


def _run(root: Path, *argv: str, text: str = "") -> None:
    """Run a program of an unpacked root file system, without a network.

    Raises: EngineError.
    """
    apart = ("unshare", "--net", "--ipc", "--mount", "--pid", "--fork", "--kill-child")
    done = run([*apart, "chroot", str(root), *argv], timeout_s=_RUN_S, env={"PATH": PATH, "LC_ALL": "C"}, text=text)
    done.checked(f"could not run {argv[0]} to prepare an image", EngineError)


# -- the applications


def _prepare_flask(root: Path) -> None:
    application = root / "app"
    application.mkdir()
    shutil.copyfile(_SOURCES / "flask-redis/app.py", application / "app.py")
    # Packages are compiled by their scripts, which are not run; without it each start would take seconds.
    code = "import sys; sys.path.insert(0, '/app'); import app; app.app.test_client().get('/nowhere')"
    _run(root, "python3", "-c", code)


def _prepare_mariadb(root: Path) -> None:
    (root / "var/lib/mysql").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_SOURCES / "mariadb/my.cnf", root / "etc/my.cnf")
    folders = [root / "usr/share" / name for name in ("mariadb", "mysql")]
    text = "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\nSET @skip_auth_anonymous=1;\n"
    for name in ("system_tables", "performance_tables", "system_tables_data"):
        text += _sql(folders, f"mariadb_{name}.sql", f"mysql_{name}.sql")
    text += _sql(folders, "maria_add_gis_sp_bootstrap.sql")
    text += (_SOURCES / "mariadb/users.sql").read_text()
    # The server's own way to begin, which its package's script takes, too.
    _run(root, "mariadbd", "--bootstrap", text=text)


def _sql(folders: list[Path], *names: str) -> str:
    """Read a script of the server's package, by whichever name this version has it."""
    for path in (folder / name for folder in folders for name in names):
        if path.exists():
            return path.read_text(errors="surrogateescape")
    raise EngineError("the server's package does not have its tables where they were", returned=" or ".join(names))


FLASK_REDIS = Application(
    "flask-redis",
    main="redis-server",
    packages=("python3", "python3-flask", "python3-redis", "redis-server", "busybox"),
    changes=(f"ENV PATH={PATH}", "WORKDIR /app", "EXPOSE 5000", "EXPOSE 6379", 'CMD ["python3", "app.py"]'),
    prepare=_prepare_flask,
    omitted=("/usr/lib/python3*/lib2to3/*", "/usr/lib/python3*/pydoc_data/*"),
)
MARIADB = Application(
    "mariadb",
    main="mariadb-server-core",
    packages=("mariadb-server-core", "mariadb-client-core", "busybox"),
    changes=(f"ENV PATH={PATH}", "EXPOSE 3306", 'CMD ["mariadbd"]'),
    prepare=_prepare_mariadb,
    omitted=(
        "/usr/bin/innochecksum",
        "/usr/bin/mariadb-*",
        "/usr/bin/my_print_defaults",
        "/usr/bin/resolveip",
        "/usr/share/m*/*/errmsg.sys",
    ),
)
APPLICATIONS: Mapping[str, Application] = {one.spec: one for one in (FLASK_REDIS, MARIADB)}
"""By their specs."""
