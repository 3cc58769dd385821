"""A forwarder for the link benchmark.

`python -m tests.bench.forwarder KIND HOST PORT KEY TO LOCAL` prints `ready` once it forwards.
"""

from __future__ import annotations

import signal
import socket
import sys


def paramiko(host: str, port: int, key: str, to: int, local: int) -> object:
    """Our listener over our transport."""
    from paramiko import Ed25519Key

    from jupyterctl.transport.listener import Listener
    from jupyterctl.transport.ssh.connection import ParamikoWay
    from jupyterctl.transport.ssh.transport import FastTransport

    transport = FastTransport(socket.create_connection((host, port)))
    transport.start_client(timeout=20)
    transport.auth_publickey("root", Ed25519Key.from_private_key_file(key))
    listener = Listener(local)
    listener.start()
    listener.use(ParamikoWay(transport, "bench"), ("127.0.0.1", to))
    return listener


def openssh(host: str, port: int, key: str, to: int, local: int) -> object:
    """Our listener over the ssh program."""
    import tempfile
    from pathlib import Path

    from jupyterctl.transport.listener import Listener
    from jupyterctl.transport.ssh.open import connect

    config = Path(tempfile.mkdtemp()) / "config"
    lines = f"HostName {host}", f"Port {port}", "User root", f"IdentityFile {key}", "IdentitiesOnly yes"
    known = "StrictHostKeyChecking no", f"UserKnownHostsFile {config.parent / 'known'}"
    config.write_text("Host bench\n" + "".join(f"  {line}\n" for line in (*lines, *known)))
    way = connect("bench", ask=lambda _question: None, report=lambda *_: None, transport="openssh", config=config)
    listener = Listener(local)
    listener.start()
    listener.use(way, ("127.0.0.1", to))
    return listener


def sshtunnel(host: str, port: int, key: str, to: int, local: int) -> object:
    """sshtunnel as it ships."""
    from sshtunnel import SSHTunnelForwarder

    forwarder = SSHTunnelForwarder(
        (host, port),
        ssh_username="root",
        ssh_pkey=key,
        ssh_config_file=None,
        allow_agent=False,
        host_pkey_directories=[],
        local_bind_address=("127.0.0.1", local),
        remote_bind_address=("127.0.0.1", to),
    )
    forwarder.start()
    return forwarder


KINDS = {"paramiko": paramiko, "openssh": openssh, "sshtunnel": sshtunnel}

if __name__ == "__main__":
    kind, host, port, key, to, local = sys.argv[1:]
    kept = KINDS[kind](host, int(port), key, int(to), int(local))
    print("ready", flush=True)
    signal.pause()
