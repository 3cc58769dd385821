"""One machine and one lab a module: what happens to them is each test's, and each leaves them as it found them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import end_all

from .machine import Machine
from .near import Kernel, Near


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    made = Machine(tmp_path_factory.mktemp("m"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def near(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Near]:
    """Somebody with a home of their own, whose profile `far` is the machine; the lab is started."""
    folder = tmp_path_factory.mktemp("n")
    home = folder / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTERCTL_HOME", str(home))
        patch.setenv("HOME", str(folder))
        patch.delenv("SSH_AUTH_SOCK", raising=False)
        made = Near(folder, home, machine)
        made.start()
        yield made
        end_all("JUPYTERCTL_HOME", folder)


@pytest.fixture
def kernel(near: Near) -> Kernel:
    """One of the lab's, with a variable in it."""
    return near.kernel()


@pytest.fixture(autouse=True)
def _restored(machine: Machine) -> Iterator[None]:
    yield
    machine.restore()
