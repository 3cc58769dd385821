"""Commands in a pod, over a websocket of the API: their input and output as bytes, and their exit code."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Any

from ...errors import TargetError, UnreachableError
from ..contained.files import Files
from ..polling import readable
from .api import Cluster, MissingError

STDIN, STDOUT, STDERR, STATUS = range(4)
PROTOCOL = "v4.channel.k8s.io"
UNAUTHORIZED = 401
_GONE = ("container not found", "completed pod", "not running")
"""How nodes say that a pod's container has ended."""
OPEN_SECONDS = 10.0
"""How long each step of opening one may take."""
SILENCE_SECONDS = 60.0
"""How long a command may say nothing while something of it is awaited."""
PING_SECONDS = 5.0
"""How long a websocket may be silent before proxies are shown that it is in use."""


def connect(cluster: Cluster, pod: str, verb: str, query: Sequence[tuple[str, str]], protocol: str = PROTOCOL) -> Any:
    """A websocket to a pod, for `exec` or `portforward`; raises what `Cluster.ask` does."""
    import websocket
    from kubernetes.stream.ws_client import get_websocket_url

    configuration = cluster.client.configuration
    headers: dict[str, str] = {"sec-websocket-protocol": protocol}
    if (bearer := configuration.auth_settings().get("BearerToken")) is not None:
        headers["authorization"] = bearer["value"]
    url = f"{configuration.host}/api/v1/namespaces/{cluster.namespace}/pods/{pod}/{verb}"
    try:
        return _opened(configuration, get_websocket_url(url, query), headers)
    except websocket.WebSocketBadStatusException as error:
        body = error.resp_body.decode("utf-8", "replace") if error.resp_body else ""
        try:
            said = json.loads(body).get("message", body)
        except (json.JSONDecodeError, AttributeError):
            said = body or str(error)
        if any(word in said for word in _GONE):
            raise MissingError(said) from error
        raise cluster.refused(error.status_code, said) from error
    except (websocket.WebSocketException, OSError) as error:
        raise cluster.silent(error) from error


def answered(error: TargetError) -> bool:
    """Whether the API server refused a websocket on somebody else's behalf: it is there, and knows us."""
    import websocket

    cause = error.__cause__
    return isinstance(cause, websocket.WebSocketBadStatusException) and cause.status_code != UNAUTHORIZED


def _opened(configuration: Any, url: str, headers: dict[str, str]) -> Any:
    """As the SDK's `create_websocket`, but that it gives up: an API server may be gone without a word."""
    import ssl

    import websocket
    from kubernetes.stream.ws_client import websocket_proxycare

    verified = configuration.verify_ssl
    wanted = {
        "cert_reqs": ssl.CERT_REQUIRED if verified else ssl.CERT_NONE,
        "ca_certs": configuration.ssl_ca_cert if verified else None,
        "check_hostname": configuration.assert_hostname if verified else False,
        "certfile": configuration.cert_file,
        "keyfile": configuration.key_file,
        "server_hostname": configuration.tls_server_name,
    }
    made = websocket.WebSocket(sslopt={key: value for key, value in wanted.items() if value is not None})
    asked = {"header": [f"{name}: {value}" for name, value in headers.items()], "timeout": OPEN_SECONDS}
    made.connect(url, **websocket_proxycare(asked, configuration, url, headers))
    made.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


class FailedError(TargetError):
    """A command in a pod ended with another exit code than 0."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(f"a command in the pod failed: {said or code}")
        self.code = code


class Command:
    """A command that executes in a pod's container."""

    def __init__(self, cluster: Cluster, pod: str, command: Sequence[str], *, stdin: bool = False) -> None:
        query = [("command", word) for word in command]
        query += [("container", "main"), ("stdout", "true"), ("stderr", "true"), ("tty", "false")]
        query += [("stdin", "true")] if stdin else []
        self._socket = connect(cluster, pod, "exec", [(key, value) for key, value in query])
        self._socket.settimeout(SILENCE_SECONDS)
        self._cluster = cluster
        self._errors = bytearray()
        self._early = bytearray()
        """Output that came while its input was sent."""
        self.code: int | None = None
        """Its exit code, once its output has ended."""

    def write(self, data: bytes | memoryview) -> None:
        """Send a piece of its input."""
        import websocket

        try:
            self._socket.send(bytes([STDIN]) + data, opcode=websocket.ABNF.OPCODE_BINARY)
        except (websocket.WebSocketException, OSError) as error:
            raise UnreachableError(f"the way into the pod was lost: {error}", "try again") from error

    def answered(self) -> bool:
        """Whether it has written something, or ended, before its input has."""
        import websocket

        try:
            while self.code is None and readable(self._socket.sock):
                self._early += self._hear()
        except (websocket.WebSocketException, OSError) as error:
            raise UnreachableError(f"the way into the pod was lost: {error}", "try again") from error
        return bool(self._early) or self.code is not None

    def output(self) -> Iterator[bytes]:
        """What it writes, as it comes; UnreachableError where the way is lost before it has ended."""
        import websocket

        try:
            if self._early:
                yield bytes(self._early)
            while self.code is None:
                if data := self._hear():
                    yield data
        except (websocket.WebSocketException, OSError) as error:
            raise UnreachableError(f"the way into the pod was lost: {error}", "try again") from error
        finally:
            self._socket.close()

    def _hear(self) -> bytes:
        """The next of what it says: of its output, that; what else it may be is kept."""
        import websocket

        opcode, data = self._receive()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            raise UnreachableError("the way into the pod was lost", "try again")
        if data[:1] == bytes([STDERR]):
            self._errors += data[1:]
        elif data[:1] == bytes([STATUS]):
            self.code = code(data[1:])
        return data[1:] if data[:1] == bytes([STDOUT]) else b""

    def _receive(self) -> tuple[int, bytes]:
        """The next of what it says; whoever carries it is shown meanwhile that somebody waits."""
        import websocket

        deadline = time.monotonic() + SILENCE_SECONDS
        self._socket.settimeout(PING_SECONDS)
        while True:
            try:
                opcode, data = self._socket.recv_data()
            except websocket.WebSocketTimeoutException:
                if time.monotonic() > deadline:
                    raise
                self._socket.ping()
            else:
                return opcode, data

    def result(self) -> bytes:
        """All its output; FailedError with its own words where it fails, TargetError where it cannot be executed."""
        data = b"".join(self.output())
        self.checked()
        return data

    def checked(self) -> None:
        """Raise FailedError, with its own words, where it has failed."""
        if self.code:
            said = self._errors.decode("utf-8", "replace").strip().splitlines()
            raise FailedError(self.code, said[-1] if said else "")


def run(cluster: Cluster, pod: str, command: Sequence[str]) -> bytes:
    """The output of a command in a pod."""
    return Command(cluster, pod, command).result()


def files(cluster: Cluster, pod: str, python: str, folder: str) -> Files:
    """The files of a pod, relative paths from a folder of it; its Python does the work."""

    def begin(command: Sequence[str], stdin: bool) -> Command:
        return Command(cluster, pod, command, stdin=stdin)

    return Files(begin, python, folder)


def code(status: bytes) -> int:
    """The exit code in a status of the API's."""
    told = json.loads(status)
    if told.get("status") == "Success":
        return 0
    causes = (told.get("details") or {}).get("causes") or [{}]
    try:
        return int(causes[0].get("message", ""))
    except ValueError:
        raise TargetError(f"the pod cannot execute it: {told.get('message', '')}") from None
