"""VMs to try the ssh target on. They are booted only where this folder is named: `tox -e vm`, `pytest selftests/vm`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from selftests.vm.image import Image, held
from selftests.vm.machine import VirtualMachine
from selftests.vm.rack import Rack

HERE = Path(__file__).resolve().parent


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Leave these tests out of a run of all selftests: they take minutes, and QEMU."""
    named = ((config.invocation_params.dir / argument.partition("::")[0]).resolve() for argument in config.args)
    return None if any(HERE in (path, *path.parents) for path in named) else True


@pytest.fixture(scope="session")
def image() -> Iterator[Image]:
    """The disk that VMs boot from."""
    with held() as image:
        yield image


@pytest.fixture(scope="session")
def rack(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    """The VMs that tests share, on one segment. Who breaks one mends it; who can't takes `own_vm`."""
    with Rack(image, tmp_path_factory.mktemp("rack")) as rack:
        yield rack


@pytest.fixture(scope="session")
def vm(rack: Rack) -> VirtualMachine:
    """A VM with a running engine."""
    return rack.get("vm1")[0]


@pytest.fixture(scope="session")
def two_vms(rack: Rack) -> tuple[VirtualMachine, VirtualMachine]:
    """Two VMs with a running engine each, on one segment; the first is `vm`."""
    first, second = rack.get("vm1", "vm2")
    return first, second


@pytest.fixture(scope="session")
def client_vm(rack: Rack) -> VirtualMachine:
    """A VM without an engine, on the segment of the others."""
    return rack.get("client")[0]


@pytest.fixture
def own_vm(image: Image, tmp_path: Path) -> Iterator[VirtualMachine]:
    """A VM with a running engine, and a segment, that nobody else uses: a test may do away with it."""
    with Rack(image, tmp_path) as rack:
        yield rack.get("vm1")[0]
