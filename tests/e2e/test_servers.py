"""Labs through the installed command: start, open, status, logs, stop, autostart; and one in a real browser."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from tests.conftest import COMMAND, PATIENCE, Cli, need, notebook, wait_for
from tests.environment_fixtures import site, virtual
from tests.terminal import conversation

from .browser import execute, new_notebook, printed

PHASES = ["environment", "process", "address", "http"]


@pytest.fixture
def lab(home: Path, cli: Cli, tmp_path: Path) -> Path:
    """The folder in which the profile `lab` is started; it runs."""
    folder = home / "config/profiles"
    folder.mkdir(parents=True)
    (folder / "lab.toml").write_text(f'kind = "local"\nenvironment = "venv:{sys.prefix}"\n')
    work = tmp_path / "work"
    work.mkdir()
    started = cli("start", "lab", "--no-open", cwd=work)
    assert started.returncode == 0, started.stderr
    return work


def running(cli: Cli, name: str = "lab") -> dict:
    """What `status --json` says of one."""
    return json.loads(cli("status", name, "--json").stdout)["servers"][0]


def busy_kernel(cli: Cli, tmp_path: Path) -> str:
    """Start a kernel that counts for a long time; its id."""
    import http.client
    from urllib.parse import parse_qs, urlsplit

    from jupyter_client import BlockingKernelClient

    at = urlsplit(cli("open", "lab", "--url").stdout.strip())
    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=30)
    token = parse_qs(at.query)["token"][0]
    connection.request("POST", "/api/kernels", '{"name": "python3"}', {"Authorization": f"token {token}"})
    kernel = json.loads(connection.getresponse().read())["id"]
    client = BlockingKernelClient(connection_file=str(tmp_path / f"runtime/kernel-{kernel}.json"))
    client.load_connection_file()
    client.start_channels(hb=False)  # by its beat, a kernel that is slow to start has died
    client.wait_for_ready(timeout=60)
    client.execute("import time\ntime.sleep(600)")
    wait_for(lambda: client.get_iopub_msg(timeout=60)["msg_type"] == "execute_input")  # what is unsent is forgotten
    client.stop_channels()
    wait_for(lambda: running(cli)["health"]["kernels"]["busy"] == 1)
    return kernel


def test_a_start_that_is_waited_for_no_longer_goes_on(lab: Path, cli: Cli) -> None:
    assert cli("stop", "lab").returncode == 0
    starting = subprocess.Popen([COMMAND, "start", "lab"], stderr=subprocess.PIPE, text=True, cwd=lab)
    assert starting.stderr is not None
    assert any("✓ process" in line for line in starting.stderr)
    starting.send_signal(signal.SIGINT)
    said = starting.communicate(timeout=PATIENCE)[1].splitlines()
    assert starting.returncode == 130
    assert said[-2:] == ["error: interrupted; `lab` may come up nonetheless", "hint: end it by: jupyterctl stop lab"]
    wait_for(lambda: running(cli)["health"]["http"] == "ok")


def test_a_lab_from_start_to_stop(lab: Path, cli: Cli) -> None:
    server = running(cli)
    assert (server["state"], server["link"]["state"], server["health"]["http"]) == ("running", "up", "ok")
    assert server["root"] == str(lab)
    assert "token" not in json.dumps(server)
    again = cli("start", "lab", "--no-open", "--json", cwd=lab)
    answer = json.loads(again.stdout)
    assert answer["server"]["pid"] == server["pid"]
    assert again.stderr == ""
    url = cli("open", "lab", "--url").stdout
    assert url.startswith(server["link"]["url"] + "lab?token=")
    assert json.loads(cli("open", "lab", "--json").stdout) == {"url": url.strip()}
    restarted = cli("restart", "lab")
    assert [line.split()[1] for line in restarted.stderr.splitlines()[:4]] == PHASES
    assert cli("open", "lab", "--url").stdout == url
    assert "Jupyter Server" in cli("logs", "lab").stdout
    assert len(json.loads(cli("logs", "lab", "-n", "2", "--json").stdout)["log"].splitlines()) == 2
    assert cli("stop", "lab").stderr == "stopped `lab`\n"
    assert running(cli)["state"] == "stopped"
    assert cli("stop", "lab").returncode == 0
    refused = cli("open", "lab")
    assert refused.returncode == 2
    assert refused.stderr.splitlines() == ["error: `lab` has no server", "hint: start it: jupyterctl start lab"]


def test_status_shows_layers_and_watches(lab: Path, cli: Cli) -> None:
    assert "● running" in cli("status").stdout
    layers = [line.split()[0] for line in cli("status", "lab").stdout.splitlines()]
    assert layers == ["LAYER", "state", "process", "link", "http", "kernels", "folder", "version"]
    command = [COMMAND, "status", "--watch", "--json"]
    watching = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert watching.stdout
    assert watching.stderr
    assert json.loads(watching.stdout.readline())["servers"][0]["state"] == "running"
    assert cli("stop", "lab").returncode == 0
    for line in watching.stdout:
        if json.loads(line)["servers"][0]["state"] == "stopped":
            break
    watching.send_signal(signal.SIGINT)
    assert watching.wait(PATIENCE) == 130
    assert watching.stderr.read() == "", "to be interrupted is how it ends"


def test_busy_kernels_are_asked_about(lab: Path, cli: Cli, tmp_path: Path) -> None:
    busy_kernel(cli, tmp_path)
    for verb in ("stop", "restart"):
        refused = cli(verb, "lab")
        assert refused.returncode == 2
        assert "computing" in refused.stderr
        assert "--yes" in refused.stderr.splitlines()[1]
    for verb, done in (("stop", "stopped"), ("restart", "restarted")):
        code, seen = conversation([verb, "lab"], {verb.capitalize(): ["n"]}, tmp_path)
        assert code == 1
        assert seen.rstrip().endswith(f"nothing was {done}")
    assert running(cli)["state"] == "running"
    assert cli("stop", "lab", "--yes").returncode == 0
    assert running(cli)["state"] == "stopped"


def test_logs_are_followed(lab: Path, cli: Cli) -> None:
    following = subprocess.Popen([COMMAND, "logs", "lab", "-f", "-n", "1"], stdout=subprocess.PIPE, text=True)
    assert following.stdout
    assert following.stdout.readline()
    threading.Timer(0, cli, ("stop", "lab")).start()
    for line in following.stdout:
        if "Shutting down" in line:
            break
    following.send_signal(signal.SIGINT)
    assert following.wait(PATIENCE) == 130


def test_the_browser_is_not_told_the_token_on_its_command_line(lab: Path, cli: Cli, tmp_path: Path) -> None:
    told = tmp_path / "told"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$@" >{told}.part\nmv {told}.part {told}\n')
    browser.chmod(0o755)
    assert cli("open", "lab", env={"BROWSER": str(browser)}).returncode == 0
    page = Path(wait_for(lambda: told.exists() and told.read_text().strip()).removeprefix("file://"))
    token = cli("open", "lab", "--url").stdout.strip().partition("token=")[2]
    assert token not in str(page)
    assert token in page.read_text()
    assert page.stat().st_mode & 0o077 == 0


def test_a_shell_opens_in_the_servers_session(lab: Path, cli: Cli, tmp_path: Path) -> None:
    need("tmux", shutil.which("tmux"), "apt install tmux")
    pane = ["tmux", "new-session", "-d", "-s", "person", "-x", "100", "-y", "30"]
    subprocess.run([*pane, f"env -u TMUX {COMMAND} shell lab"], check=True, cwd=lab, timeout=PATIENCE)
    windows = ["tmux", "list-panes", "-s", "-t", "=jupyterctl-lab", "-F", "#{pane_id}"]
    shell = wait_for(lambda: subprocess.run(windows, capture_output=True, text=True, check=True).stdout.split()[1:])[0]
    answer = tmp_path / "answer"
    subprocess.run(["tmux", "send-keys", "-t", shell, f"echo $VIRTUAL_ENV $PWD >{answer}", "Enter"], check=True)
    assert wait_for(lambda: answer.exists() and answer.read_text()) == f"{sys.prefix} {lab}\n"
    restarted = cli("restart", "lab")
    assert restarted.returncode == 0, restarted.stderr
    assert psutil.pid_exists(running(cli)["pid"])


def test_start_offers_to_make_a_lab(home: Path, cli: Cli, tmp_path: Path) -> None:
    """Without an answer nothing is made, and the hint is a command that makes one."""
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True, timeout=PATIENCE)
    folder = home / "config/profiles"
    folder.mkdir(parents=True)
    (folder / "lab.toml").write_text(f'kind = "local"\nenvironment = "venv:{bare}"\n')
    refused = cli("start", "lab", "--no-open")
    assert refused.returncode == 3
    lines = [line for line in refused.stderr.splitlines() if line.startswith(("error", "hint"))]
    assert "has no JupyterLab" in lines[0]
    assert str(bare) in lines[1]
    assert "jupyterlab" in lines[1]


def test_autostart_writes_a_unit_that_systemd_accepts(home: Path, cli: Cli, tmp_path: Path) -> None:
    need("systemd", shutil.which("systemd-analyze"), "apt install systemd")
    odd = tmp_path / "a 100% folder"
    odd.mkdir()
    config = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    shown = cli("autostart", "on", "local", "--dry-run", "--json", env=config, cwd=odd)
    wanted = json.loads(shown.stdout)["autostart"]
    unit = Path(wanted["file"])
    assert not unit.exists()
    turned = cli("autostart", "on", "local", env=config, cwd=odd)
    assert turned.returncode == 0, turned.stderr
    assert unit == tmp_path / "config/systemd/user/jupyterctl-local.service"
    assert unit.read_text() == wanted["text"] == turned.stdout
    assert (unit.parent / "default.target.wants" / unit.name).resolve() == unit
    verified = subprocess.run(
        ["systemd-analyze", "--user", "verify", unit],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert unit.name not in verified.stderr
    assert verified.returncode == 0, verified.stderr
    listed = json.loads(cli("autostart", "list", "--json", env=config).stdout)["autostart"]
    assert [(one["name"], one["file"]) for one in listed] == [("local", str(unit))]
    assert cli("autostart", "off", "local", env=config).returncode == 0
    assert not unit.exists()
    assert not (unit.parent / "default.target.wants" / unit.name).is_symlink()
    assert cli("autostart", "off", "local", env=config).returncode == 2


def test_the_unit_starts_the_lab(home: Path, cli: Cli, tmp_path: Path) -> None:
    """What its lines say, executed as they stand."""
    shown = cli("autostart", "on", "local", "--dry-run", "--json")
    lines = json.loads(shown.stdout)["autostart"]["text"].splitlines()
    commands = {line.partition("=")[0]: line.partition("=")[2] for line in lines if line.startswith("Exec")}
    subprocess.run(["sh", "-c", commands["ExecStart"]], check=True, cwd=tmp_path, timeout=120)
    assert running(cli, "local")["state"] == "running"
    subprocess.run(["sh", "-c", commands["ExecStop"]], check=True, cwd=tmp_path, timeout=120)
    assert running(cli, "local")["state"] == "stopped"


def test_a_cell_is_executed_in_the_browser(lab: Path, cli: Cli) -> None:
    with new_notebook(cli("open", "lab", "--url").stdout.strip(), lab) as page:
        execute(page, "6*7")
        printed(page, "42")
        assert running(cli)["health"]["kernels"]["idle"] == 1


def test_a_project_without_jupyterlab_has_its_kernel_in_the_lab(home: Path, cli: Cli, tmp_path: Path) -> None:
    """The lab is another environment's; a notebook runs in the project's own, activated."""
    project = tmp_path / "project"
    prefix = virtual(project / ".venv", "ipykernel")
    shutil.rmtree(site(prefix) / "ipykernel")
    borrowed = next(path for path in sys.path if path.endswith("site-packages"))
    (site(prefix) / "borrowed.pth").write_text(f"import sys; sys.path.append({borrowed!r})\n")
    started = cli("start", "local", "--no-open", cwd=project)
    assert started.returncode == 0, started.stderr
    assert "`.venv` has no JupyterLab" in started.stderr
    path = project / "where.ipynb"
    notebook(path, "import os, sys\nprint(sys.prefix, os.environ['VIRTUAL_ENV'])")
    specs = tmp_path / "home/state/servers/local/jupyter"
    (kernel,) = [folder.name for folder in (specs / "kernels").iterdir()]
    code = (
        "import sys, nbformat; from nbclient import NotebookClient as C; n = nbformat.read(sys.argv[1], 4)\n"
        "C(n, kernel_name=sys.argv[2]).execute(); print(n.cells[0].outputs[0].text)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path, kernel],
        env={**os.environ, "JUPYTER_PATH": str(specs)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.split() == [str(prefix)] * 2


def test_logs_of_a_run_are_shown_by_another_command(home: Path, cli: Cli, tmp_path: Path) -> None:
    done = cli("run", notebook(tmp_path / "n.ipynb", "1"), "--json")
    name = json.loads(done.stdout.splitlines()[0])["run"]
    refused = cli("logs", name)
    assert refused.returncode == 2
    assert f"jupyterctl runs logs {name}" in refused.stderr.splitlines()[1]
    assert "there is no profile `nothing`" in cli("logs", "nothing").stderr
    assert "the log of `local` is empty" in cli("logs", "local").stderr


def test_status_with_nothing_says_how_to_begin(home: Path, cli: Cli) -> None:
    assert "jupyterctl start local" in cli("status").stderr
