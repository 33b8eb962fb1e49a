"""What ./toxw does before tox: rights, programs, .venv. Needs neither root nor a network."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from selftests.frame.conftest import Machine

UNPRIVILEGED = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--") if os.geteuid() == 0 else ()


# ---- rights


@pytest.mark.parametrize(
    "arguments",
    [[], ["-e", "selftests"], ["-e", "lint,selftests"], ["-eALL"], ["--", "-e", "lint"], ["run", "-e", "conformance"]],
    ids=" ".join,
)
def test_what_touches_an_engine_is_refused_without_root(machine: Machine, arguments: list[str]) -> None:
    machine.uid = 1000

    refused = machine.start(*arguments)

    assert refused.returncode == 4
    assert refused.stdout == ""
    assert "needs root" in refused.stderr
    assert "this is user user1000" in refused.stderr
    assert f"→ sudo {' '.join(['./toxw', *arguments])}\n" in refused.stderr
    assert machine.calls() == []
    assert not (machine.checkout / ".venv").exists()


def test_refusal_holds_for_a_real_unprivileged_user(machine: Machine) -> None:
    machine.without("id")
    for name in ("id", "setpriv"):
        (machine.bin / name).symlink_to(shutil.which(name) or pytest.fail(f"this test needs {name}"))

    refused = machine.start("-e", "selftests", prefix=UNPRIVILEGED)

    assert refused.returncode == 4
    assert "→ sudo ./toxw -e selftests\n" in refused.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["-e", "lint"],
        ["-e", "types,lint"],
        ["-elint"],
        ["-qe", "types"],
        ["-e", "lint", "--", "--fix"],
        ["-l"],
        ["list"],
        ["config", "-e", "selftests"],
        ["--version"],
        ["--help"],
        ["-e", "selftests", "--notest"],
    ],
    ids=" ".join,
)
def test_style_types_and_questions_need_neither_root_nor_lab_programs(machine: Machine, arguments: list[str]) -> None:
    machine.uid = 1000
    machine.without("mmdebstrap", "busybox", "ip")

    started = machine.start(*arguments)

    assert started.returncode == 0, started.stderr
    assert started.stdout == "tox " + " ".join(f"<{argument}>" for argument in arguments) + "\n"
    assert machine.calls() == ["venv", "pip index="]


@pytest.mark.parametrize(("env", "code"), [("lint", 0), ("selftests", 4)])
def test_toxenv_counts_as_minus_e(machine: Machine, env: str, code: int) -> None:
    machine.uid = 1000
    machine.env["TOXENV"] = env

    assert machine.start().returncode == code


def test_a_checkout_of_another_user_gets_a_hint(machine: Machine) -> None:
    machine.uid = 1000
    (machine.bin / "setpriv").symlink_to(shutil.which("setpriv") or pytest.fail("this test needs setpriv"))
    machine.checkout.chmod(0o555)

    refused = machine.start("-l", prefix=UNPRIVILEGED)
    machine.checkout.chmod(0o755)  # or it can't be removed

    assert refused.returncode == 4
    assert "can't write to" in refused.stderr
    assert "sudo chown -R user1000" in refused.stderr


# ---- programs


def test_a_machine_that_lacks_nothing_is_left_alone(machine: Machine) -> None:
    first = machine.start()
    first_calls = machine.calls()

    second = machine.start()

    assert (first.returncode, first.stdout) == (0, "tox\n")
    assert first_calls == ["venv", "pip index="]
    assert (second.returncode, second.stdout, second.stderr) == (0, "tox\n", "")
    assert machine.calls() == []


@pytest.mark.parametrize("system", ["debian", "ubuntu", "mint"])
def test_apt_get_installs_what_is_missing_and_nothing_else(machine: Machine, system: str) -> None:
    machine.system = system
    machine.without("mmdebstrap", "ip")

    started = machine.start()

    update, install, *rest = machine.calls()
    assert started.returncode == 0, started.stderr
    assert started.stdout == "tox\n"
    assert "toxw: installing mmdebstrap iproute2 with apt-get\n" in started.stderr
    assert update.endswith(" update")
    assert install.endswith(" install -y --no-install-recommends mmdebstrap iproute2")
    assert rest == ["venv", "pip index="]


def test_a_dynamically_linked_busybox_does_not_count(machine: Machine) -> None:
    machine.program("ldd", "#!/bin/sh\necho 'libc.so.6 => /lib/libc.so.6 (0x0)'\n")

    refused = machine.start()

    assert refused.returncode == 4
    assert [call for call in machine.calls() if call.endswith(" --no-install-recommends busybox-static")]
    assert "Debian GNU/Linux 12 (bookworm) still lacks" in refused.stderr


@pytest.mark.parametrize(
    ("system", "arguments", "packages"),
    [
        ("ubuntu", ["--", "--engine", "debian:trixie"], {"gpg"}),
        ("ubuntu", ["-e", "engine-trixie"], {"gpg"}),
        ("ubuntu", ["--", "--engine", "ubuntu:noble"], set()),
        ("debian", ["--", "--engine", "debian:trixie"], set()),
    ],
)
def test_debian_engines_on_ubuntu_bring_debians_keys(
    machine: Machine, system: str, arguments: list[str], packages: set[str]
) -> None:
    machine.system = system

    machine.start(*arguments)

    installs = [call for call in machine.calls() if " install " in call]
    installed = {package for call in installs for package in call.split("--no-install-recommends")[1].split()}
    # The keyring itself is there or not: that depends on the real machine.
    assert installed - {"debian-archive-keyring"} == packages


def test_offline_names_what_is_missing_and_what_to_do(machine: Machine) -> None:
    machine.without("mmdebstrap", "busybox")
    machine.env["OFFLINE"] = "1"

    refused = machine.start()

    assert refused.returncode == 4
    assert refused.stdout == ""
    assert "apt-get could not install mmdebstrap busybox-static on Debian GNU/Linux 12 (bookworm)" in refused.stderr
    assert refused.stderr.count("toxw: ") == 2, "what it does, and why it could not"
    assert "apt-get: E: Failed to fetch http://deb.debian.org/debian/: no route to host" in refused.stderr
    assert "missing: mmdebstrap (unpacks an engine), here: mmdebstrap\n" in refused.stderr
    assert "→ apt-get install mmdebstrap busybox-static\n" in refused.stderr
    assert not (machine.checkout / ".venv").exists()


@pytest.mark.parametrize(
    ("system", "said"),
    [
        ("fedora", "→ dnf install mmdebstrap busybox iproute python3\n"),
        ("rocky", "→ dnf install mmdebstrap busybox iproute python3\n"),
        ("arch", "→ pacman -S busybox iproute2 python\n"),
        ("opensuse", "→ zypper install busybox-static iproute2 python3\n"),
        ("alpine", "→ apk add busybox-static iproute2 python3\n"),
        ("plan9", "missing: ip (reads the network), called iproute2 on Debian\n"),
    ],
)
def test_other_distributions_are_told_the_names_used_there(machine: Machine, system: str, said: str) -> None:
    machine.system = system
    machine.without("mmdebstrap", "busybox", "ip", "python3")

    refused = machine.start()

    assert refused.returncode == 4
    assert "lacks what netfacts needs, and toxw installs on Debian and Ubuntu only" in refused.stderr
    assert said in refused.stderr
    for program in ("mmdebstrap (", "busybox, statically linked", "ip (", "python3 3.11 or later with venv"):
        assert f"  missing: {program}" in refused.stderr
    assert "--engine system" in refused.stderr
    assert machine.calls() == []


@pytest.mark.parametrize("system", ["debian", "arch"])
@pytest.mark.parametrize("engine", ["system", "rootfs:/srv/engine"])
def test_an_engine_that_needs_no_unpacking_needs_no_mmdebstrap(machine: Machine, system: str, engine: str) -> None:
    machine.system = system
    machine.without("mmdebstrap")

    started = machine.start("--", "--engine", engine)

    assert started.returncode == 0, started.stderr
    assert machine.calls() == ["venv", "pip index="]


def test_debian_with_dockerd_gets_mmdebstrap_all_the_same(machine: Machine) -> None:
    machine.without("mmdebstrap")
    machine.program("dockerd")

    machine.start("-e", "selftests")

    assert [call for call in machine.calls() if call.endswith(" --no-install-recommends mmdebstrap")]


def test_other_distributions_with_dockerd_need_no_mmdebstrap_unless_asked(machine: Machine) -> None:
    machine.system = "arch"
    machine.without("mmdebstrap")
    machine.program("dockerd")

    assert machine.start().stdout == "tox\n"
    assert machine.start("--", "--engine", "debian:trixie").returncode == 4


@pytest.mark.parametrize("system", ["debian", "ubuntu"])
def test_vms_bring_what_boots_and_reaches_them(machine: Machine, system: str) -> None:
    machine.system = system

    started = machine.start("-e", "vm")

    wanted = ["gpg"] * (system == "ubuntu") + ["qemu-system-x86", *lacking(mke2fs="e2fsprogs"), "openssh-client"]
    assert (started.returncode, started.stdout) == (0, "tox <-e> <vm>\n"), started.stderr
    # Debian's keyring is there or not: that depends on the real machine.
    assert [package for package in installed(machine) if package != "debian-archive-keyring"] == wanted


def installed(machine: Machine) -> list[str]:
    """The packages that were installed since the last time of asking."""
    installs = [call for call in machine.calls() if " install " in call]
    return [package for call in installs for package in call.split("--no-install-recommends")[1].split()]


def lacking(**packages: str) -> list[str]:
    """Packages, given by their programs, but those whose program is in the real machine's sbin: toxw finds it there."""
    return [package for program, package in packages.items() if not shutil.which(program, path="/usr/sbin:/sbin")]


# ---- machines to be targets

ENGINE = ["docker.io", "apparmor", "iptables", "nftables", "busybox-static", "conntrack", "iproute2", "kmod", "python3"]
CLIENT = ["conntrack", "iproute2", "kmod", "python3"]


@pytest.mark.parametrize(("role", "packages"), [("engine", ENGINE), ("client", CLIENT)])
def test_packages_of_a_target_are_named_whatever_is_here(machine: Machine, role: str, packages: list[str]) -> None:
    machine.uid = 1000

    named = machine.start("--packages", role)

    assert (named.returncode, named.stdout, named.stderr) == (0, " ".join(packages) + "\n", "")
    assert machine.calls() == []


@pytest.mark.parametrize("role", ["engine", "client"])
def test_a_target_gets_what_it_lacks_and_no_tox(machine: Machine, role: str) -> None:
    machine.without("busybox", "ip", "python3")

    provisioned = machine.start("--provision", role)

    engine = lacking(dockerd="docker.io", apparmor_parser="apparmor", iptables="iptables", nft="nftables")
    both = lacking(conntrack="conntrack", ip="iproute2", modprobe="kmod", python3="python3")
    assert (provisioned.returncode, provisioned.stdout) == (0, ""), provisioned.stderr
    assert installed(machine) == ([*engine, "busybox-static"] if role == "engine" else []) + both
    assert not (machine.checkout / ".venv").exists()


@pytest.mark.parametrize(("suite", "client"), [(["docker.io"], []), (["docker.io", "docker-cli"], ["docker-cli"])])
def test_client_is_named_where_it_is_a_package_of_its_own(
    machine: Machine, suite: list[str], client: list[str]
) -> None:
    """Since Debian 13 docker.io is the engine alone; before, there is no docker-cli."""
    machine.uid = 1000
    machine.suite(*suite, lists_read=True)

    named = machine.start("--packages", "engine")

    assert (named.returncode, named.stderr) == (0, "")
    assert named.stdout.split() == ["docker.io", *client, *ENGINE[1:]]
    assert machine.start("--packages", "client").stdout.split() == CLIENT


@pytest.mark.parametrize("lists_read", [True, False], ids=["lists-read", "fresh-machine"])
@pytest.mark.parametrize("has_client", [True, False], ids=["client", "no-client"])
def test_client_of_its_own_is_installed_unless_there_is_one(
    machine: Machine, lists_read: bool, has_client: bool
) -> None:
    machine.suite("docker.io", "docker-cli", lists_read=lists_read)
    for name in ("apparmor_parser", "iptables", "nft", "conntrack", "modprobe", *(["docker"] if has_client else [])):
        machine.program(name)

    provisioned = machine.start("--provision", "engine")

    assert (provisioned.returncode, provisioned.stdout) == (0, ""), provisioned.stderr
    # A machine's own dockerd in sbin counts as one of this machine.
    wanted = lacking(dockerd="docker.io") + ([] if has_client else ["docker-cli"])
    assert installed(machine) == wanted
    if wanted:
        assert f"toxw: installing {' '.join(wanted)} with apt-get\n" in provisioned.stderr


def test_engine_without_its_client_gets_it(machine: Machine) -> None:
    """Such as an engine that was installed without what its package recommends."""
    machine.suite("docker.io", "docker-cli", lists_read=True)
    for name in ("dockerd", "apparmor_parser", "iptables", "nft", "conntrack", "modprobe"):
        machine.program(name)

    provisioned = machine.start("--provision", "engine")

    assert (provisioned.returncode, installed(machine)) == (0, ["docker-cli"])


def test_an_engine_from_elsewhere_is_as_good(machine: Machine) -> None:
    for name in ("dockerd", "apparmor_parser", "iptables", "nft", "conntrack", "modprobe"):
        machine.program(name)

    provisioned = machine.start("--provision", "engine")

    assert (provisioned.returncode, provisioned.stdout, provisioned.stderr) == (0, "", "")
    assert machine.calls() == []
    assert not (machine.checkout / ".venv").exists()


def test_provisioning_is_refused_without_root(machine: Machine) -> None:
    machine.uid = 1000

    refused = machine.start("--provision", "engine")

    assert refused.returncode == 4
    assert "needs root to install packages (this is user user1000)" in refused.stderr
    assert "→ sudo ./toxw --provision engine\n" in refused.stderr
    assert machine.calls() == []


@pytest.mark.parametrize("arguments", [["--provision"], ["--packages", "router"]], ids=" ".join)
def test_a_target_is_an_engine_or_a_client(machine: Machine, arguments: list[str]) -> None:
    refused = machine.start(*arguments)

    assert refused.returncode == 4
    assert f"toxw: {arguments[0]} takes what the machine is to be: engine or client" in refused.stderr
    assert machine.calls() == []


# ---- python and .venv


def test_python_without_venv_gets_its_package(machine: Machine) -> None:
    machine.env |= {"PYTHON_WITHOUT_VENV": "1", "OFFLINE": "1"}

    refused = machine.start("-l")

    assert refused.returncode == 4
    assert "→ apt-get install python3-venv\n" in refused.stderr


def test_the_first_python_that_works_is_taken(machine: Machine) -> None:
    python = (machine.bin / "python3").read_text()
    machine.program("python3", "#!/bin/sh\nexit 1\n")
    machine.program("python3.13", python)

    started = machine.start("-l")

    assert started.returncode == 0, started.stderr
    assert f"toxw: making .venv with tox ({machine.bin}/python3.13)\n" in started.stderr


def test_an_old_python_is_named(machine: Machine) -> None:
    machine.env["PYTHON_TOO_OLD"] = "1"

    refused = machine.start("-l")

    assert refused.returncode == 4
    assert "found:   python3 (Python 3.9.2), which is older than 3.11" in refused.stderr
    assert machine.calls() == []


def test_a_package_index_out_of_reach_leaves_no_venv(machine: Machine) -> None:
    machine.env["PIP_FAILS"] = "1"

    refused = machine.start("-l")

    assert refused.returncode == 4
    assert "pip: ERROR: No matching distribution found for tox" in refused.stderr
    assert "PIP_INDEX_URL" in refused.stderr
    assert not (machine.checkout / ".venv").exists()


def test_pip_keeps_the_settings_of_the_environment(machine: Machine) -> None:
    machine.env["PIP_INDEX_URL"] = "https://mirror.example/simple"

    machine.start("-l")

    assert machine.calls() == ["venv", "pip index=https://mirror.example/simple"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_start_leaves_no_venv(machine: Machine, number: signal.Signals) -> None:
    machine.env["PIP_HANGS"] = sys.executable
    process = subprocess.Popen(
        ["./toxw", "-l"],
        cwd=machine.checkout,
        env=machine.environment,
        start_new_session=True,
        stderr=subprocess.PIPE,
        # What runs in the background of a script inherits an ignored SIGINT, and a shell can't take that back.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
    )
    try:
        deadline = time.monotonic() + 10
        while not (machine.bin / "calls").exists() or "hangs" not in (machine.bin / "calls").read_text():
            assert time.monotonic() < deadline, "toxw did not come to pip"
            time.sleep(0.02)

        os.killpg(process.pid, number)

        assert process.wait(timeout=10) == 2
        assert not (machine.checkout / ".venv").exists()
    finally:
        process.kill()
        process.communicate()


def test_a_half_made_venv_is_made_again(machine: Machine) -> None:
    machine.start("-l")
    machine.calls()
    (machine.checkout / ".venv/.netfacts-ready").unlink()
    (machine.checkout / ".venv/half").touch()

    started = machine.start("-l")

    assert "toxw: making .venv again: an earlier start did not finish it\n" in started.stderr
    assert machine.calls() == ["venv", "pip index="]
    assert not (machine.checkout / ".venv/half").exists()
    assert machine.start("-l").stderr == ""


def test_another_python_makes_venv_again(machine: Machine) -> None:
    machine.start("-l")
    machine.calls()
    machine.env["PYTHON_IS"] = "Python 3.13"

    started = machine.start("-l")

    assert "it was made with Python 3.11, which is now Python 3.13" in started.stderr
    assert machine.calls() == ["venv", "pip index="]


def test_another_tox_makes_venv_again(machine: Machine) -> None:
    machine.start("-l")
    machine.calls()
    toxw = machine.checkout / "toxw"
    toxw.write_text(re.sub(r"^TOX=.*$", "TOX='tox>=99'", toxw.read_text(), flags=re.MULTILINE))

    started = machine.start("-l")

    assert "toxw: making .venv again: it was made for tox>=4." in started.stderr
    assert machine.calls() == ["venv", "pip index="]


def test_a_moved_checkout_makes_what_names_the_old_place_again(machine: Machine) -> None:
    machine.start("-l")
    (machine.checkout / ".tox").mkdir()
    moved_from, machine.checkout = machine.checkout, machine.checkout.with_name("moved")
    moved_from.rename(machine.checkout)

    started = machine.start("-l")

    assert f"making .venv again: the checkout was in {moved_from}\n" in started.stderr
    assert not (machine.checkout / ".tox").exists()


# ---- the call


def test_it_finds_its_folder_through_symlinks_and_keeps_arguments(machine: Machine, folder: Path) -> None:
    (folder / "there").mkdir()
    (folder / "there/link").symlink_to("../check out/toxw")
    (folder / "outer").symlink_to(folder / "there/link")

    started = machine.start("-e", "lint", "--", "a b", "*", toxw=str(folder / "outer"), cwd=Path("/"))

    assert started.stdout == "tox <-e> <lint> <--> <a b> <*>\n"
    assert (machine.checkout / ".venv").is_dir()


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
def test_it_runs_in_any_posix_shell(machine: Machine, shell: str) -> None:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not here")
    # busybox takes its own `id` for the one on PATH: ask for something that needs no root.
    started = machine.start("-e", "lint", "--", "-k dns", prefix=(found, "sh") if shell == "busybox" else (found,))

    assert started.returncode == 0, started.stderr
    assert started.stdout == "tox <-e> <lint> <--> <-k dns>\n"
    assert machine.start("-l").stderr == ""


@pytest.mark.parametrize(
    ("main", "code"),
    [
        ("return 5", 5),
        ("os.kill(os.getpid(), signal.SIGINT); time.sleep(9)", 2),
        ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)", 2),
    ],
    ids=["end", "SIGINT", "SIGTERM"],
)
def test_exit_code_is_toxs_and_2_when_interrupted(machine: Machine, folder: Path, main: str, code: int) -> None:
    (folder / "tox").mkdir()
    (folder / "tox/__init__.py").touch()
    (folder / "tox/run.py").write_text(
        "import os, signal, time\n"
        f"def main(arguments):\n    try:\n        {main}\n    except KeyboardInterrupt:\n        return 1\n"
    )
    machine.env |= {"REAL_PYTHON": sys.executable, "PYTHONPATH": str(folder)}

    assert machine.start().returncode == code
