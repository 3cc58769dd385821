"""The first process of a lab's pod: `contained_lab`, with what a cluster needs beside it.

    PYTHON pod_lab.py FOLDER STATEFULSET ARGUMENT…

JupyterLab listens on the pod's loopback alone; whether it answers is told on PORT to whoever asks, and nothing else.
Where JupyterLab ended by itself, as it does when nobody uses it, the pod has the cluster scale its StatefulSet to zero.
Where it may not do that it says `idle` with its last breath, and rests until somebody sees it; MARK outlives the
container, so that the lab does not begin again meanwhile.
"""

import http.client
import json
import os
import signal
import socket
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LAB, PORT = 8888, 8889
START = "/start"
HOME, RUNTIME = "/jupyterctl/home", "/jupyterctl/runtime"
MARK, LAST_WORDS, IDLE = "/jupyterctl/idle", "/dev/termination-log", "idle"
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
SECONDS = 10
REFUSED, FAILED = 300, 500


class Readiness(BaseHTTPRequestHandler):
    """Answers as the lab does to `GET /api`, without its words."""

    def do_GET(self) -> None:
        """200 where the lab answers, else 503; START is answered as soon as it does, and later where it does not."""
        until = time.monotonic() + (SECONDS - 1 if self.path == START else 0)
        while not (there := answers()) and time.monotonic() < until:
            time.sleep(0.1)
        self.send_response(200 if there else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """The log is the lab's."""


class Server(ThreadingHTTPServer):
    """Listens on every address that the pod has."""

    daemon_threads = True
    address_family = socket.AF_INET6

    def server_bind(self) -> None:
        """Both families."""
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class OldServer(ThreadingHTTPServer):
    """The same where there is no IPv6."""

    daemon_threads = True


def answers() -> bool:
    """Whether the lab does; a base URL of its own, or a login page, is an answer too."""
    connection = http.client.HTTPConnection("127.0.0.1", LAB, timeout=SECONDS)
    try:
        connection.request("GET", "/api?no_track_activity=1")
        return connection.getresponse().status < FAILED
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def tell_readiness() -> None:
    """From now on, in the background."""
    try:
        server: ThreadingHTTPServer = Server(("::", PORT), Readiness)
    except OSError:
        server = OldServer(("", PORT), Readiness)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def scale_to_zero(name: str) -> bool:
    """Whether the cluster has taken it: no pod of the StatefulSet any more."""
    try:
        with open(os.path.join(ACCOUNT, "token")) as token, open(os.path.join(ACCOUNT, "namespace")) as namespace:
            headers = {"Authorization": "Bearer " + token.read(), "Content-Type": "application/merge-patch+json"}
            path = "/apis/apps/v1/namespaces/%s/statefulsets/%s/scale" % (namespace.read(), name)
        context = ssl.create_default_context(cafile=os.path.join(ACCOUNT, "ca.crt"))
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ["KUBERNETES_SERVICE_PORT"])
        connection = http.client.HTTPSConnection(host, port, timeout=SECONDS, context=context)
        connection.request("PATCH", path, json.dumps({"spec": {"replicas": 0}}), headers)
        return connection.getresponse().status < REFUSED
    except (OSError, KeyError, ValueError, http.client.HTTPException) as error:
        sys.stderr.write("the pod cannot ask for its own end: %s\n" % error)
        return False


def rest(name: str) -> None:
    """Wait for the end, which one of us has asked for; there is no lab meanwhile."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if not os.path.exists(MARK) and not scale_to_zero(name):
        with open(MARK, "w"):
            pass
        with open(LAST_WORDS, "w") as last:
            last.write(IDLE)
        sys.exit(0)
    while True:
        signal.pause()


def main(folder: str, name: str, *arguments: str) -> int:
    """The exit code of a lab that was killed, or asked to end."""
    import contained_lab  # lies beside this file in a pod

    tell_readiness()
    if os.path.exists(MARK):
        rest(name)
    for made in (HOME, RUNTIME, folder):
        os.makedirs(made, mode=0o700, exist_ok=True)
    if not os.access(os.environ.get("HOME") or "/", os.W_OK) or os.environ.get("HOME", "/") == "/":
        os.environ["HOME"] = HOME
    os.chdir(folder)
    code: int = contained_lab.main(list(arguments))
    if code == 0:
        rest(name)
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
