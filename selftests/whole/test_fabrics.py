"""Runs whose hosts share a fabric: what the loss of one costs, what the page says of who carries, what is missing."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from netfacts.engine import resolve
from netfacts.engine.program import ETCD, obstacle, ready
from netfacts.model.verdict import Verdict
from reports.record import read
from selftests.whole.conftest import ENGINE, ROOT, STAGE, Run, Start
from selftests.whole.test_kills import swept

_BETWEEN = "what leads packets between the hosts"

# Leases what nobody else does, and has routes to what the other of the two neighbours leases.
_FLANNELD = """\
#!/bin/sh
test "$*" = --version && { echo v0.99.1 >&2; exit; }
for option; do
    case $option in
        -public-ip=*) address=${option#*=} ;;
        -subnet-file=*) file=${option#*=} ;;
    esac
done
for last in 10 11; do
    test $address = 198.51.100.$last || ip route add 10.101.$last.0/24 via 198.51.100.$last
done
printf 'FLANNEL_SUBNET=10.101.%s.1/24\\nFLANNEL_MTU=1500\\n' ${address##*.} > $file.part
mv $file.part $file
exec sleep 1d
"""


@pytest.fixture
def woven(checkout: Path) -> Path:
    """A checkout with the checks of `stage/fabrics.py` alone."""
    shutil.rmtree(checkout / "suites" / "dns")
    (checkout / "facts" / "dns.toml").unlink()
    shutil.copy(STAGE / "fabrics.toml", checkout / "facts")
    (checkout / "suites" / "stage").mkdir()
    shutil.copy(STAGE / "fabrics.py", checkout / "suites" / "stage" / "test_stage.py")
    return checkout


@pytest.fixture
def etcd() -> None:
    """Needs: etcd in the cache, so that no run has to wait for a mirror."""
    if remedy := obstacle(ETCD):
        pytest.skip(f"etcd can't be had: {remedy}")
    ready(ETCD)


@pytest.fixture
def path() -> Iterator[Path]:
    """A folder that machines see, too: their /tmp is their own. Undo: it goes."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="netfacts-selftest-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def _verdicts(run: Run) -> dict[str, Verdict]:
    return {line.fact: line.verdict for line in read(run.out).verdicts}


def _carriers(run: Run) -> set[str]:
    """What the record says of who leads packets."""
    return {
        evidence.text for line in read(run.out).verdicts for evidence in line.evidence if evidence.title == _BETWEEN
    }


@pytest.mark.usefixtures("etcd")
@pytest.mark.parametrize("machine", ["host3", "store"])
def test_lost_machine_costs_the_check_that_needs_it_alone(woven: Path, start: Start, machine: str) -> None:
    run = start(woven, "-n", "0")
    run.until_waiting()
    (agent,) = run.named(f"nf-{machine}: ")

    os.kill(agent, signal.SIGKILL)
    run.go()

    assert run.wait() == (3 if machine == "host3" else 0), run.said()
    run.until_nothing_is_left()
    record = read(run.out)
    assert _verdicts(run) == {
        "fabric.first": Verdict.CONFORMS,
        "fabric.waits": Verdict.INCONCLUSIVE if machine == "host3" else Verdict.CONFORMS,
        "fabric.last": Verdict.CONFORMS,
    }
    assert record.end is not None
    assert record.end.labs == 2
    if not shutil.which("flanneld"):
        assert _carriers(run) == {"host-gw: netfacts' own emulation"}
    swept(run)


@pytest.mark.usefixtures("etcd")
def test_page_says_that_this_machine_s_flanneld_led_packets(woven: Path, start: Start, path: Path) -> None:
    (path / "flanneld").write_text(_FLANNELD)
    (path / "flanneld").chmod(0o755)
    on_path = {"PATH": f"{path}:{os.environ['PATH']}"}

    run = start(woven, "-n", "0", "-k", "fabric.first", environment=on_path)

    assert run.wait() == 0, run.said()
    assert _carriers(run) == {"host-gw: flanneld 0.99.1"}
    assert "host-gw: flanneld 0.99.1" in (run.out / "index.html").read_text()
    run.until_nothing_is_left()


def test_facts_whose_programs_can_not_be_had_are_not_exercised(checkout: Path, start: Start, tmp_path: Path) -> None:
    """An empty cache, and nothing that could fill it; the engine is somewhere else."""
    shutil.copy(ROOT / "facts" / "fabrics.toml", checkout / "facts")
    shutil.copytree(ROOT / "suites" / "fabrics", checkout / "suites" / "fabrics")
    programs = tmp_path / "programs"
    programs.mkdir()
    for folder in os.environ["PATH"].split(":"):
        for one in Path(folder).glob("*"):
            if one.name not in ("mmdebstrap", "flanneld") and not (programs / one.name).exists():
                (programs / one.name).symlink_to(one)
    bare = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PATH": str(programs)}
    engine = f"rootfs:{resolve(ENGINE).root}"

    run = start(checkout, "--engine", engine, "-n", "0", "-k", "flannel or calico", environment=bare)

    assert run.wait() == 5, run.said()
    lines = {line.fact: line for line in read(run.out).verdicts}
    assert {line.verdict for line in lines.values()} == {Verdict.NOT_EXERCISED}
    assert lines.keys() >= {"flannel.store", "flannel.reach", "calico.ipip", "calico.bgp", "calico.withdrawal"}
    for fact, line in lines.items():
        assert "etcd is missing here: apt-get install mmdebstrap, which unpacks etcd-server" in line.reason, fact
        assert ("bird2" in line.reason) is (fact in ("calico.bgp", "calico.withdrawal")), fact
    assert not (tmp_path / "cache" / "netfacts").exists()
