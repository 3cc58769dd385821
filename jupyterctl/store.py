"""What must survive a crash of anything: one SQLite file in WAL mode, shared by every process of this user.

A run is kept whole, as JSON, beside the columns it is looked up by. Every change is a read, a function and a write
inside one immediate transaction, so that no update of another process is lost. A file that SQLite cannot read is set
aside, with a message, and the runs are read back from their records (`run.json` in each run's directory).
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from . import paths
from .errors import JupyterctlError, NotFoundError
from .model import Address, Link, Outline, Run, RunState, Server

BUSY_SECONDS = 30.0
"""How long a process waits for another one's transaction."""

MIGRATIONS = (
    """
    CREATE TABLE runs (
        id TEXT PRIMARY KEY,
        created TEXT NOT NULL,
        state TEXT NOT NULL,
        target TEXT NOT NULL,
        sweep TEXT,
        doc BLOB NOT NULL
    );
    CREATE INDEX runs_by_created ON runs (created DESC);
    CREATE INDEX runs_by_sweep ON runs (sweep) WHERE sweep IS NOT NULL;
    CREATE INDEX runs_by_state ON runs (state);
    """,
    """
    CREATE TABLE links (name TEXT PRIMARY KEY, port INTEGER NOT NULL);
    CREATE TABLE servers (name TEXT PRIMARY KEY, doc BLOB NOT NULL);
    """,
    """
    CREATE TABLE kept (name TEXT PRIMARY KEY, profile BLOB NOT NULL, address BLOB NOT NULL, link BLOB);
    """,
)
"""One script a schema version, in order; `PRAGMA user_version` counts those applied."""

_creating = threading.Lock()
"""No other thread connects to a store between its creation and the closing of the file."""

Change = Callable[[Run], Run]

_decode = msgspec.json.Decoder(Run).decode
_outline = msgspec.json.Decoder(Outline).decode
_decode_server = msgspec.json.Decoder(Server).decode
_decode_address = msgspec.json.Decoder(Address).decode
_decode_link = msgspec.json.Decoder(Link).decode
_encode = msgspec.json.encode


class Kept(NamedTuple):
    """A link that is to be up: the profile's JSON, the lab's address here, and what the keeper said last."""

    profile: bytes
    address: Address
    link: Link | None


class Store:
    """The open store; `notify` is told, in words for the person, of what had to be mended."""

    def __init__(self, file: Path | None = None, notify: Callable[[str], object] = len) -> None:
        self.file = file or paths.store()
        self.notify = notify
        self._connection = self._open()

    # -- runs ----------------------------------------------------------------------------------------------------

    def add(self, run: Run) -> None:
        """Keep a new run."""
        with self._transaction() as connection:
            _put(connection, run)

    def run(self, run_id: str) -> Run:
        """The run of that id; NotFoundError where there is none."""
        rows = self._rows("SELECT doc FROM runs WHERE id = ?", (run_id,))
        if not rows:
            raise NotFoundError(f"there is no run `{run_id}`", "`jupyterctl runs` lists them")
        return _decode(rows[0][0])

    def change(self, run_id: str, change: Change) -> Run:
        """Apply a function to a run as it is now and keep what comes back, in one transaction."""
        with self._transaction() as connection:
            row = connection.execute("SELECT doc FROM runs WHERE id = ?", (run_id,)).fetchone()
            if row is None:
                raise NotFoundError(f"run `{run_id}` was removed meanwhile")
            before = _decode(row[0])
            after = change(before)
            if after != before:
                _put(connection, after)
        return after

    def runs(self, *, sweep: str | None = None, live: bool = False, limit: int | None = None) -> list[Run]:
        """Runs, newest first: all, those of one sweep, or those that have not ended."""
        where, values = [], []
        if sweep is not None:
            where.append("sweep = ?")
            values.append(sweep)
        if live:
            states = [state.value for state in RunState if not state.ended]
            where.append(f"state IN ({', '.join('?' * len(states))})")
            values += states
        query = "SELECT doc FROM runs" + (" WHERE " + " AND ".join(where) if where else "")  # noqa: S608 - our literals
        query += " ORDER BY created DESC, rowid DESC" + (f" LIMIT {int(limit)}" if limit is not None else "")
        return [_decode(row[0]) for row in self._rows(query, values)]

    def ids(self, prefix: str) -> list[str]:
        """Ids of runs that begin so, newest first."""
        query = "SELECT id FROM runs WHERE substr(id, 1, ?) = ? ORDER BY created DESC"
        return [row[0] for row in self._rows(query, (len(prefix), prefix))]

    def outlines(self, ids: Sequence[str]) -> list[Outline]:
        """What a list shows of the runs of these ids, in no order; those that are gone are left out."""
        query = f"SELECT doc FROM runs WHERE id IN ({', '.join('?' * len(ids))})"  # noqa: S608 - placeholders alone
        return [_outline(row[0]) for row in self._rows(query, ids)]

    def version(self) -> int:
        """A number that is another one once any other connection has written."""
        return int(self._rows("PRAGMA data_version", ())[0][0])

    def sweeps(self, prefix: str) -> list[str]:
        """Names of sweeps that begin so, newest first."""
        query = "SELECT sweep FROM runs WHERE substr(sweep, 1, ?) = ? GROUP BY sweep ORDER BY max(created) DESC"
        return [row[0] for row in self._rows(query, (len(prefix), prefix))]

    def find_sweep(self, name: str) -> str | None:
        """The sweep of that name, or the only one that begins so where no run does; else None."""
        names = self.sweeps(name)
        if name in names:
            return name
        return names[0] if len(names) == 1 and not self.ids(name) else None

    def remove(self, run_id: str) -> None:
        """Forget a run."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM runs WHERE id = ?", (run_id,))

    # -- servers and their ports -----------------------------------------------------------------------------------

    def server(self, name: str) -> Server | None:
        """What was last known of a profile's server, None where there was none."""
        rows = self._rows("SELECT doc FROM servers WHERE name = ?", (name,))
        return _decode_server(rows[0][0]) if rows else None

    def servers(self) -> list[Server]:
        """What was last known of every server that was not stopped."""
        return [_decode_server(row[0]) for row in self._rows("SELECT doc FROM servers ORDER BY name", ())]

    def keep_server(self, server: Server) -> None:
        """Remember a server by its profile's name."""
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO servers VALUES (?, ?)", (server.name, _encode(server)))

    def forget_server(self, name: str) -> None:
        """The server is gone; its port stays remembered."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM servers WHERE name = ?", (name,))

    def link_port(self, name: str, candidates: Iterable[int] = ()) -> int | None:
        """The profile's port: the one it has, else the first candidate that no other profile has, from now on its own.

        None where it has none and no candidate is left. Two processes that ask at once never get the same.
        """
        rows = self._rows("SELECT port FROM links WHERE name = ?", (name,))
        if rows or not candidates:
            return int(rows[0][0]) if rows else None
        with self._transaction() as connection:
            taken = dict(connection.execute("SELECT name, port FROM links").fetchall())
            if name not in taken:
                port = next((port for port in candidates if port not in taken.values()), None)
                if port is None:
                    return None
                connection.execute("INSERT INTO links VALUES (?, ?)", (name, port))
                return port
            return int(taken[name])

    def keep_link_port(self, name: str, port: int) -> None:
        """Remember the port that a profile asks for, or that its server was found at."""
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO links VALUES (?, ?)", (name, port))

    # -- links that are kept up --------------------------------------------------------------------------------------

    def keep_up(self, name: str, profile: bytes, address: Address) -> None:
        """A link is to be held up from now on, by the profile as it is now (JSON), to a lab with this address here."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO kept VALUES (?, ?, ?, NULL) ON CONFLICT (name)"
                " DO UPDATE SET profile = excluded.profile, address = excluded.address",
                (name, profile, _encode(address)),
            )

    def let_go(self, name: str) -> None:
        """A link is no longer wanted."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM kept WHERE name = ?", (name,))

    def kept(self, name: str | None = None) -> dict[str, Kept]:
        """The links that are to be up, by name."""
        where, values = (" WHERE name = ?", (name,)) if name else ("", ())
        rows = self._rows(f"SELECT name, profile, address, link FROM kept{where}", values)  # noqa: S608 - our literals
        return {row[0]: Kept(row[1], _decode_address(row[2]), _decode_link(row[3]) if row[3] else None) for row in rows}

    def say(self, link: Link) -> None:
        """What a keeper says of its link; nothing is kept of one that is not wanted."""
        with self._transaction() as connection:
            connection.execute("UPDATE kept SET link = ? WHERE name = ?", (_encode(link), link.name))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __del__(self) -> None:
        """SQLite's connection refers to itself: its files would stay open until Python looks for such circles."""
        with suppress(AttributeError):  # it was never opened
            self.close()

    def _rows(self, query: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        """All rows of a query; damage that only shows now is mended as it is on opening."""
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.OperationalError as error:
            raise self._unusable("read", error) from error
        except sqlite3.DatabaseError:
            self._connection.close()
            with self._alone():
                self._connection = self._recover()
            return self._connection.execute(query, values).fetchall()

    def _unusable(self, verb: str, error: Exception) -> JupyterctlError:
        return JupyterctlError(
            f"the store `{self.file}` cannot be {verb}: {error}", "check the folder's permissions and its disk"
        )

    # -- the file ------------------------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        try:
            paths.private(self.file.parent)
            return self._connect()
        except (sqlite3.OperationalError, OSError) as error:
            raise self._unusable("opened", error) from error
        except sqlite3.DatabaseError:
            with self._alone():
                return self._recover()

    def _connect(self) -> sqlite3.Connection:
        _create(self.file)
        connection = sqlite3.connect(self.file, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            if connection.execute("PRAGMA user_version").fetchone()[0] != len(MIGRATIONS):
                self._migrate(connection)
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("SELECT count(*) FROM runs WHERE id = ''")
        except BaseException:
            connection.close()
            raise
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        with immediate(connection):
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > len(MIGRATIONS):
                raise JupyterctlError(
                    f"the store `{self.file}` was written by a newer jupyterctl (schema {version})",
                    "upgrade jupyterctl, or set JUPYTERCTL_HOME to another folder",
                )
            for script in MIGRATIONS[version:]:
                for statement in filter(str.strip, script.split(";")):
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
            if version == 0:
                self._read_back(connection)

    def _read_back(self, connection: sqlite3.Connection) -> None:
        """Fill a new store with the runs of an earlier one that was lost."""
        found = list(records())
        for run in found:
            _put(connection, run)
        if found:
            self.notify(f"the store was lost; {len(found)} runs were read back from their records")

    def _recover(self) -> sqlite3.Connection:
        """Set the unreadable file aside and read the runs back from their records."""
        with suppress(sqlite3.DatabaseError):
            connection = self._connect()
            if connection.execute("PRAGMA quick_check").fetchone() == ("ok",):
                return connection  # another process has just mended it
            connection.close()
        aside = self.file.with_name(f"{self.file.name}.unreadable-{time.strftime('%Y%m%dT%H%M%S')}")
        for suffix in ("-wal", "-shm"):
            self.file.with_name(self.file.name + suffix).unlink(missing_ok=True)
        self.file.replace(aside)
        self.notify(f"the store could not be read and was set aside as `{aside}`")
        return self._connect()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            with immediate(self._connection):
                yield self._connection
        except sqlite3.OperationalError as error:
            raise self._unusable("written", error) from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self.file.with_name(self.file.name + ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@contextmanager
def immediate(connection: sqlite3.Connection) -> Iterator[None]:
    """A transaction that holds the write lock from its beginning."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _create(file: Path) -> None:
    """Make a store that is not there, for its owner alone; one that is there is not so much as opened.

    Closing a file drops every lock that this process has on it, SQLite's too, whoever opened it. The next process to
    end would take itself for the last, delete the log, and what this one writes from then on would be seen by none.
    """
    with _creating, suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def records() -> Iterator[Run]:
    """The runs as their own directories record them; what cannot be read is passed over."""
    for file in sorted(paths.runs().glob("*/run.json")):
        try:
            yield _decode(file.read_bytes())
        except (OSError, msgspec.MsgspecError):
            continue


def _put(connection: sqlite3.Connection, run: Run) -> None:
    connection.execute(
        "INSERT INTO runs (id, created, state, target, sweep, doc) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET state = excluded.state, doc = excluded.doc",
        (run.id, run.created, run.state.value, run.target, run.sweep, _encode(run)),
    )
