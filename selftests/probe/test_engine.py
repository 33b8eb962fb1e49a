"""An engine that dies or does not start says why, and what containers say reaches a page as text."""

from __future__ import annotations

import msgspec
import pytest

from netfacts.engine import Engine, Installation
from netfacts.lab import Lab
from netfacts.lab.stamp import remove_cgroups, stamp
from netfacts.lab.wait import until
from netfacts.model.errors import EngineError, LabError
from netfacts.model.lab import SHAPES
from netfacts.model.verdict import Evidence, Observation, Outcome, Verdict
from netfacts.observe import processes
from netfacts.probe import ask, icmp
from netfacts.topology import Host, scene
from reports import page
from selftests.reports.conftest import full_record, verdict_line
from selftests.reports.test_report_page import Parsed, assert_inert

MARKUP = "<script>alert(1)</script>"


# -- life


def test_engine_is_alive_and_known(own: tuple[Lab, Engine]) -> None:
    _, engine = own

    engine.check_alive()

    assert engine.exit_status() is None
    assert engine.info.version
    assert engine.info.api
    assert engine.info.firewall in ("iptables-nft", "iptables-legacy", "nftables")
    assert engine.info.storage == "overlay2"
    assert "runc" in engine.info.components


def test_engine_that_was_killed_is_an_engine_error_with_the_end_of_its_log(own: tuple[Lab, Engine]) -> None:
    _, engine = own

    engine.kill()

    with pytest.raises(EngineError) as caught:
        engine.check_alive()
    assert caught.value.attempted == "dockerd ended with status -9"
    assert caught.value.where == f"host, engine {engine.installation.spec}"
    assert "API listen on /run/docker.sock" in caught.value.returned
    assert caught.value.remedy == "the lines above are the end of dockerd's log"
    assert engine.exit_status() == -9


def test_building_on_an_engine_that_was_killed_is_an_engine_error(own: tuple[Lab, Engine]) -> None:
    _, engine = own
    host = Host(engine, check="dead engine")
    engine.kill()

    for build in (lambda: host.container("box"), lambda: host.network("mynet")):
        with pytest.raises(EngineError) as caught:
            build()
        assert "did not answer" in caught.value.attempted
        assert caught.value.where == "host"


def test_engine_is_started_again_with_other_flags(own: tuple[Lab, Engine]) -> None:
    _, engine = own
    first = engine.pid

    engine.stop()
    engine.start(flags=["--icc=false"])

    engine.check_alive()
    assert engine.pid != first
    assert "--icc=false" in processes(engine.machine, name="dockerd")[0].argv
    a, b = (Host(engine, check="icc").container(role) for role in ("aa", "bb"))
    (answer,) = ask(icmp(a.vantage, b.address, timeout_s=0.5))
    assert answer.outcome is Outcome.TIMED_OUT


def test_containers_run_on_when_a_live_restore_engine_is_killed_and_started_again(
    own: tuple[Lab, Engine],
) -> None:
    _, engine = own
    engine.stop()
    engine.start(flags=["--live-restore"])
    box = Host(engine, check="live restore").container("box")
    pid = box.pid

    engine.kill()
    engine.start()

    box.refresh()
    assert box.pid == pid
    assert ask(icmp(box.vantage, "172.17.0.1"))[0].outcome is Outcome.CONNECTED


@pytest.mark.parametrize(
    ("flag", "named"),
    [
        ("--no-such-flag", "no-such-flag"),
        ("--bip=300.0.0.1/24", "300.0.0.1"),
        ("--storage-driver=no-such-driver", "no-such-driver"),
    ],
)
def test_engine_with_a_bad_flag_is_an_engine_error_that_names_it(
    installation: Installation, flag: str, named: str
) -> None:
    cgroup = stamp("selftest-flag")
    lab = Lab(SHAPES["one-host"])
    try:
        with pytest.raises(EngineError) as caught:
            Engine(lab["host"], installation, flags=[flag], cgroup=cgroup)
    finally:
        lab.close()
        remove_cgroups(cgroup)

    assert caught.value.attempted.startswith("dockerd ended with status ")
    assert named in caught.value.returned
    assert installation.spec in caught.value.where


def test_engine_that_is_no_program_is_an_engine_error(
    installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("rootfs")
    (root / "usr" / "bin").mkdir(parents=True)
    lab = Lab(SHAPES["one-host"])
    try:
        with pytest.raises(EngineError, match="could not start dockerd") as caught:
            Engine(lab["host"], Installation(f"rootfs:{root}", root), cgroup=stamp("selftest-none"))
    finally:
        lab.close()

    assert "dockerd" in caught.value.returned


def test_machine_that_was_lost_is_a_lab_error(own: tuple[Lab, Engine]) -> None:
    lab, engine = own

    lab["host"].agent.close()

    with pytest.raises(LabError, match="the machine is lost"):
        engine.check_alive()
    with pytest.raises(LabError):
        ask(icmp(Host(engine).vantage, "127.0.0.1"))


# -- what a container can say


def test_markup_of_a_container_reaches_the_page_as_text(host: Host) -> None:
    """Names of labels, log lines and addresses come from containers, and nobody need trust those."""
    box = host.container(
        "box",
        labels={MARKUP: MARKUP},
        environment={"X": MARKUP},
        command=["sh", "-c", f"echo '{MARKUP}'; echo '</pre><img src=x onerror=alert(1)>'; sleep 1d"],
    )
    labels = box.said["Config"]["Labels"]
    logs = until(lambda: box.logs() if "onerror" in box.logs() else "", what="the container's log", timeout_s=10)
    seen = Observation(what=f"label {MARKUP}", expected=MARKUP, observed=str(labels), agrees=False)
    full = full_record()
    verdict = verdict_line(
        full.facts[0].fact,
        Verdict.DEVIATES,
        observed=[seen],
        reason=logs,
        evidence=[Evidence(title=f"docker logs {box.name}", text=logs), Evidence(title="labels", text=str(box.said))],
        scene=scene(host),
    )

    html = page.render(msgspec.structs.replace(full, verdicts=(verdict,)))

    assert labels[MARKUP] == MARKUP
    assert MARKUP in logs
    parsed = Parsed(html)
    assert_inert(parsed)
    assert parsed.text.count(MARKUP) >= 5
    assert "onerror=alert(1)>" in parsed.text
    assert html.count("<script>") == 1
    assert "&lt;script&gt;alert(1)" in html
