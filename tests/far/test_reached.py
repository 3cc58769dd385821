"""How a lab elsewhere is reached: directly, with and without TLS, and at a unix socket; and what is warned about."""

from __future__ import annotations

import json
import socket
import ssl
import urllib.request
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil

from tests.conftest import certified
from tests.sshd import free_port

from .box import NAME, Box
from .conftest import Boxes

DIRECT = 'link = "direct"\n[server]\nport = {port}\nargs = {args}\n'
WARNING = "everybody who reaches the machine's port meets its login page"


def started(cli) -> tuple[dict, str]:
    """Start the lab; its status, and what was said."""
    done = cli("start", NAME, "--no-open")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(cli("status", NAME, "--json").stdout)["servers"]
    return row, done.stderr


def listening(pid: int) -> list[str]:
    """The addresses at which a process listens."""
    found = psutil.Process(pid).net_connections(kind="tcp")
    return [one.laddr.ip for one in found if one.status == psutil.CONN_LISTEN]


def pid(cli) -> int:
    return int(json.loads(cli("status", NAME, "--json").stdout)["servers"][0]["pid"])


def ask(cli, context: ssl.SSLContext | None = None) -> str:
    """The lab's answer at the address that `open` gives; and that address without its token."""
    url = urlsplit(cli("open", NAME, "--url").stdout.strip())
    token = parse_qs(url.query)["token"][0]
    request = urllib.request.Request(
        f"{url.scheme}://{url.netloc}/api/status", headers={"Authorization": f"token {token}"}
    )
    with urllib.request.urlopen(request, timeout=30, context=context) as answer:
        assert "kernels" in json.load(answer)
    return f"{url.scheme}://{url.netloc}"


def test_directly_without_tls_and_with_a_warning(boxes: Boxes, cli) -> None:
    port = free_port()
    boxes(profile=DIRECT.format(port=port, args="[]"))
    row, said = started(cli)
    assert WARNING in said
    assert ask(cli) == f"http://127.0.0.1:{port}"
    assert listening(pid(cli)) == ["0.0.0.0"]
    assert row["link"]["state"] == "up"
    assert row["health"]["http"] == "ok"
    assert cli("stop", NAME).returncode == 0


def test_directly_with_tls(boxes: Boxes, cli, tmp_path: Path) -> None:
    port = free_port()
    certificate, key = certified(tmp_path)
    args = f'["--ServerApp.certfile={certificate}", "--ServerApp.keyfile={key}"]'
    boxes(profile=DIRECT.format(port=port, args=args))
    row, said = started(cli)
    assert WARNING in said
    assert ask(cli, ssl.create_default_context(cafile=str(certificate))) == f"https://127.0.0.1:{port}"
    assert row["health"]["http"] == "ok"


def test_a_unix_socket_that_only_its_owner_can_open(boxes: Boxes, cli) -> None:
    box = boxes(profile="[server]\nsocket = true\n")
    row, said = started(cli)
    there = box.state / "servers" / NAME / "lab.sock"
    assert there.is_socket()
    assert there.stat().st_mode & 0o077 == 0
    assert str(there) in said
    assert listening(pid(cli)) == []
    assert ask(cli) == row["link"]["url"].rstrip("/")
    assert cli("reconnect", NAME).returncode == 0
    ask(cli)


def fake_slurm(box: Box) -> None:
    """Have the machine look as a login node of a cluster does."""
    program = Path(box.variables["PATH"]) / "sbatch"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)


def test_a_login_node_says_where_labs_belong(boxes: Boxes, cli) -> None:
    fake_slurm(boxes(without=("sbatch",)))
    _, said = started(cli)
    assert "`slurm`" in said
    assert "ProxyJump" in said


def test_the_port_of_a_direct_lab_that_is_taken_is_said(boxes: Boxes, cli) -> None:
    with socket.create_server(("0.0.0.0", 0)) as other:
        port = other.getsockname()[1]
        boxes(profile=DIRECT.format(port=port, args="[]"))
        failed = cli("start", NAME, "--no-open")
    assert failed.returncode == 3
    assert f"port {port} of `{NAME}` is taken by" in failed.stderr
