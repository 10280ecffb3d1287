"""The media clock: absolute deadlines, and what it does after a stall."""

import asyncio
import itertools
from collections.abc import Callable

import pytest

from voice.media.clock import TICK, MediaClock
from voice.sim.loop import run_virtual


class Loop:
    """An event loop of which only time and timers exist; a test moves both."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.others: list[float] = []
        """When anybody else had a turn between two callbacks of the clock."""

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        self.timers.append((when, callback))
        return asyncio.TimerHandle(when, callback, (), self)  # type: ignore[arg-type]

    def call_soon(self, callback: Callable[..., None], *arguments: object) -> asyncio.Handle:
        handle = asyncio.Handle(callback, arguments, self)  # type: ignore[arg-type]
        self.timers.insert(0, (self.now, lambda: None if handle.cancelled() else callback(*arguments)))
        return handle

    def get_debug(self) -> bool:
        return False

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        self.timers.clear()

    def advance(self, seconds: float, *, late: float = 0.0) -> None:
        """Fire what is due until then; with `late`, the first timer fires that much after its deadline."""
        end = self.now + seconds
        while self.timers and self.timers[0][0] <= end:
            when, callback = self.timers.pop(0)
            self.now = max(self.now, when + late)
            late = 0.0
            callback()
            self.others.append(self.now)
        self.now = max(self.now, end)


class Leg:
    """Writes down what the clock asks of it."""

    def __init__(self, *, eager: bool = False, sending: bool = True) -> None:
        self.eager = eager
        self.sending = sending
        self.drains: list[float] = []
        self.ticks: list[int] = []
        self.settles: list[float] = []
        self.errors: list[Exception] = []

    def drain(self, now: float) -> None:
        self.drains.append(now)

    def transmit(self, tick: int, at: float) -> None:
        self.ticks.append(tick)

    def settle(self, now: float) -> None:
        self.settles.append(now)

    def failed(self, error: Exception) -> None:
        self.errors.append(error)


class Slow(Leg):
    """Takes 3 ms of the machine for each drain and each frame."""

    def __init__(self, loop: Loop) -> None:
        super().__init__(eager=True)
        self.loop = loop

    def drain(self, now: float) -> None:
        super().drain(now)
        self.loop.now += 0.003

    def transmit(self, tick: int, at: float) -> None:
        super().transmit(tick, at)
        self.loop.now += 0.003


class Broken(Leg):
    def drain(self, now: float) -> None:
        raise ZeroDivisionError("drain")

    def transmit(self, tick: int, at: float) -> None:
        raise ZeroDivisionError("transmit")

    def settle(self, now: float) -> None:
        raise ZeroDivisionError("settle")


@pytest.fixture
def loop() -> Loop:
    return Loop()


def started(loop: Loop, *legs: Leg) -> MediaClock:
    clock = MediaClock()
    clock.start(loop)  # type: ignore[arg-type]
    for leg in legs:
        clock.add(leg)
    return clock


def test_a_leg_sends_fifty_times_a_second(loop: Loop) -> None:
    leg = Leg()
    started(loop, leg)
    loop.advance(10.0)
    assert leg.ticks == list(range(1, 501))


def test_deadlines_are_absolute_so_a_late_tick_does_not_delay_the_next(loop: Loop) -> None:
    leg = Leg()
    started(loop, leg)
    loop.advance(0.02, late=0.015)
    assert [when for when, _ in loop.timers] == [pytest.approx(1000.04)]


def test_a_leg_that_nobody_listens_to_is_drained_every_fourth_tick(loop: Loop) -> None:
    leg = Leg(eager=False)
    started(loop, leg)
    loop.advance(1.6)
    assert len(leg.drains) == 20


def test_a_leg_that_somebody_listens_to_is_drained_at_every_tick(loop: Loop) -> None:
    leg = Leg(eager=True)
    started(loop, leg)
    loop.advance(1.6)
    assert len(leg.drains) == 80


def test_drains_of_many_legs_are_spread_over_the_ticks(loop: Loop) -> None:
    legs = [Leg() for _ in range(8)]
    started(loop, *legs)
    loop.advance(0.08)
    times = [leg.drains[0] for leg in legs]
    assert len(set(times)) == 4
    assert all(times.count(time) == 2 for time in times)


def test_each_leg_settles_twice_a_second_and_not_all_at_once(loop: Loop) -> None:
    legs = [Leg() for _ in range(25)]
    started(loop, *legs)
    loop.advance(2.0)
    assert all(len(leg.settles) == 4 for leg in legs)
    assert len({leg.settles[0] for leg in legs}) == 25


def test_after_a_stall_everything_is_drained_at_once(loop: Loop) -> None:
    legs = [Leg() for _ in range(8)]
    started(loop, *legs)
    loop.advance(0.02, late=3.0)
    assert all(len(leg.drains) == 1 for leg in legs)


def test_after_a_stall_a_few_frames_follow_and_the_rest_is_skipped(loop: Loop) -> None:
    leg = Leg()
    clock = started(loop, leg)
    loop.advance(0.02, late=3.0)
    assert leg.ticks == [149, 150, 151]
    assert clock.late_ticks == 150
    assert clock.max_lateness == pytest.approx(3.0)
    loop.advance(0.04)
    assert leg.ticks == [149, 150, 151, 152, 153]


def test_one_legs_bug_stops_neither_the_others_nor_the_clock(loop: Loop) -> None:
    broken, well = Broken(eager=True), Leg(eager=True)
    started(loop, broken, well)
    loop.advance(1.0)
    assert len(well.ticks) == len(well.drains) == 50
    assert {str(error) for error in broken.errors} == {"drain", "transmit", "settle"}


def test_a_leg_that_cannot_even_report_its_bug_stops_nobody(loop: Loop) -> None:
    class Hopeless(Broken):
        def failed(self, error: Exception) -> None:
            raise error

    well = Leg()
    started(loop, Hopeless(), well)
    loop.advance(0.1)
    assert len(well.ticks) == 5


def test_a_leg_may_be_removed_while_the_clock_ticks(loop: Loop) -> None:
    class Leaving(Leg):
        def transmit(self, tick: int, at: float) -> None:
            super().transmit(tick, at)
            clock.remove(self)
            clock.remove(self)

    leaving, staying = Leaving(), Leg()
    clock = started(loop, leaving, staying)
    loop.advance(0.1)
    assert len(leaving.ticks) == 1
    assert len(staying.ticks) == 5
    assert clock.legs == 1


def test_a_leg_may_be_added_while_the_clock_ticks(loop: Loop) -> None:
    class Inviting(Leg):
        def drain(self, now: float) -> None:
            super().drain(now)
            clock.add(invited)

    inviting, invited = Inviting(eager=True), Leg()
    clock = started(loop, inviting)
    loop.advance(0.1)
    assert inviting.ticks == invited.ticks == [1, 2, 3, 4, 5]


def test_a_tick_that_takes_long_lets_others_have_their_turn(loop: Loop) -> None:
    legs = [Slow(loop) for _ in range(20)]  # 120 ms of work
    clock = started(loop, *legs)
    loop.advance(0.5)
    turns = [later - earlier for earlier, later in itertools.pairwise(loop.others)]
    assert max(turns) < 0.03
    assert all(leg.ticks == legs[0].ticks for leg in legs)
    assert legs[0].ticks == sorted(set(legs[0].ticks))
    assert clock.late_ticks > 0


def test_a_leg_that_is_removed_between_two_slices_of_a_tick_is_left_alone(loop: Loop) -> None:
    legs = [Slow(loop) for _ in range(10)]
    clock = started(loop, *legs)
    loop.advance(TICK)
    assert (legs[0].ticks, legs[-1].ticks) == ([], [])
    for leg in legs:
        clock.remove(leg)
    loop.advance(1.0)
    assert all(leg.ticks == [] for leg in legs)
    clock.add(legs[0])
    loop.advance(TICK)
    assert legs[0].ticks != []


def test_a_clock_that_is_stopped_in_the_middle_of_a_tick_is_silent(loop: Loop) -> None:
    legs = [Slow(loop) for _ in range(10)]
    clock = started(loop, *legs)
    loop.advance(TICK)
    clock.stop()
    loop.advance(1.0)
    assert all(leg.ticks == [] for leg in legs)


def test_without_legs_the_clock_does_not_tick_and_numbers_go_on_afterwards(loop: Loop) -> None:
    leg = Leg()
    clock = started(loop, leg)
    clock.add(leg)
    loop.advance(0.1)
    clock.remove(leg)
    loop.advance(0.1)
    assert loop.timers == []
    loop.advance(9.8)
    clock.add(leg)
    loop.advance(0.1)
    assert leg.ticks == [1, 2, 3, 4, 5, 501, 502, 503, 504, 505]


def test_a_stopped_clock_is_silent(loop: Loop) -> None:
    leg = Leg()
    clock = started(loop, leg)
    clock.stop()
    clock.add(Leg())
    assert loop.timers == []


def test_it_runs_in_virtual_time() -> None:
    async def story() -> int:
        clock, leg = MediaClock(), Leg()
        clock.add(leg)
        clock.start()
        await asyncio.sleep(60.0 + TICK / 2)
        clock.stop()
        return len(leg.ticks)

    assert run_virtual(story()) == 3000
