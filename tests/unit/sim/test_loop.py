"""Virtual time: jumps, keeps order, and says so when a story cannot go on."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from voice.sim.loop import DAWN, StoryStuck, VirtualLoop, run_virtual, virtual_loop, virtually


def test_a_day_passes_in_no_time() -> None:
    began = time.perf_counter()
    run_virtual(asyncio.sleep(80_000))
    assert time.perf_counter() - began < 1.0


@virtually
async def test_time_is_exactly_the_deadline_that_fires() -> None:
    loop = virtual_loop()
    deadline = loop.time() + 0.02 * 7
    seen: list[float] = []
    loop.call_at(deadline, lambda: seen.append(loop.time()))
    await asyncio.sleep(1)
    assert seen == [deadline]


@virtually
async def test_timers_of_equal_deadline_fire_in_the_order_in_which_they_were_set() -> None:
    loop = virtual_loop()
    order: list[int] = []
    when = loop.time() + 5
    for n in range(50):
        loop.call_at(when, order.append, n)
    await asyncio.sleep(6)
    assert order == list(range(50))


@virtually
async def test_a_cancelled_timer_neither_fires_nor_moves_time() -> None:
    loop = virtual_loop()
    began = loop.time()
    loop.call_later(1, pytest.fail, "a cancelled timer fired").cancel()
    await asyncio.sleep(0.5)
    assert loop.time() == began + 0.5


@virtually
async def test_timeouts_of_asyncio_hold_in_virtual_time() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(32):
            await asyncio.Event().wait()


def test_the_clock_tells_the_start_plus_the_time_passed() -> None:
    start = datetime(2027, 3, 28, 0, 59, tzinfo=UTC)

    async def story() -> datetime:
        await asyncio.sleep(90.5)
        return virtual_loop().clock.now()

    assert run_virtual(story(), start=start) == start + timedelta(seconds=90.5)


def test_a_story_in_which_everybody_waits_is_stuck_and_names_who_waits_where() -> None:
    async def waits_in_vain() -> None:
        await asyncio.Event().wait()

    with pytest.raises(StoryStuck, match=r"no timer is set[\s\S]*waits_in_vain.*test_loop\.py"):
        run_virtual(waits_in_vain())


def test_a_story_that_waits_in_vain_beside_a_ticking_clock_is_stuck_at_its_limit() -> None:
    async def story() -> None:
        loop = virtual_loop()

        def tick() -> None:
            loop.call_later(0.02, tick)

        tick()
        await asyncio.Event().wait()

    with pytest.raises(StoryStuck, match="not ended after 60 virtual seconds"):
        run_virtual(story(), limit=60)


def test_a_loop_that_spins_without_passing_time_is_stuck() -> None:
    async def spins() -> None:
        def again() -> None:
            virtual_loop().call_soon(again)

        again()
        await asyncio.Event().wait()

    with pytest.raises(StoryStuck, match="time stands still"):
        run_virtual(spins())


@virtually
async def test_blocking_work_runs_at_once_in_the_same_thread() -> None:
    assert await asyncio.to_thread(lambda: 6 * 7) == 42
    with pytest.raises(ZeroDivisionError):
        await asyncio.to_thread(lambda: 1 // 0)


@virtually
async def test_a_callback_from_another_thread_is_taken() -> None:
    done: asyncio.Future[str] = virtual_loop().create_future()
    virtual_loop().call_soon_threadsafe(done.set_result, "taken")
    assert await done == "taken"


def test_tasks_left_over_are_cancelled_at_the_end() -> None:
    ended: list[str] = []

    async def lingers() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append("cancelled")

    async def story() -> None:
        asyncio.get_running_loop().create_task(lingers())
        await asyncio.sleep(1)

    run_virtual(story())
    assert ended == ["cancelled"]


def test_an_error_in_a_callback_reaches_the_exception_handler_of_the_loop() -> None:
    seen: list[object] = []

    async def story() -> None:
        virtual_loop().set_exception_handler(lambda loop, context: seen.append(context["exception"]))
        virtual_loop().call_soon(lambda: 1 // 0)
        await asyncio.sleep(1)

    run_virtual(story())
    assert [type(error) for error in seen] == [ZeroDivisionError]


def test_an_error_that_nobody_handles_breaks_the_story() -> None:
    async def story() -> None:
        virtual_loop().call_soon(lambda: 1 // 0)
        await asyncio.sleep(1)

    with pytest.raises(ExceptionGroup, match="nobody handled"):
        run_virtual(story())


def test_the_same_seed_gives_the_same_randomness() -> None:
    async def draw() -> list[float]:
        return [virtual_loop().random.random() for _ in range(5)]

    assert run_virtual(draw(), seed=7) == run_virtual(draw(), seed=7) != run_virtual(draw(), seed=8)


def test_a_closed_loop_refuses_work() -> None:
    loop = VirtualLoop(start=DAWN)
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_soon(print)
