"""An ssh server of paramiko's that asks what a real one would ask with PAM: passwords, codes in several rounds.

It stands in for a real sshd here because that one takes passwords only of this machine's accounts.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path

import paramiko
from paramiko.common import AUTH_FAILED, AUTH_PARTIALLY_SUCCESSFUL, AUTH_SUCCESSFUL

PASSWORD, CODE = "correct horse", "314159"


class Rules(paramiko.ServerInterface):
    """What it wants: the methods in turn, each to be passed."""

    def __init__(self, wanted: list[str], key: paramiko.PKey | None, log: list[str]) -> None:
        self.wanted, self.key, self.log = list(wanted), key, log
        self.round = 0

    def get_allowed_auths(self, username: str) -> str:
        return self.wanted[0] if self.wanted else "none"

    def check_auth_password(self, username: str, password: str) -> int:
        return self._settle("password", password == PASSWORD)

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return self._settle("publickey", key == self.key, signed=True)

    def check_auth_interactive(self, username: str, submethods: str):
        if self.wanted[0] != "keyboard-interactive":
            return AUTH_FAILED
        self.round = 1
        return paramiko.InteractiveQuery("Two steps", "Please answer\x1b[31m", ("Password: ", False))

    def check_auth_interactive_response(self, responses: list[str]):
        self.log.append(f"round {self.round}")
        if self.round == 1:
            if list(responses) != [PASSWORD]:
                return self._settle("keyboard-interactive", False)
            self.round = 2
            return paramiko.InteractiveQuery("", "", ("Code from your phone: ", True))
        if self.round == 2 and list(responses) == [CODE]:
            self.round = 3
            return paramiko.InteractiveQuery("", "Welcome")
        return self._settle("keyboard-interactive", self.round == 3)

    def _settle(self, method: str, right: bool, signed: bool = False) -> int:
        self.log.append(f"{method} {'right' if right else 'wrong'}")
        if not right or self.wanted[0] != method:
            return AUTH_FAILED
        if len(self.wanted) > 1:
            self.wanted.pop(0)
            return AUTH_PARTIALLY_SUCCESSFUL
        return AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        if b"cat" in command:
            channel.sendall(b"jupyterctl-is-in\n")
        else:
            channel.sendall(b"here\n")
            channel.send_exit_status(0)
            threading.Timer(0.1, _close, (channel,)).start()
        return True


def _close(channel: paramiko.Channel) -> None:
    with suppress(EOFError, OSError):  # who has asked may be gone
        channel.close()


class StandIn:
    """Listens on 127.0.0.1 until it is closed."""

    def __init__(self, folder: Path, wanted: list[str], key: Path | None = None) -> None:
        self.log: list[str] = []
        self._wanted = wanted
        self._key = paramiko.Ed25519Key.from_private_key_file(str(key)) if key else None
        self._host_key = paramiko.RSAKey.generate(2048)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._made: list[paramiko.Transport] = []
        self.port = self._server.getsockname()[1]
        self.known_hosts = f"[127.0.0.1]:{self.port} ssh-rsa {self._host_key.get_base64()}\n"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            while True:
                transport = paramiko.Transport(self._server.accept()[0])
                transport.add_server_key(self._host_key)
                self._made.append(transport)
                transport.start_server(event=threading.Event(), server=Rules(self._wanted, self._key, self.log))
        except OSError:
            return

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for transport in self._made:
            transport.close()
