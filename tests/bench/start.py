"""`jupyterctl start` until the server answers, against `jupyter lab` started by hand until it does."""

from __future__ import annotations

import http.client
import secrets
import signal
import socket
import subprocess
import sys
import time

from .timing import BIN, JUPYTERCTL, Ground, ground, line, machine, pairs_asked

TARGET = 1.10
PATIENCE = 120.0


def answers(port: int, token: str) -> bool:
    """Whether a server there accepts the token."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/api/status", headers={"Authorization": f"token {token}"})
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def by_hand(at: Ground) -> float:
    """Seconds until `jupyter lab` answers; it is ended afterwards."""
    port, token = free_port(), secrets.token_hex(32)
    command = [str(BIN / "jupyter"), "lab", "--no-browser", "--allow-root", f"--ServerApp.port={port}"]
    began = time.perf_counter()
    with subprocess.Popen(
        [*command, "--ServerApp.ip=127.0.0.1"],
        cwd=at.folder,
        env={**at.environment, "JUPYTER_TOKEN": token},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        while not answers(port, token):
            if server.poll() is not None or time.perf_counter() - began > PATIENCE:
                sys.exit("`jupyter lab` does not come up here")
            time.sleep(0.01)
        seconds = time.perf_counter() - began
        server.send_signal(signal.SIGTERM)
    return seconds


def ours(at: Ground) -> float:
    """Seconds that `jupyterctl start` takes, at whose end the server answers; it is ended afterwards."""
    seconds = at.seconds([JUPYTERCTL, "start", "local", "--no-open"])
    at.seconds([JUPYTERCTL, "stop", "local", "--yes"])
    return seconds


def main(pairs: int | None = None) -> None:
    """Both in turn, after one round that warms caches."""
    with ground() as folder:
        at = folder._replace(environment={**folder.environment, "JUPYTER_RUNTIME_DIR": str(folder.folder / "runtime")})
        ours(at), by_hand(at)
        measured = [(ours(at), by_hand(at)) for _ in range(pairs or 7)]
        print(line("start until it answers", measured, TARGET), flush=True)


if __name__ == "__main__":
    print(machine())
    main(pairs_asked())
