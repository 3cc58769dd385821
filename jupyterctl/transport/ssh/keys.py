"""Keys to log in with: in an agent, in files, with certificates.

A public key is read where it can be had without the passphrase, so that a machine can be asked whether it would take
the key before a person is asked for anything.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import JupyterctlError
from .agent import Agent, Identity

if TYPE_CHECKING:
    from paramiko import PKey

    from .route import Route

_MAGIC = b"openssh-key-v1\0"
_CERT = "-cert-v01@openssh.com"
Sign = Callable[[bytes, str], bytes]
"""The signature of some bytes, by an algorithm."""


class UnusableError(JupyterctlError):
    """A key cannot be used; the message says why, and the next one is tried."""


class Key:
    """Something that can prove who we are: what to show of it, and how to sign."""

    def __init__(self, blob: bytes | None, name: str, sign: Sign | None = None, file: str = "") -> None:
        self.blob = blob
        """What is shown of it: the public key, or a certificate; None while that is not known."""
        self.name = name
        """What a person calls it: its file, or its comment in the agent."""
        self.file = file
        """The private key's file; empty where it is in an agent."""
        self.sign = sign
        """None until the file has been opened."""

    @property
    def kind(self) -> str:
        """`ssh-ed25519` and the like; certificates have kinds of their own."""
        return kind(self.blob) if self.blob else ""

    def __repr__(self) -> str:
        return f"Key({self.name!r}, {self.kind})"


def kind(blob: bytes) -> str:
    """The type that a public key or certificate begins with."""
    (size,) = struct.unpack_from(">I", blob)
    return blob[4 : 4 + size].decode("ascii", "replace")


def public_blob(file: str) -> bytes | None:
    """The public key of a private key's file, without its passphrase; None where it cannot be had."""
    for path in (f"{file}.pub", file):
        with suppress(OSError, ValueError, struct.error, IndexError):
            text = Path(path).read_bytes()
            if b"-----BEGIN OPENSSH PRIVATE KEY-----" in text:
                return _inside(text)
            if not text.startswith(b"-----"):
                return base64.b64decode(text.split()[1], validate=True)
    return None


def _inside(text: bytes) -> bytes | None:
    """The public half of a private key in OpenSSH's own format, which is not encrypted."""
    body = b"".join(line for line in text.splitlines() if line and not line.startswith(b"-----"))
    data = binascii.a2b_base64(body)
    if not data.startswith(_MAGIC):
        return None
    at = len(_MAGIC)
    for _ in range(3):  # cipher, key derivation, its options
        (size,) = struct.unpack_from(">I", data, at)
        at += 4 + size
    (size,) = struct.unpack_from(">I", data, at + 4)
    return data[at + 8 : at + 8 + size]


def certificate(file: str) -> bytes | None:
    """The certificate in a file; None where there is none that can be read."""
    with suppress(OSError, ValueError, struct.error, IndexError):
        blob = base64.b64decode(Path(file).read_bytes().split()[1], validate=True)
        if kind(blob).endswith(_CERT):
            return blob
    return None


def vouches(cert: bytes, public: bytes) -> bool:
    """Whether a certificate is for a public key: it holds the key's numbers after a nonce."""
    if kind(cert) != kind(public) + _CERT:
        return False
    (size,) = struct.unpack_from(">I", public)
    rest = public[4 + size :]
    at = 4 + len(kind(cert))
    (nonce,) = struct.unpack_from(">I", cert, at)
    at += 4 + nonce
    return cert[at : at + len(rest)] == rest


def gather(route: Route, agent: Agent | None) -> Iterator[Key]:
    """Every key to try, in the order that ssh tries them.

    Certificates first, then the agent's keys that the configuration names, then its others, then keys in files alone.
    """
    held = agent.identities() if agent else []
    files = [(file, public_blob(file)) for file in route.identity_files]
    named = {blob for _, blob in files if blob}
    ours = [each for each in held if each.blob in named]
    others = [] if route.identities_only else [each for each in held if each.blob not in named]
    in_agent = {each.blob for each in ours}
    in_files = [Key(blob, file, file=file) for file, blob in files if blob not in in_agent and Path(file).is_file()]
    from_agent = [_of_agent(each, agent) for each in ours]
    yield from _certificates(route, [*from_agent, *in_files])
    yield from from_agent
    yield from (_of_agent(each, agent) for each in others)
    yield from (key for key in in_files if not _only_public(key))


def _of_agent(identity: Identity, agent: Agent | None) -> Key:
    def sign(data: bytes, algorithm: str) -> bytes:
        if agent is None:
            raise UnusableError("the agent is gone")
        return agent.sign(identity.blob, data, algorithm)

    return Key(identity.blob, identity.comment or "a key of the agent", sign)


def _certificates(route: Route, keys: list[Key]) -> Iterator[Key]:
    """The certificates that the configuration names, or that lie beside a key, with the keys that they are for."""
    files = [*route.certificate_files, *(f"{file}-cert.pub" for file in route.identity_files)]
    for file in dict.fromkeys(files):
        cert = certificate(file)
        key = next((key for key in keys if cert and key.blob and vouches(cert, key.blob)), None)
        if cert is not None and key is not None:
            yield _Certified(cert, file, key)


class _Certified(Key):
    """A certificate, signed for by the key that it is for, whenever that is opened."""

    def __init__(self, cert: bytes, name: str, key: Key) -> None:
        super().__init__(cert, name, file=key.file)
        self._key = key

    @property
    def sign(self) -> Sign | None:
        """The key's own."""
        return self._key.sign

    @sign.setter
    def sign(self, sign: Sign | None) -> None:
        if sign is not None:
            self._key.sign = sign


def _only_public(key: Key) -> bool:
    """Whether an identity file is a public key, there to name one of the agent's."""
    with suppress(OSError):
        return not Path(key.file).read_bytes()[:200].lstrip().startswith(b"-----BEGIN")
    return True


def load(file: str, passphrase: str | None) -> PKey | None:
    """A private key; None where it needs a (different) passphrase; UnusableError where it is none that can be read."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from paramiko import PasswordRequiredException, SSHException
    from paramiko.pkey import PKey, UnknownKeyType

    try:
        secret: Any = passphrase.encode() if passphrase is not None else None
        return PKey.from_path(file, secret)
    except (PasswordRequiredException, TypeError):
        return None
    except UnknownKeyType as error:
        raise UnusableError(f"`{file}` is a key of a type that only the ssh program knows") from error
    except OSError as error:
        raise UnusableError(f"`{file}` cannot be read: {error.strerror}") from error
    except (SSHException, ValueError, UnsupportedAlgorithm) as error:
        if passphrase is not None:
            return None
        raise UnusableError(f"`{file}` is no private key that can be read") from error


def signer(key: PKey) -> Sign:
    """What signs with a private key."""
    return lambda data, algorithm: key.sign_ssh_data(data, algorithm).asbytes()


def public_half(key: PKey) -> bytes:
    """The public key of a private one."""
    return key.asbytes()
