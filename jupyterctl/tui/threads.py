"""Where the dashboard waits: threads of its own, each with its own session.

asyncio's pool holds a few threads and is waited for at exit; a handful of places that hang would starve everything else
and keep the person from quitting. These threads are made as they are needed, and nobody waits for them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

from ..core.session import Session

T = TypeVar("T")

MOST = 64
"""Threads at a time; what is asked for beyond waits its turn."""
BATCH_SECONDS = 0.1
"""How long what a stream gives is gathered before it is shown."""


class Threads(Executor):
    """An executor of daemon threads, made when none is idle."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._made = 0

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run a function in one of the threads."""
        future: Future[T] = Future()
        self._jobs.put((future, partial(fn, *args, **kwargs)))
        if not self._idle.acquire(blocking=False) and self._made < self._most:
            self._made += 1
            threading.Thread(target=self._work, name=f"dashboard-{self._made}", daemon=True).start()
        return future

    def _work(self) -> None:
        while True:
            future, job = self._jobs.get()
            if not future.set_running_or_notify_cancel():
                self._idle.release()
                continue
            try:
                result = job()
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
                tell: Callable[[], None] = partial(future.set_exception, error)
            else:
                tell = partial(future.set_result, result)
                del result
            del future, job
            self._idle.release()  # before who asked hears of it, and asks again
            tell()
            del tell


class Sessions:
    """The session's verbs, asked in threads; a session's store serves one thread, so each has its own."""

    def __init__(self, make: Callable[[], Session] = Session) -> None:
        self._make = make
        self._threads = Threads()
        self._own = threading.local()

    @property
    def here(self) -> Session:
        """This thread's session."""
        if not hasattr(self._own, "session"):
            self._own.session = self._make()
        session: Session = self._own.session
        return session

    async def ask(self, verb: Callable[[Session], T]) -> T:
        """What a verb gives, or the error it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: verb(self.here))

    async def stream(self, verb: Callable[[Session], Iterable[T]]) -> AsyncIterator[list[T]]:
        """What a verb gives one by one, gathered into lists; ends, or raises, as the verb does."""
        queue: asyncio.Queue[T] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        stop = threading.Event()

        def drain() -> None:
            for item in verb(self.here):
                loop.call_soon_threadsafe(queue.put_nowait, item)
                if stop.is_set():
                    return

        done = loop.run_in_executor(self._threads, drain)
        try:
            while not done.done() or not queue.empty():
                if items := [queue.get_nowait() for _ in range(queue.qsize())]:
                    yield items
                await asyncio.wait([done], timeout=BATCH_SECONDS)
                await asyncio.sleep(0)  # what the thread has put last is let in
            await done
        finally:
            stop.set()
            done.cancel()
