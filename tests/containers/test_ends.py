"""Every way that a run in a container can end, and what is refused before it begins."""

from __future__ import annotations

import pytest

from tests import engine
from tests.conftest import wait_for
from tests.outcomes.ground import Watcher, none_made, two_lines

from .conftest import Desk

FOREVER = "import time\nprint('up', flush=True)\nfor _ in range(6000):\n    time.sleep(0.1)"
SAVED = b'"saved\\n"'
"""What a cell has printed, as a notebook holds it."""
GREEDY = "held = []\nwhile True:\n    held.append(bytearray(10_000_000))"


def watched(desk: Desk, *cells: str) -> Watcher:
    """A run in the background, once its first cell has printed `up`."""
    watcher = Watcher(desk.folder, "run", desk.notebook(*cells), "-t", "there", "--json")
    watcher.printed("up")
    return watcher


def container(desk: Desk, watcher: Watcher):
    """The container of a run."""
    return desk.ground.named(f"jupyterctl-run-{watcher.run}")


def test_a_kernel_that_takes_too_much_memory(desk: Desk) -> None:
    desk.describe(memory="300m")
    outcome = desk.run("print('before')", GREEDY)
    assert (outcome.code, outcome.run["state"]) == (6, "kernel-died")
    assert outcome.run["error"]["name"] == "OutOfMemory"
    assert outcome.texts()[0] == "before\n"


def test_a_limit_that_is_too_low_for_papermill_itself(desk: Desk) -> None:
    desk.describe(memory="24m")
    outcome = desk.run("1")
    assert (outcome.code, outcome.run["state"]) == (6, "kernel-died")
    assert "memory" in outcome.run["error"]["value"]


def test_a_container_that_somebody_removes(desk: Desk, cli) -> None:
    watcher = watched(desk, FOREVER)
    container(desk, watcher).remove(force=True)
    outcome = watcher.outcome(cli)
    assert (outcome.code, outcome.run["state"]) == (3, "lost")
    assert outcome.run["error"]["name"] == "ContainerRemoved"


def test_a_container_that_somebody_kills(desk: Desk, cli) -> None:
    watcher = watched(desk, "print('saved')", FOREVER)
    wait_for(lambda: SAVED in desk.ground.copies(container(desk, watcher).name, "/jupyterctl/run")["run/out.ipynb"])
    container(desk, watcher).kill()
    outcome = watcher.outcome(cli)
    assert (outcome.code, outcome.run["state"]) == (3, "lost")
    assert outcome.run["error"]["name"] == "ContainerEnded"
    assert outcome.texts()[0] == "saved\n"


def test_a_container_that_somebody_stops(desk: Desk, cli) -> None:
    """As an engine does that goes down: the notebook is saved, and the run says that it was cancelled."""
    watcher = watched(desk, FOREVER)
    container(desk, watcher).stop()
    outcome = watcher.outcome(cli)
    assert (outcome.code, outcome.run["state"]) == (4, "cancelled")
    assert "SIGTERM" in outcome.run["error"]["value"]
    assert "up" in outcome.texts()[0]


def test_lines_longer_than_a_message_of_the_log(desk: Desk) -> None:
    outcome = desk.run("class Long(Exception): pass\nraise Long('ä' * 30000)")
    assert outcome.code == 1
    assert len(str(outcome.events[-1])) > 20_000


def test_a_large_result_arrives_whole(desk: Desk) -> None:
    outcome = desk.run("print('x' * 40_000_000)")
    assert len(outcome.texts()[0]) == 40_000_001


def test_files_there_belong_to_the_user_that_is_asked_for(desk: Desk) -> None:
    """Even one whom the image does not know; such a user has a home, too."""
    data = desk.ground.folder / "data"
    data.mkdir()
    data.chmod(0o777)
    (data / "in.txt").write_text("21")
    readable = f"{data}:/inputs:ro"
    desk.describe(user="4321:4322", mounts=[str(data), readable])
    outcome = desk.run(
        f"import os, getpass, pathlib\nhere = pathlib.Path({str(data)!r})\n(here / 'out.txt').write_text('x')\n"
        "(pathlib.Path.home() / 'mine').write_text('y')\nprint(os.getuid(), bool(getpass.getuser()))",
        "print(pathlib.Path('/inputs/in.txt').read_text())",
        "try:\n    pathlib.Path('/inputs/out').write_text('x')\nexcept OSError as error:\n    print(error.strerror)",
    )
    assert outcome.code == 0, outcome.run["error"]
    assert outcome.texts() == ["4321 True\n", "21\n", "Read-only file system\n"]
    made = (data / "out.txt").stat()
    assert (made.st_uid, made.st_gid) == (4321, 4322)


def test_a_notebook_in_the_folder_to_work_in_works_where_it_lies(desk: Desk) -> None:
    desk.describe(workdir=str(desk.folder))
    (desk.folder / "helper.py").write_text("answer = 42")
    outcome = desk.run("import helper, os\nopen('made.txt', 'w').close()\nprint(helper.answer, os.getcwd())")
    assert outcome.texts() == [f"42 {desk.folder}\n"]
    assert (desk.folder / "made.txt").exists()


def test_what_it_may_use(desk: Desk) -> None:
    """Limits, shared memory and variables arrive."""
    desk.describe(cpus=0.5, memory="400m", shm_size="80m", env={"COLOUR": "blue"}, network="none")
    outcome = desk.run(
        "import os, shutil, socket\nprint(os.environ['COLOUR'], shutil.disk_usage('/dev/shm').total // 2**20)",
        "try:\n    socket.create_connection(('192.0.2.1', 80), 1)\nexcept OSError as error:\n    print(error.strerror)",
    )
    assert outcome.texts() == ["blue 80\n", "Network is unreachable\n"]
    host = desk.ground.named(f"jupyterctl-run-{outcome.run['id']}").attrs["HostConfig"]
    assert (host["NanoCpus"], host["Memory"]) == (500_000_000, 400 * 2**20)


@pytest.mark.parametrize(
    ("settings", "said", "advice"),
    [
        ({"python": "/usr/bin/python3"}, "no papermill and no ipykernel", "install = true"),
        ({"python": "no-such-python"}, "has no `no-such-python`", "python"),
        ({"python": "cat"}, "`cat` of", "python"),
        ({"image": "no/such:image"}, "has no image `no/such:image`", "docker pull"),
        ({"image": "127.0.0.1:9/no/such:image", "pull": "missing"}, "cannot be pulled", "docker login"),
        ({"engine": "unix:///nowhere.sock"}, "no engine listens at `unix:///nowhere.sock`", "start it"),
        ({"engine": "elsewhere"}, "no context `elsewhere`", "contexts:"),
        ({"workdir": "/no/such/folder"}, "`/no/such/folder` is not there", "workdir"),
        ({"mounts": ["data:here"]}, "`data:here` is no mount", "write it like"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_cannot_be_is_told_before_anything_is_made(desk: Desk, cli, settings, said: str, advice: str) -> None:
    desk.describe(**settings)
    lines = two_lines(cli("run", desk.notebook("1"), "-t", "there"), 2 if "context" in said or "mount" in said else 3)
    assert said in lines
    assert advice in lines
    assert none_made(cli)


@pytest.mark.parametrize(
    ("settings", "said", "advice"),
    [
        ({"gpus": "all"}, "refuses", "NVIDIA Container Toolkit"),
        ({"network": "no-such-network"}, "refuses", "network"),
        ({"mounts": ["/no/such/folder"]}, "/no/such/folder", "mounts"),
    ],
    ids=["gpus", "network", "mounts"],
)
def test_what_the_engine_refuses_leaves_nothing_there(desk: Desk, cli, settings, said: str, advice: str) -> None:
    desk.describe(**settings)
    done = cli("run", desk.notebook("1"), "-t", "there")
    assert done.returncode == 3
    lines = "\n".join(done.stderr.splitlines()[-2:])
    assert said in lines
    assert advice in lines
    assert desk.ground.containers() == []


def test_an_installation_that_fails_says_why(desk: Desk) -> None:
    desk.describe(python="/usr/bin/python3", install=True)
    outcome = desk.run("1")
    assert (outcome.code, outcome.run["error"]["name"]) == (3, "NotInstalled")
    assert "papermill" in outcome.run["error"]["value"]


def test_what_is_missing_is_installed_where_the_profile_says_so(desk: Desk) -> None:
    image = engine.without(engine.IMAGE, desk.ground.folder / "image", "papermill", "jupyterlab", "ipykernel")
    desk.describe(image=image, install=True, env=engine.FROM_WHEELS)
    outcome = desk.run("import papermill\nprint(papermill.__file__)")
    assert outcome.code == 0, outcome.run["error"]
    assert "papermill" in outcome.texts()[0]
