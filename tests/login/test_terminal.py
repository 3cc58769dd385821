"""A command with a terminal, through a real sshd, by both transports."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from jupyterctl.errors import JupyterctlError
from jupyterctl.transport.ssh.way import RefusedError, Screen, Terminal
from tests.conftest import PATIENCE, wait_for

from .conftest import TRANSPORTS, Site

SCREEN = Screen(term="screen-256color", columns=101, rows=37, variables={"LC_TIME": "C.UTF-8"})


class Watched:
    """What a terminal shows, read all the time."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal, self.text = terminal, ""
        self.error: JupyterctlError | None = None
        self.over = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while data := self.terminal.read(4096):
                self.text += data.decode()
        except JupyterctlError as error:
            self.error = error
        self.over.set()

    def shows(self, text: str) -> None:
        wait_for(lambda: text in self.text)


@pytest.fixture(params=TRANSPORTS)
def start(request: pytest.FixtureRequest, site: Site) -> Callable[..., Watched]:
    def begin(command: str, extra: str = "AcceptEnv LC_*") -> Watched:
        site.sshd(extra=extra, options="SendEnv LC_*")
        return Watched(site.open(transport=request.param).terminal(command, SCREEN))

    return begin


def test_it_is_as_ours_and_becomes_what_ours_becomes(start: Callable[..., Watched]) -> None:
    watched = start('echo $TERM $LC_TIME; stty size; read _; stty size; test -t 2 && echo "all three"; exit 7')
    watched.shows("screen-256color C.UTF-8\r\n37 101\r\n")
    watched.terminal.resize(80, 24)
    watched.terminal.write(b"\r")
    watched.shows("24 80\r\nall three\r\n")
    assert watched.over.wait(PATIENCE)
    assert watched.terminal.wait(PATIENCE) == 7
    watched.terminal.close()


def test_every_byte_passes(start: Callable[..., Watched]) -> None:
    """What a terminal makes of some of them is the machine's work alone, once."""
    watched = start("stty raw -echo; echo ready; head -c 6 | od -An -tx1; printf 'a\\nb'; sleep 1000")
    watched.shows("ready")
    watched.terminal.write(b"\x03\x04\x1a\r\n\x13")
    watched.shows(" 03 04 1a 0d 0a 13\na\nb")
    watched.terminal.close()


def test_an_interrupt_ends_the_command_and_not_us(start: Callable[..., Watched]) -> None:
    watched = start("echo on; exec sleep 1000")
    watched.shows("on")
    watched.terminal.write(b"\x03")
    assert watched.over.wait(PATIENCE)


def test_the_command_ends_when_we_let_go(start: Callable[..., Watched], site: Site) -> None:
    file = site.folder / "hung-up"
    watched = start(f"trap 'touch {file}; exit' HUP; echo on; while :; do sleep 0.05; done")
    watched.shows("on")
    watched.terminal.close()
    wait_for(file.exists)


def test_a_machine_that_gives_no_terminal(start: Callable[..., Watched]) -> None:
    """One of them says so at once, the other one once it is known."""

    def refused() -> None:
        watched = start("sleep 1000", extra="PermitTTY no")
        assert watched.over.wait(PATIENCE)
        assert watched.error
        raise watched.error

    with pytest.raises(RefusedError, match="gives us no terminal"):
        refused()
