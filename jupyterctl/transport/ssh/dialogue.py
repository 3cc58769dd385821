"""The part of the ssh protocol in which a client says who it is, one step at a time, in the caller's own thread.

It takes the place of paramiko's, which asks the person in the thread that reads the connection, shows no machine a
public key before it signs with it, and does not say what the machine allows.
"""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

from paramiko import Message, SSHException
from paramiko.common import (
    MSG_SERVICE_ACCEPT,
    MSG_USERAUTH_BANNER,
    MSG_USERAUTH_FAILURE,
    MSG_USERAUTH_INFO_REQUEST,
    MSG_USERAUTH_SUCCESS,
)

from ...errors import UnreachableError
from .keys import Key
from .transport import FastTransport

logging.getLogger("paramiko").addHandler(logging.NullHandler())  # its failures are not printed over the dashboard

_SERVICE_REQUEST, _REQUEST, _RESPONSE = b"\x05", b"\x32", b"\x3d"
_ALSO = MSG_USERAUTH_INFO_REQUEST
"""60 means another thing for each method: a question, a key that is acceptable, a password that must be changed."""
_RSA = ("rsa-sha2-512", "rsa-sha2-256")
_CERT = "-cert-v01@openssh.com"

Prompts = Sequence[tuple[str, bool]]
"""Each a text, and whether what is typed may be seen."""
Answer = Callable[[str, str, Prompts], list[str] | None]
"""Answers to a title, an instruction and prompts; None: nobody answers."""


class Outcome(Enum):
    """What came of one try."""

    YES = "yes"
    """Logged in."""
    PARTLY = "partly"
    """Right, and something more is wanted."""
    NO = "no"


class LoginTransport(FastTransport):
    """A transport that remembers why the other side ended it."""

    parting = ""
    """What the machine said when it ended the connection."""

    def _parse_disconnect(self, m: Message) -> None:
        m.get_int()
        self.parting = m.get_text()

    def ask_for(self, host_keys: Sequence[str]) -> None:
        """The host key algorithms that are wanted, best first; before `start_client`."""
        self._preferred_keys = tuple(host_keys)

    def send(self, message: Message) -> None:
        """Send a message."""
        self._send_message(message)


class Dialogue:
    """One connection's login; what paramiko's transport takes for its `auth_handler`."""

    def __init__(self, transport: LoginTransport, user: str, seconds: float) -> None:
        self._transport, self.user = transport, user
        self._seconds = self._left = seconds
        self._came: queue.SimpleQueue[tuple[int, Message] | None] = queue.SimpleQueue()
        self._authenticated = False
        self.methods: tuple[str, ...] = ()
        """What the machine allows next, as it last said."""
        self.banner = ""
        self.password_expired = False
        self._handler_table: dict[int, Callable[[Message], object]] = {
            number: self._put(number)
            for number in (
                MSG_SERVICE_ACCEPT,
                MSG_USERAUTH_FAILURE,
                MSG_USERAUTH_SUCCESS,
                MSG_USERAUTH_BANNER,
                _ALSO,
            )
        }
        untyped: Any = transport
        untyped.auth_handler = self

    # -- what the transport calls, in the thread that reads ------------------------------------------------------------

    def _put(self, number: int) -> Callable[[Message], object]:
        def put(message: Message) -> None:
            if number == MSG_USERAUTH_SUCCESS:
                self._authenticated = True
                untyped: Any = self._transport
                untyped._auth_trigger()  # noqa: SLF001 - as its own handler does, before the next message is read
            self._came.put((number, message))

        return put

    def is_authenticated(self) -> bool:
        """Whether the machine has let us in."""
        return self._authenticated

    def get_username(self) -> str:
        """Who logs in."""
        return self.user

    def abort(self) -> None:
        """The connection has ended."""
        self._came.put(None)

    # -- steps --------------------------------------------------------------------------------------------------------

    def begin(self) -> Outcome:
        """Say who logs in; `methods` is what the machine allows after that."""
        message = Message()
        message.add_byte(_SERVICE_REQUEST)
        message.add_string("ssh-userauth")
        self._transport.send(message)
        while self._next()[0] != MSG_SERVICE_ACCEPT:
            pass
        self._transport.send(self._request("none"))
        return self._outcome()

    def takes(self, blob: bytes) -> bool:
        """Whether the machine would let this public key or certificate in."""
        message = self._request("publickey")
        message.add_boolean(False)
        message.add_string(self._algorithm(blob))
        message.add_string(blob)
        self._transport.send(message)
        number, answer = self._next()
        if number == MSG_USERAUTH_FAILURE:
            self._failure(answer)
        return number == _ALSO

    def prove(self, key: Key) -> Outcome:
        """Log in with a key that can sign."""
        if key.blob is None or key.sign is None:
            return Outcome.NO
        algorithm = self._algorithm(key.blob)
        message = self._request("publickey")
        message.add_boolean(True)
        message.add_string(algorithm)
        message.add_string(key.blob)
        signed = Message()
        signed.add_string(self._transport.session_id or b"")
        signed.add_bytes(message.asbytes())
        message.add_string(key.sign(signed.asbytes(), algorithm.removesuffix(_CERT)))
        self.rested()
        self._transport.send(message)
        return self._outcome()

    def password(self, password: str) -> Outcome:
        """Log in with a password."""
        message = self._request("password")
        message.add_boolean(False)
        message.add_string(password)
        self._transport.send(message)
        return self._outcome()

    def interactive(self, answer: Answer) -> Outcome | None:
        """Log in by answering whatever the machine asks, for as many rounds as it asks; None: nobody answers."""
        message = self._request("keyboard-interactive")
        message.add_string("")
        message.add_string("")
        self._transport.send(message)
        while True:
            number, asked = self._next()
            if number != _ALSO:
                return self._settle(number, asked)
            title, instruction, _language, count = asked.get_text(), asked.get_text(), asked.get_text(), asked.get_int()
            answers = answer(title, instruction, [(asked.get_text(), asked.get_boolean()) for _ in range(count)])
            self.rested()
            if answers is None:  # nor does the machine hear anything: an empty answer would count as a wrong one
                return None
            reply = Message()
            reply.add_byte(_RESPONSE)
            reply.add_int(len(answers))
            for each in answers:
                reply.add_string(each)
            self._transport.send(reply)

    @property
    def alive(self) -> bool:
        """Whether the connection is up."""
        return bool(self._transport.is_active())

    @property
    def parting(self) -> str:
        """What the machine said when it ended the connection; empty where it said nothing, or has not ended it."""
        return self._transport.parting

    def rested(self) -> None:
        """Time that a person took is not the machine's: it has all of its own again."""
        self._left = self._seconds

    # -- the wire -----------------------------------------------------------------------------------------------------

    def _request(self, method: str) -> Message:
        message = Message()
        message.add_byte(_REQUEST)
        for word in (self.user, "ssh-connection", method):
            message.add_string(word)
        return message

    def _algorithm(self, blob: bytes) -> str:
        """How to sign with a key: RSA by what the machine knows of the better hashes."""
        from .keys import kind

        name = kind(blob)
        if not name.startswith("ssh-rsa"):
            return name
        untyped: Any = self._transport
        known = untyped.server_extensions.get("server-sig-algs", b"").decode("ascii", "replace").split(",")
        best = next((each for each in _RSA if each in known), _RSA[0])
        return best + (_CERT if name.endswith(_CERT) else "")

    def _outcome(self) -> Outcome:
        return self._settle(*self._next())

    def _settle(self, number: int, message: Message) -> Outcome:
        if number == MSG_USERAUTH_SUCCESS:
            return Outcome.YES
        if number == _ALSO:
            self.password_expired = True
            return Outcome.NO
        return self._failure(message)

    def _failure(self, message: Message) -> Outcome:
        self.methods = tuple(message.get_list())
        return Outcome.PARTLY if message.get_boolean() else Outcome.NO

    def _next(self) -> tuple[int, Message]:
        """The machine's next message; UnreachableError where it takes too long, SSHException where it hangs up."""
        while True:
            began = time.monotonic()
            try:
                came = self._came.get(timeout=max(self._left, 0.01))
            except queue.Empty as error:
                raise UnreachableError(
                    f"the machine took longer than {self._seconds:.0f} s over the login", "it may be busy; try again"
                ) from error
            self._left -= time.monotonic() - began
            if came is None:
                raise SSHException(self._transport.parting or "it closed the connection")
            if came[0] != MSG_USERAUTH_BANNER:
                return came
            self.banner = came[1].get_text()
