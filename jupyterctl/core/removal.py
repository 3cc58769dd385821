"""Removing a profile: its nearest file, and the link that was wanted for it; never from under a lab that runs."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from .. import config
from ..errors import BusyError, ConfigError, NotFoundError, UsageError
from ..model import ServerState
from ..store import Store
from . import links, profiles, servers, status


class Removal:
    """What is to go, to be carried out once that is wanted; BusyError while the profile's lab runs."""

    def __init__(self, store: Store, name: str, cwd: Path) -> None:
        files = config.files(name, cwd)
        if not files:
            known = [entry.name for entry in profiles.entries(cwd)]
            hint = config.near(name, known) if known else "there are none yet"
            raise NotFoundError(f"there is no profile `{name}`", hint)
        self._store, self._name, self._cwd = store, name, cwd
        self.file = files[0]
        """The nearest of its files."""
        state = self._state()
        self.doubtful = state in {ServerState.UNREACHABLE, ServerState.UNKNOWN}
        """Whether nobody can tell if its lab runs."""
        if state is not ServerState.STOPPED and not self.doubtful:
            raise BusyError(f"the lab of `{name}` is {state}", f"end it first: jupyterctl stop {name}")

    def _state(self) -> ServerState:
        """How its lab stands; a place beyond a way is asked only where a lab of it is known."""
        known = self._store.server(self._name) is not None or self._name in self._store.kept(self._name)
        try:
            where = servers.place(self._store, self._name, self._cwd)
        except ConfigError:
            return ServerState.UNREACHABLE if known else ServerState.STOPPED
        if where.target.remote and not known:
            return ServerState.STOPPED
        return ServerState(status.status(self._cwd, self._name, lambda: self._store).state)

    def carry_out(self) -> list[Path]:
        """Delete the file; the files of the name that are left, the nearest first."""
        if self._name in self._store.kept(self._name):
            with suppress(ConfigError):  # a broken profile: its keeper is not started again
                links.let_go(servers.place(self._store, self._name, self._cwd))
            self._store.let_go(self._name)
        try:
            self.file.unlink()
        except OSError as error:
            problem = (error.strerror or str(error)).lower()
            raise UsageError(f"cannot remove `{self.file}`: {problem}", "check its folder's permissions") from error
        return config.files(self._name, self._cwd)
