"""A real sshd that asks for a code after the key, by PAM, and how often it has been asked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import sshd
from tests.conftest import need

CODE = "271828"
METHODS = "AuthenticationMethods publickey,keyboard-interactive\nKbdInteractiveAuthentication yes\nUsePAM yes"


class SecondFactor:
    """PAM's rules for an sshd that is called by a name of its own; this machine's other logins are not touched."""

    def __init__(self, folder: Path) -> None:
        name = f"jupyterctl-test-{os.getpid()}"
        self.program = folder / name
        self.program.symlink_to(sshd.PROGRAM)
        self._asked = folder / "asked"
        self._asked.touch()
        check = folder / "check"
        check.write_text(f'#!/bin/sh\necho x >>{self._asked}\n[ "$(tr -d "\\0")" = {CODE} ]\n')
        check.chmod(0o755)
        self._rules = Path("/etc/pam.d") / name
        self._rules.write_text(
            f"auth required pam_exec.so expose_authtok {check}\nauth required pam_permit.so\n"
            "account required pam_permit.so\n"
            "session required pam_permit.so\n"
        )

    @property
    def asked(self) -> int:
        """How many codes it has looked at."""
        return self._asked.read_text().count("x")

    def close(self) -> None:
        self._rules.unlink()


@pytest.fixture
def second_factor(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    """Every sshd that is started from now on asks for a code, as its configuration must say: `METHODS`."""
    need("root", os.geteuid() == 0, "PAM's rules are root's")
    need("sshd", Path("/etc/pam.d").is_dir(), "no PAM")
    made = SecondFactor(tmp_path_factory.mktemp("p"))
    monkeypatch.setattr(sshd, "PROGRAM", made.program)
    monkeypatch.setattr(
        sshd, "CONFIG", sshd.CONFIG.replace("UsePAM no\n", "").replace("KbdInteractiveAuthentication no\n", "")
    )
    yield made
    made.close()
