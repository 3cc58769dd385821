"""Commands, files, probes and the end of a way over a real sshd."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
from pathlib import Path

import paramiko
import pytest

from jupyterctl.transport.ssh.connection import ParamikoWay
from jupyterctl.transport.ssh.sockets import as_socket
from jupyterctl.transport.ssh.way import ClosedError, Stream, Way
from tests.conftest import PATIENCE, wait_for
from tests.sshd import Sshd

from .conftest import Connect, connect
from .far import Far, blob


def everything(stream: Stream) -> bytes:
    parts = []
    while data := stream.read(1 << 20):
        parts.append(data)
    return b"".join(parts)


def test_it_is_a_way(way: ParamikoWay) -> None:
    given: Way = way
    assert given.description == "box"
    assert given.why == ""


def test_the_fast_cipher_is_chosen(way: ParamikoWay) -> None:
    assert way.transport.local_cipher == way.transport.remote_cipher == "aes128-gcm@openssh.com"
    assert way.transport.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("cipher", ["aes128-ctr", "aes256-gcm@openssh.com"])
def test_other_ciphers_and_compression_carry_too(sshd: Sshd, far: Far, cipher: str) -> None:
    from jupyterctl.transport.ssh.transport import FastTransport

    transport = FastTransport(socket.create_connection((sshd.address, sshd.port)))
    transport.get_security_options().ciphers = (cipher,)
    transport.use_compression()
    transport.start_client(timeout=20)
    transport.auth_publickey("root", paramiko.Ed25519Key.from_private_key_file(str(sshd.user_key)))
    assert (transport.local_cipher, transport.local_compression) == (cipher, "zlib@openssh.com")
    way = ParamikoWay(transport, "x")
    stream = way.execute("cat")
    stream.write(blob(1_000_000))
    stream.end_input()
    assert everything(stream) == blob(1_000_000)
    ours = way.dial(far.to)
    ours.sendall(b"send 1000000\n")
    got = b""
    while data := ours.recv(1 << 20):
        got += data
    assert got == blob(1_000_000)
    way.close()


def test_a_command_s_output_errors_and_status(way: ParamikoWay) -> None:
    stream = way.execute("echo out; echo err >&2; exit 3")
    assert everything(stream) == b"out\n"
    assert stream.wait(PATIENCE) == 3
    wait_for(lambda: stream.errors() == "err\n")
    stream.close()


def test_a_command_reads_and_writes_bytes(way: ParamikoWay) -> None:
    stream, data = way.execute("cat"), blob(20_000_000)

    def send() -> None:
        stream.write(data)
        stream.end_input()

    thread = threading.Thread(target=send)
    thread.start()
    assert everything(stream) == data
    thread.join()
    assert stream.wait(PATIENCE) == 0


def test_of_much_written_to_standard_error_the_end_is_kept(way: ParamikoWay) -> None:
    stream = way.execute("head -c 20000000 /dev/zero | tr '\\0' x >&2; echo end >&2")
    assert everything(stream) == b""
    assert stream.wait(PATIENCE) == 0
    assert stream.errors().endswith("xxend\n")
    assert len(stream.errors()) == 64 << 10


def test_a_command_that_is_not_read_is_held_up_and_not_lost(way: ParamikoWay) -> None:
    stream = way.execute("head -c 30000000 /dev/zero; echo done >&2")
    assert way.execute("echo hi").read(100) == b"hi\n"
    assert stream.errors() == ""
    assert len(everything(stream)) == 30_000_000
    assert stream.wait(PATIENCE) == 0


def test_a_command_that_runs_on_has_no_status_yet(way: ParamikoWay) -> None:
    stream = way.execute("sleep 60")
    assert stream.wait(0.1) is None
    stream.close()


def test_a_command_ended_by_a_signal_has_none(way: ParamikoWay) -> None:
    assert way.execute("kill -9 $$").wait(PATIENCE) is None


def test_files_go_both_ways(way: ParamikoWay, tmp_path: Path) -> None:
    data = blob(30_000_000)
    (tmp_path / "a").write_bytes(data)
    with way.files() as files:
        files.put(str(tmp_path / "a"), str(tmp_path / "b"))
        files.get(str(tmp_path / "b"), str(tmp_path / "c"))
    assert (tmp_path / "c").read_bytes() == data


def test_a_probe_is_answered_and_timed(way: ParamikoWay) -> None:
    way.execute("true").wait(PATIENCE)
    heard = way.heard()
    way.probe()
    wait_for(way.round_trip)
    assert way.heard() > heard


def test_a_silent_machine_is_not_heard(new_way: Connect, sshd: Sshd) -> None:
    way = new_way()
    way.execute("true").wait(PATIENCE)
    sshd.kill_sessions(signal.SIGSTOP)
    heard = way.heard()
    way.probe()
    assert not way.closed.wait(0.5)
    assert (way.heard(), way.round_trip()) == (heard, None)
    way.close()
    assert way.why == "it was closed here"
    sshd.kill_sessions()


def test_what_waits_ends_with_the_way(new_way: Connect, sshd: Sshd) -> None:
    way = new_way()
    stream, failed = way.execute("sleep 60"), []

    def read() -> None:
        try:
            stream.read(1)
        except ClosedError as error:
            failed.append(error.message)

    thread = threading.Thread(target=read)
    thread.start()
    sshd.kill_sessions()
    thread.join(PATIENCE)
    assert failed
    assert way.closed.wait(PATIENCE)
    for use in (lambda: way.execute("true"), way.files, way.probe, lambda: stream.write(b"x")):
        with pytest.raises(ClosedError):
            use()


@pytest.mark.parametrize("error", [EOFError(), ConnectionResetError(), BrokenPipeError()], ids=repr)
def test_an_end_from_the_other_side_has_one_name(way: ParamikoWay, error: Exception) -> None:
    """Whether the thread that reads or the one that writes has noticed it first."""
    way.transport.saved_exception = error
    assert way.transport.reason() == "the other side closed it"


def test_closing_leaves_nothing_behind(new_way: Connect, far: Far) -> None:
    before = len(list(Path("/proc/self/fd").iterdir())), threading.active_count()
    for _ in range(3):
        way = new_way()
        way.execute("sleep 60")
        way.dial(far.to).close()
        way.close()
        assert way.closed.is_set()
    wait_for(lambda: (len(list(Path("/proc/self/fd").iterdir())), threading.active_count()) <= before)


def test_a_jump_goes_through_a_way(way: ParamikoWay, sshd: Sshd) -> None:
    behind = connect(sshd, way.dial(("127.0.0.1", sshd.port)))
    assert everything(behind.execute("echo there")) == b"there\n"
    behind.close()


def test_a_channel_of_paramiko_carries_one_too(way: ParamikoWay, sshd: Sshd) -> None:
    channel = way.transport.open_channel("direct-tcpip", ("127.0.0.1", sshd.port), ("127.0.0.1", 0))
    behind = connect(sshd, channel)
    assert everything(behind.execute("head -c 3000000 /dev/zero")) == bytes(3_000_000)
    behind.close()


def test_a_proxy_command_carries_one_too(sshd: Sshd) -> None:
    code = (
        "import socket,sys,threading,os;s=socket.create_connection(('127.0.0.1',%d));"
        "threading.Thread(target=lambda:[s.sendall(d) for d in iter(lambda:os.read(0,65536),b'')],daemon=True).start();"
        "[os.write(1,d) for d in iter(lambda:s.recv(65536),b'')]"
    )
    import shlex
    import sys

    command = paramiko.ProxyCommand(shlex.join([sys.executable, "-c", code % sshd.port]))
    behind = connect(sshd, command)
    assert everything(behind.execute("head -c 3000000 /dev/zero")) == bytes(3_000_000)
    behind.close()
    assert wait_for(lambda: command.process.poll() is not None)


def test_the_ssh_program_logs_in_to_the_same_server(sshd: Sshd, tmp_path: Path) -> None:
    config = sshd.write_config(tmp_path)
    done = subprocess.run(
        ["ssh", "-F", config, "box", "echo hi"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "hi\n", done.stderr


def test_a_real_socket_is_used_as_it_is() -> None:
    with socket.socket() as given:
        assert as_socket(given) is given
