"""ssh packets on a socket that is never waited for while writing.

paramiko's packetizer reads each packet with two or three small reads and writes with a blocking call, so a reader that
answers (a window, a rekey) can wait for a writer that waits for the reader. Here whatever is to be written is encrypted
in order, queued, and written as far as the kernel takes it; `writable` says that the rest waits for the socket. What
arrives is read in large pieces, and data of forwarded connections is delivered without building a message.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from paramiko import Message, SSHException
from paramiko.packet import NeedRekeyException, Packetizer

CHANNEL_DATA = 94
READ_BYTES = 1 << 20
"""Room for what has arrived and was not yet taken."""
LARGEST_PACKET = 1 << 18
"""The longest packet taken; OpenSSH's own limit."""
ENOUGH_BYTES = 1 << 18
"""More than this waiting for the socket: those who can wait should."""
AT_ONCE = 32
"""Packets handed to the kernel in one call."""
WIDE_BLOCK = 16
"""Bytes of a cipher's block from which 64 GiB may be sent with one key, as OpenSSH counts; below it 1 GiB."""
LOOK_UP_SECONDS = 1.0
"""How often the reader looks whether it should end, where nothing comes."""
PADDING = os.urandom(64)
GCM_BLOCK = GCM_TAG = 16
NO_KEYS = "no keys were agreed upon"

Deliver = Callable[[int, memoryview], bool]
"""Takes data of a channel by the channel's number; False: it is nobody's, treat it as any message."""


class FastPacketizer(Packetizer):
    """Packets of one connection; AES-GCM in a short path, every other cipher through paramiko's code."""

    REKEY_PACKETS = 1 << 31
    REKEY_BYTES = 1 << 36

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.last_heard = time.monotonic()
        """`time.monotonic()` of the last bytes from the other side."""
        self.deliver: Deliver = lambda _number, _data: False
        self.blocked: Callable[[], object] = lambda: None
        """Called when the socket takes no more; `flush` is to be called once it does."""
        self.broken: OSError | None = None
        """Why the socket could not be written to."""
        self._sock = sock
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._room = bytearray(READ_BYTES)
        self._view = memoryview(self._room)
        self._begin = self._end = 0
        self._ended = False
        self.sending = threading.RLock()
        self._drained = threading.Condition(self.sending)
        self._queue: deque[bytes | memoryview] = deque()
        self._waiting_bytes = 0
        self._seal: _Keys | None = None
        self._open: _Keys | None = None
        self._compress: Callable[[bytes], bytes] | None = None
        self._decompress: Callable[[bytes], bytes] | None = None
        self._sent_packets = self._received_packets = 0

    # -- writing ------------------------------------------------------------------------------------------------------

    def send_message(self, data: Message) -> None:
        """Encrypt a message, queue it, and write what the socket takes now."""
        with self.sending:
            if self._seal is None:
                super().send_message(data)
                self._sent_packets += 1
            else:
                self._seal_parts(data.asbytes())
                self.flush()

    def send_data(self, header: bytes, pieces: list[memoryview]) -> None:
        """Send pieces of a channel's data, each as long as the other side allows; `header` is type and channel."""
        with self.sending:
            for piece in pieces:
                if self._seal is None:
                    message = Message(b"".join((header, struct.pack(">I", len(piece)), piece)))
                    super().send_message(message)
                else:
                    self._seal_parts(header, struct.pack(">I", len(piece)), piece)
            self.flush()

    def _seal_parts(self, *parts: bytes | memoryview) -> None:
        keys = self._seal
        if keys is None:
            raise SSHException(NO_KEYS)
        if self._compress is not None:
            parts = (self._compress(b"".join(parts)),)
        length = sum(map(len, parts))
        padding = 19 - (length + 4) % 16
        head = struct.pack(">IB", length + padding + 1, padding)
        plain = b"".join((head[4:], *parts, PADDING[:padding]))
        sealed = keys.cipher.encrypt(keys.nonce(), plain, head[:4])
        self._queue.append(head[:4])
        self._queue.append(sealed)
        self._waiting_bytes += 4 + len(sealed)
        self._sent_packets += 1
        if keys.count(len(sealed), self.REKEY_PACKETS, self.REKEY_BYTES) and not self.need_rekey():
            self._trigger_rekey()

    def write_all(self, out: Any) -> None:
        """Queue bytes as they are, and write what the socket takes now."""
        with self.sending:
            self._queue.append(out)
            self._waiting_bytes += len(out)
            self.flush()

    def flush(self) -> bool:
        """Write what waits as far as the socket takes it; whether nothing is left."""
        with self.sending:
            while self._queue:
                pieces = [self._queue[number] for number in range(min(2 * AT_ONCE, len(self._queue)))]
                try:
                    count = self._sock.sendmsg(pieces)
                except (BlockingIOError, InterruptedError):
                    self.blocked()
                    break
                except OSError as error:
                    self._break(error)
                    break
                self._waiting_bytes -= count
                self._forget(count)
            if self._waiting_bytes < ENOUGH_BYTES:
                self._drained.notify_all()
            return not self._queue

    def _forget(self, count: int) -> None:
        while count:
            first = self._queue.popleft()
            if count < len(first):
                self._queue.appendleft(memoryview(first)[count:])
                return
            count -= len(first)

    def _break(self, error: OSError) -> None:
        """The reader meets the end of the stream and ends the connection, whichever thread wrote."""
        self.broken = self.broken or error
        self._queue.clear()
        self._waiting_bytes = 0
        self.close()

    @property
    def full(self) -> bool:
        """Whether enough waits for the socket already."""
        return self._waiting_bytes >= ENOUGH_BYTES

    def await_room(self) -> None:
        """Wait until less than enough waits for the socket, or the connection has ended."""
        with self._drained:
            while self.full and not self._ended:
                self._drained.wait(LOOK_UP_SECONDS)

    # -- reading ------------------------------------------------------------------------------------------------------

    def read_message(self) -> tuple[int, Message]:
        """The next message that is not data of a forwarded connection: its type, and what follows that."""
        if self._open is None:
            kind, message = super().read_message()
            self._received_packets += 1
            return kind, message
        while True:
            plain = self._next_packet()
            kind = plain[1]
            if kind == CHANNEL_DATA and self._decompress is None:
                number, size = struct.unpack_from(">II", plain, 2)
                if self.deliver(number, memoryview(plain)[10 : 10 + size]):
                    if self.need_rekey():
                        raise NeedRekeyException
                    continue
            payload = plain[1 : len(plain) - plain[0]]
            if self._decompress is not None:
                payload = self._decompress(payload)
            message = Message(payload[1:])
            message.seqno = (self._received_packets - 1) & 0xFFFFFFFF
            return payload[0], message

    def _next_packet(self) -> bytes:
        """The next packet's padding length, payload and padding."""
        keys = self._open
        if keys is None:
            raise SSHException(NO_KEYS)
        self._await(4, between=True)
        (length,) = struct.unpack_from(">I", self._room, self._begin)
        if length < GCM_BLOCK or length > LARGEST_PACKET:
            raise SSHException(f"a packet of {length} bytes")
        self._await(4 + length + GCM_TAG)
        begin = self._begin
        head, sealed = self._view[begin : begin + 4], self._view[begin + 4 : begin + 20 + length]
        plain: bytes = keys.cipher.decrypt(keys.nonce(), sealed, head)
        self._begin = begin + 20 + length
        self._received_packets += 1
        if keys.count(length + 20, self.REKEY_PACKETS, self.REKEY_BYTES):
            if not self.need_rekey():
                self._trigger_rekey()
            elif keys.sent > self.REKEY_BYTES + self.REKEY_BYTES_OVERFLOW_MAX:
                raise SSHException("the other side does not exchange new keys")
        return plain

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        """Exactly so many bytes."""
        self._await(n, between=check_rekey)
        found = bytes(self._view[self._begin : self._begin + n])
        self._begin += n
        return found

    def readline(self, timeout: float) -> str:
        """The next line, without its end; TimeoutError where it does not come in so many seconds."""
        deadline = time.monotonic() + timeout
        while (end := self._room.find(b"\n", self._begin, self._end)) < 0:
            if time.monotonic() > deadline:
                raise TimeoutError("no ssh server has answered in time")
            self._receive(min(timeout, LOOK_UP_SECONDS))
        line = bytes(self._view[self._begin : end]).rstrip(b"\r")
        self._begin = end + 1
        return line.decode(errors="replace")

    def _await(self, count: int, *, between: bool = False) -> None:
        """Read until so many bytes are there; NeedRekeyException between packets, where none comes and keys are old."""
        while self._end - self._begin < count:
            if self._receive(LOOK_UP_SECONDS):
                continue
            if self.handshake_timed_out():
                raise EOFError
            if between and self._begin == self._end and self.need_rekey():
                raise NeedRekeyException

    def _receive(self, seconds: float) -> bool:
        """Read once; whether anything came within so many seconds. EOFError at the end."""
        if self._begin == self._end:
            self._begin = self._end = 0
        elif READ_BYTES - self._end < LARGEST_PACKET:
            rest = self._end - self._begin
            self._room[:rest] = self._room[self._begin : self._end]
            self._begin, self._end = 0, rest
        try:
            count = self._sock.recv_into(self._view[self._end :])
        except (BlockingIOError, InterruptedError):
            if self._ended:
                raise EOFError from None
            return bool(self._poll.poll(seconds * 1000))
        if count == 0:
            raise EOFError
        self._end += count
        self.last_heard = time.monotonic()
        return True

    # -- keys ---------------------------------------------------------------------------------------------------------

    def set_outbound_cipher(self, *args: Any, **kw: Any) -> None:
        """Encrypt with new keys from here on."""
        super().set_outbound_cipher(*args, **kw)
        self._seal = self._keys(kw.get("aead"), kw.get("iv_out"), kw["block_engine"], kw["block_size"])

    def set_inbound_cipher(self, *args: Any, **kw: Any) -> None:
        """Decrypt with new keys from here on."""
        super().set_inbound_cipher(*args, **kw)
        self._open = self._keys(kw.get("aead"), kw.get("iv_in"), kw["block_engine"], kw["block_size"])

    def _keys(self, aead: object, nonce: bytes | None, cipher: Any, block: int) -> _Keys | None:
        self.REKEY_BYTES = min(type(self).REKEY_BYTES, 1 << 36 if block >= WIDE_BLOCK else 1 << 30)
        return _Keys(cipher, nonce) if aead and nonce is not None else None

    def set_outbound_compressor(self, compressor: Any) -> None:
        """Compress from here on."""
        super().set_outbound_compressor(compressor)
        self._compress = compressor

    def set_inbound_compressor(self, compressor: Any) -> None:
        """Decompress from here on."""
        super().set_inbound_compressor(compressor)
        self._decompress = compressor

    def reset_seqno_out(self) -> None:
        """Count packets anew."""
        super().reset_seqno_out()
        self._sent_packets = 0

    def reset_seqno_in(self) -> None:
        """Count packets anew."""
        super().reset_seqno_in()
        self._received_packets = 0

    # -- the end ------------------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._ended

    def close(self) -> None:
        """End the stream; the thread that reads meets its end, and closes the socket when it is done with it."""
        self._ended = True
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        with self._drained:
            self._drained.notify_all()


class _Keys:
    """A cipher with the nonces of RFC 5647: four fixed bytes and a counter; and how much it has been used."""

    def __init__(self, cipher: Any, nonce: bytes) -> None:
        self.cipher = cipher
        self._fixed, self._counter = nonce[:4], int.from_bytes(nonce[4:], "big")
        self.packets = self.sent = 0

    def nonce(self) -> bytes:
        """The nonce of the next packet."""
        found = self._fixed + self._counter.to_bytes(8, "big")
        self._counter = (self._counter + 1) & 0xFFFFFFFFFFFFFFFF
        return found

    def count(self, size: int, packets: int, total: int) -> bool:
        """Count one packet; whether so many packets or bytes are reached."""
        self.packets += 1
        self.sent += size
        return self.packets >= packets or self.sent >= total
