"""The queue of deadlines, and the timer values of RFC 3261 table 4."""

import pytest

from voice.sip.timers import Timer, TimerQueue, Timing


def test_the_values_of_table_4() -> None:
    timing = Timing()
    assert (timing.t1, timing.t2, timing.t4) == (0.5, 4.0, 5.0)
    assert timing.timeout == 32.0
    assert timing.completed >= 32.0
    assert timing.ringing > 180.0


def test_timers_fire_by_deadline_and_equal_ones_in_the_order_of_setting() -> None:
    queue, fired = TimerQueue(), []
    for when, name in [(2.0, "b"), (1.0, "a"), (2.0, "c"), (3.0, "d")]:
        queue.at(when, lambda name=name: fired.append(name))  # type: ignore[misc]
    assert queue.next() == 1.0
    queue.run(2.0)
    assert fired == ["a", "b", "c"]
    assert queue.next() == 3.0


def test_a_cancelled_timer_does_not_fire_and_is_not_waited_for() -> None:
    queue, fired = TimerQueue(), []
    timer = queue.at(1.0, lambda: fired.append(1))
    timer.cancel()
    timer.cancel()
    assert queue.next() is None
    assert len(queue) == 0
    queue.run(5.0)
    assert fired == []


def test_cancelling_after_firing_is_harmless() -> None:
    queue = TimerQueue()
    timer = queue.at(1.0, lambda: None)
    queue.run(1.0)
    timer.cancel()
    assert len(queue) == 0
    Timer.idle().cancel()


def test_a_timer_set_by_a_timer_for_now_fires_in_the_same_run() -> None:
    queue, fired = TimerQueue(), []
    queue.at(1.0, lambda: queue.at(1.0, lambda: fired.append("second")) and None)
    queue.run(1.0)
    assert fired == ["second"]


def test_an_action_that_raises_loses_no_other() -> None:
    queue, fired = TimerQueue(), []
    queue.at(1.0, lambda: 1 / 0)  # type: ignore[arg-type]
    queue.at(1.0, lambda: fired.append(1))
    with pytest.raises(ZeroDivisionError):
        queue.run(1.0)
    queue.run(1.0)
    assert fired == [1]


def test_cancelled_timers_do_not_pile_up() -> None:
    queue = TimerQueue()
    keep = queue.at(1e9, lambda: None)
    for _ in range(100_000):
        queue.at(1e6, lambda: None).cancel()
    assert len(queue) == 1
    assert len(queue._heap) < 2 * TimerQueue._KEPT + 2
    assert keep.pending
