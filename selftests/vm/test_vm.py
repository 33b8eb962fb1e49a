"""The VMs that the ssh target is tried on: what they are, whom they reach, and that they can be cut off."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from netfacts.lab.stamp import start_time
from netfacts.lab.wait import until
from selftests.vm.image import ROOT, STRANGER, Image
from selftests.vm.machine import VirtualMachine

# What the namespace lab's kernel may lack and a Debian kernel has.
MODULES = ("ip_vs", "ipvlan", "sch_netem", "ipip", "esp4", "dummy", "8021q")
SILENCE_S, ANSWER_S = 3.0, 60.0

_GREET = """
import json, socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 5) as connection:
        print(json.dumps([connection.getsockname()[0], connection.recv(4).decode()]))
except OSError as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""


def greet(machine: VirtualMachine, address: str, port: int = 22) -> list[str]:
    """Connect from a VM: gives its own address and the first four bytes that it was sent, or how that failed."""
    done = machine.ssh("python3", "-", address, str(port), text=_GREET)
    assert done.exit_status == 0, done.err
    said: list[str] = json.loads(done.out)
    return said


# -- what it is


def test_lab_may_sudo_root_may_log_in_and_a_stranger_may_not_sudo(vm: VirtualMachine) -> None:
    assert vm.ssh("id", "-un").out == "lab\n"
    assert vm.sudo("id", "-un").out == "root\n"
    assert vm.ssh("id", "-un", user="root").out == "root\n"
    refused = vm.ssh("sudo", "-n", "id", user=STRANGER)
    assert (refused.exit_status, refused.out) == (1, "")
    assert "password is required" in refused.err


def test_arguments_and_input_arrive_as_they_are(vm: VirtualMachine) -> None:
    vm.put("a\n'b'\n", "/run/there/it is", mode="640")

    assert vm.sudo("cat", "/run/there/it is").out == "a\n'b'\n"
    assert vm.sudo("stat", "-c", "%a %U", "/run/there/it is").out == "640 root\n"


def test_only_the_host_key_of_the_image_is_accepted(vm: VirtualMachine, tmp_path: Path) -> None:
    (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{vm.port} {(vm.image.folder / 'identity.pub').read_text()}")
    argv = ["ssh", *vm.ssh_options, "-o", f"UserKnownHostsFile={tmp_path}/known_hosts", vm.name, "true"]

    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 255
    assert "Host key verification failed" in done.stderr


def test_its_engine_answers(vm: VirtualMachine) -> None:
    done = vm.sudo("docker", "version", "--format", "{{.Client.Version}} {{.Server.Version}}")

    client, server = done.out.split()
    assert client.partition("+")[0] == server.partition("+")[0] == "20.10.24"


@pytest.mark.parametrize("module", MODULES)
def test_kernel_has(vm: VirtualMachine, module: str) -> None:
    done = vm.sudo("modprobe", module)

    assert done.exit_status == 0, done.err
    assert module in [line.split()[0] for line in vm.ssh("cat", "/proc/modules").out.splitlines()]


def test_client_has_no_engine(client_vm: VirtualMachine) -> None:
    links = {link["ifname"] for link in json.loads(client_vm.ssh("ip", "-j", "link").out)}

    assert links == {"lo", "eth0", "eth1"}
    assert "dockerd" not in client_vm.ssh("ps", "-eo", "comm=").out.split()


# -- whom it reaches


@pytest.mark.parametrize("family", [4, 6])
def test_vms_reach_each_other_until_the_cable_is_pulled(
    two_vms: tuple[VirtualMachine, VirtualMachine], family: int
) -> None:
    pairs = [(one.ipv4 if family == 4 else one.ipv6) for one in two_vms]
    first, second = two_vms

    assert greet(first, pairs[1]) == [pairs[0], "SSH-"]
    assert greet(second, pairs[0]) == [pairs[1], "SSH-"]
    second.unplug("segment")
    try:
        how, _ = greet(first, pairs[1])
    finally:
        second.plug("segment")
    assert how in ("TimeoutError", "OSError")
    until(
        lambda: greet(first, pairs[1]) == [pairs[0], "SSH-"],
        what=f"{second.name} on the segment again",
        timeout_s=ANSWER_S,
    )


def test_it_does_not_reach_the_machine_below(vm: VirtualMachine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SILENCE_S)
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            listener.accept()[0].close()

        # 10.0.2.2 is what QEMU calls it.
        how, _ = greet(vm, "10.0.2.2", port)

        assert how in ("TimeoutError", "ConnectionRefusedError", "OSError")
        with pytest.raises(TimeoutError):
            listener.accept()


# -- cutting it off


class Echo:
    """A connection over ssh that says back what it is told."""

    def __init__(self, machine: VirtualMachine) -> None:
        self.process = subprocess.Popen(
            ["ssh", *machine.ssh_options, machine.name, "cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def say(self, text: str) -> None:
        assert self.process.stdin is not None
        os.write(self.process.stdin.fileno(), text.encode())

    def hear(self, timeout_s: float) -> str:
        """What comes within that time; "" for nothing."""
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], timeout_s)
        return os.read(self.process.stdout.fileno(), 100).decode() if readable else ""

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.mark.parametrize(("cut", "heal"), [("unplug", "plug"), ("freeze", "thaw")])
def test_a_connection_falls_silent_and_goes_on(vm: VirtualMachine, cut: str, heal: str) -> None:
    echo = Echo(vm)
    try:
        echo.say("before")
        assert echo.hear(ANSWER_S) == "before"

        getattr(vm, cut)()
        try:
            echo.say("meanwhile")
            assert echo.hear(SILENCE_S) == ""
            assert echo.process.poll() is None
        finally:
            getattr(vm, heal)()

        assert echo.hear(ANSWER_S) == "meanwhile"
    finally:
        echo.close()


def test_a_connection_to_a_killed_vm_ends(own_vm: VirtualMachine) -> None:
    echo = Echo(own_vm)
    try:
        echo.say("before")
        assert echo.hear(ANSWER_S) == "before"

        own_vm.kill()

        assert echo.process.wait(ANSWER_S) == 255
    finally:
        echo.close()


_BOOT_AND_WAIT = """
import pathlib, sys
from selftests.vm.image import Image
from selftests.vm.machine import Segment, VirtualMachine
print(VirtualMachine("vm1", Image(pathlib.Path(sys.argv[1])), pathlib.Path(sys.argv[2]), Segment()).pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_the_process_that_booted_it(image: Image, tmp_path: Path, number: signal.Signals) -> None:
    argv = [sys.executable, "-c", _BOOT_AND_WAIT, str(image.folder), str(tmp_path)]
    parent = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert start_time(pid) is not None

        parent.send_signal(number)

        parent.wait(10)
        until(lambda: start_time(pid) is None, what="the end of QEMU", timeout_s=10)
    finally:
        parent.kill()
        parent.communicate()
