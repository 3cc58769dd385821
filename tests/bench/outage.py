"""How soon a lost way is noticed, and how soon the lab answers again once it is back, beside autossh and a loop of ssh.

Every outage is everybody's: ours, autossh and the loop lead to the same lab over the same line, each at a port of its
own, and are asked at once when it is mended. Their settings are those that a careful person would choose.
"""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from statistics import median

from jupyterctl.core.opening import WATCHED_SECONDS
from jupyterctl.core.pulse import ASLEEP
from jupyterctl.errors import JupyterctlError
from jupyterctl.model import LinkState
from tests.faults.near import NAME, Near
from tests.sshd import free_port

from .ground import begin, ended, fresh, somebody, ssh
from .table import Table, Target

PATIENCE = 90.0
OUTAGE_SECONDS = 20.0
MILLISECONDS = 20
"""Each way, while it is seen how soon the lab answers again."""
LOOKS_SECONDS = 0.5
POLL_SECONDS = 0.002
CAREFUL = ("ServerAliveInterval=5", "ServerAliveCountMax=2", "ConnectTimeout=4", "ExitOnForwardFailure=yes")
NOTICED = {"idle": 15.0, "while somebody looks": 5.0, "after a key": 3.0, "after a wake": 3.0}
KILLED = {"paramiko": 0.3, "openssh": 0.5}
RATIO, LATER = Target("<=", 1.3), 1.0


def main(kinds: Sequence[str], table: Table, *, quick: bool, notice: bool = True, recover: bool = True) -> None:
    """Every row for each of these transports."""
    with somebody() as near:
        for kind in kinds:
            begin(near, kind)
            if notice:
                noticed(near, kind, table, 1 if quick else 3)
            if recover:
                recovered(near, kind, table, 1 if quick else 3)


# -- noticed ----------------------------------------------------------------------------------------------------------


def noticed(near: Near, kind: str, table: Table, rounds: int) -> None:
    """The longest of some rounds, for each way to lose it."""
    for how, (lose, limit) in ways(kind).items():
        found = []
        for _ in range(rounds):
            found.append(lose(near))
            near.machine.sshd.stop()
            near.machine.restore()
            near.becomes(LinkState.UP)
        worst = max(found)
        table.put(f"{how}", kind, f"{worst:.2f} s", (worst, Target("<=", limit)), detail=f"least {min(found):.2f}")


def ways(kind: str) -> dict[str, tuple[Callable[[Near], float], float]]:
    """How it is lost, by the row's name, with the seconds within which it is to be noticed."""
    cuts = {"idle": cut_idle, "while somebody looks": cut_watched, "after a key": cut_key, "after a wake": cut_asleep}
    silent = {f"silent cut noticed, {name}": (lose, NOTICED[name]) for name, lose in cuts.items()}
    return {**silent, "sshd killed, noticed": (killed, KILLED[kind])}


def cut_idle(near: Near) -> float:
    """Nobody looks."""
    time.sleep(WATCHED_SECONDS + 1)
    near.machine.line.cut()
    return until_down(near)


def cut_watched(near: Near) -> float:
    """A dashboard is open."""
    with looking(near):
        time.sleep(2 * LOOKS_SECONDS)
        near.machine.line.cut()
        return until_down(near)


def cut_key(near: Near) -> float:
    """Somebody presses `r` just after it."""
    near.machine.line.cut()
    pressed = threading.Thread(target=press, args=(near,))
    pressed.start()
    seconds = until_down(near)
    near.machine.restore()
    pressed.join()
    return seconds


def cut_asleep(near: Near) -> float:
    """The keeper does not run while it happens, nor for a while after it."""
    keeper = near.keeper()
    keeper.send_signal(signal.SIGSTOP)
    near.machine.line.cut()
    time.sleep(ASLEEP + 1)
    keeper.send_signal(signal.SIGCONT)
    return until_down(near)


def killed(near: Near) -> float:
    """The processes of our connection, and nobody is let in again."""
    sshd = near.machine.sshd
    sshd.suspend()
    victims = sshd.sessions()
    began = time.monotonic()
    for each in victims:
        each.kill()
    return until_down(near, began)


def until_down(near: Near, began: float | None = None) -> float:
    """Seconds until the keeper says so in the store, where nobody asks it."""
    began = began or time.monotonic()
    while near.said().state is LinkState.UP:
        if time.monotonic() - began > PATIENCE:
            raise SystemExit("a lost way was not noticed")
        time.sleep(POLL_SECONDS)
    return time.monotonic() - began


@contextmanager
def looking(near: Near) -> Iterator[None]:
    """A dashboard is open meanwhile."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOKS_SECONDS):
            near.row()

    looker = threading.Thread(target=look)
    looker.start()
    try:
        yield
    finally:
        over.set()
        looker.join()


def press(near: Near) -> None:
    """What `r` does."""
    with suppress(JupyterctlError):
        list(near.session.reconnect(NAME))


# -- back again -------------------------------------------------------------------------------------------------------


def recovered(near: Near, kind: str, table: Table, rounds: int) -> None:
    """Seconds from the mended line to the lab's answer at the old port; ours with `r` and by itself."""
    line = near.machine.line
    line.become(milliseconds=MILLISECONDS)
    measures: dict[str, list[float]] = {"r": [], "itself": [], "autossh": [], "loop": [], "fresh": []}
    with rivals(near) as ports, looking(near):
        for number in range(2 * rounds):
            how = "itself" if number % 2 else "r"
            for name, seconds in outage(near, ports, how).items():
                measures[name].append(seconds)
            measures["fresh"].append(fresh_seconds(near))
    line.become()
    middle = {name: median(values) for name, values in measures.items()}
    row = f"restored after {OUTAGE_SECONDS:.0f} s at {2 * MILLISECONDS} ms → lab answers"
    ratio = middle["r"] / middle["fresh"]
    table.put(f"{row}, by `r`", kind, f"{middle['r']:.2f} s, {ratio:.2f} of `ssh host true` + GET", (ratio, RATIO))
    allowed = min(RATIO.figure * middle["fresh"] + LATER, middle["autossh"], middle["loop"])
    text = f"{middle['itself']:.2f} s; autossh {middle['autossh']:.2f}, loop {middle['loop']:.2f}"
    table.put(f"{row}, by itself", kind, text, (middle["itself"], Target("<=", round(allowed, 2))))


def outage(near: Near, ports: dict[str, int], how: str) -> dict[str, float]:
    """One cut for all, and how soon each leads to the lab again."""
    near.machine.line.cut()
    time.sleep(OUTAGE_SECONDS)
    own = int(near.url.partition(":")[2])
    with ThreadPoolExecutor() as pool:
        near.machine.line.mend()
        began = time.monotonic()
        waits = {name: pool.submit(until_answer, near, port, began) for name, port in ports.items()}
        waits[how] = pool.submit(until_pressed if how == "r" else until_up, near, own, began)
        return {name: wait.result() for name, wait in waits.items()}


def until_pressed(near: Near, port: int, began: float) -> float:
    """The same when `r` is pressed, which ends with such a request of its own."""
    press(near)
    seconds = time.monotonic() - began
    return seconds if answered(near, port) else float("inf")


def until_up(near: Near, port: int, began: float) -> float:
    """The same when the keeper does it alone: who knocked before would make it try at once."""
    while near.said().state is not LinkState.UP and time.monotonic() - began < PATIENCE:
        time.sleep(POLL_SECONDS)
    return until_answer(near, port, began)


def until_answer(near: Near, port: int, began: float) -> float:
    """Seconds until an authenticated request is answered through a port."""
    while not answered(near, port):
        if time.monotonic() - began > PATIENCE:
            return float("inf")
        time.sleep(0.02)
    return time.monotonic() - began


def answered(near: Near, port: int) -> bool:
    """Whether the lab answers there, to who has its token, within two seconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/api/status", headers={"Authorization": f"token {near.token}"})
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def fresh_seconds(near: Near) -> float:
    """`ssh host true` and then the same request through our link, which is up."""
    began = time.monotonic()
    subprocess.run(fresh(near), stdin=subprocess.DEVNULL, check=True)
    answered(near, int(near.url.partition(":")[2]))
    return time.monotonic() - began


@contextmanager
def rivals(near: Near) -> Iterator[dict[str, int]]:
    """autossh and a loop of ssh, each with a port that leads to the lab."""
    dial = near.session.store.kept(NAME)[NAME].address.via
    assert dial is not None
    made, ports = [], {}
    for name in ("autossh", "loop"):
        ports[name] = port = free_port()
        forward = ("-N", "-L", f"127.0.0.1:{port}:127.0.0.1:{dial.port}")
        words = ssh(near, *forward, *(part for option in CAREFUL for part in ("-o", option)))
        looped = ["sh", "-c", 'while :; do "$@"; sleep 1; done', "loop", *words]
        command = ["autossh", "-M", "0", *words[1:]] if name == "autossh" else looped
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        surroundings = {**os.environ, "AUTOSSH_GATETIME": "0"}
        made.append(subprocess.Popen(command, env=surroundings, start_new_session=True, **quiet))
    try:
        for port in ports.values():
            until_answer(near, port, time.monotonic())
        yield ports
    finally:
        for each in made:
            ended(each)
