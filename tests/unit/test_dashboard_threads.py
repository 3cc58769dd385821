"""The dashboard's own threads: many at once, none waited for, streams that end when nobody listens."""

from __future__ import annotations

import asyncio
import threading

import pytest

from jupyterctl.tui.threads import Sessions, Threads

pytestmark = pytest.mark.asyncio


async def test_as_many_as_are_needed_and_no_more():
    threads, gate = Threads(most=3), threading.Event()
    jobs = [threads.submit(gate.wait) for _ in range(5)]
    assert threads._made == 3
    gate.set()
    assert all(await asyncio.gather(*map(asyncio.wrap_future, jobs)))
    assert await asyncio.wrap_future(threads.submit(threading.current_thread)) in threading.enumerate()
    assert threads._made == 3


async def test_an_idle_thread_is_used_again():
    threads = Threads()
    for _ in range(20):
        await asyncio.wrap_future(threads.submit(int))
    assert threads._made == 1


async def test_errors_come_out_where_the_answer_is_awaited():
    sessions = Sessions()
    with pytest.raises(ZeroDivisionError):
        await sessions.ask(lambda _: 1 / 0)


async def test_a_stream_gives_everything_in_order_and_then_its_error():
    def verb(_):
        yield from range(1000)
        raise ValueError("over")

    seen = []

    async def listen():
        async for batch in Sessions().stream(verb):
            seen.extend(batch)

    with pytest.raises(ValueError, match="over"):
        await listen()
    assert seen == list(range(1000))


async def test_a_stream_nobody_listens_to_ends():
    closed = threading.Event()

    def verb(_):
        try:
            while True:
                yield 1
        finally:
            closed.set()

    async for batch in (stream := Sessions().stream(verb)):
        assert batch
        break
    await stream.aclose()
    assert await asyncio.to_thread(closed.wait, 10)


async def test_each_thread_has_its_own_session():
    made = []

    def make():
        made.append(object())
        return made[-1]

    sessions, barrier = Sessions(make), threading.Barrier(2)

    def verb(session):
        barrier.wait(10)
        return session

    first, second = await asyncio.gather(sessions.ask(verb), sessions.ask(verb))
    assert first is not second
