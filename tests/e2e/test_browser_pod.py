"""JupyterLab in a browser, its pod deleted under it: the page works again at the same address once the pod is back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import Space
from tests.conftest import wait_for
from tests.kube.conftest import space  # noqa: F401 - a fixture
from tests.kube.lab_ground import NAME, Lab

from .browser import execute, idle, new_notebook, printed, visit


@pytest.fixture
def lab(space: Space, home: Path, tmp_path: Path) -> Lab:  # noqa: F811
    """One whose files outlive the pod."""
    made = Lab(space, home, tmp_path / "work")
    made.on_a_disk(tmp_path / "disk")
    return made


@pytest.fixture
def page(lab: Lab, tmp_path: Path) -> Iterator[Any]:
    """The lab with a notebook open, its kernel idle."""
    with new_notebook(lab.start(), tmp_path) as page:
        yield page


def test_a_cell_is_executed_after_the_pod_was_deleted(lab: Lab, page: Any, tmp_path: Path) -> None:
    execute(page, "kept = 6 * 7; print('set', kept)")
    printed(page, "set 42")
    page.keyboard.press("Control+s")
    page.locator(".jp-Dialog .jp-mod-accept").click()  # the name that it has will do
    wait_for(lambda: "set 42" in (tmp_path / "disk/Untitled.ipynb").read_text())
    before = lab.delete_pod()
    wait_for(lambda: lab.uid() not in {"", before})
    wait_for(lambda: lab.session.status(NAME).health.http == "ok")
    visit(page, lab.session.server_url(NAME))
    idle(page)
    execute(page, "print('kept' in globals(), 6 * 8)")
    printed(page, "False 48")
