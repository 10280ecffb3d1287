"""`kill -9`, fifty times, at random points of alarms that escalate over real SIP: each goes on, and ends with a person.

`EARSHOT_SEED=N pytest tests/interop/test_escalation_crash.py -s` plays the choices of a run again.
"""

import asyncio
import os
import random
import secrets
import statistics
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from .crashing import Lane, Tale, new_service, where
from .escalation import (
    Ear,
    People,
    confirms,
    picks_up,
    resolves,
    rtp_ports,
    takes,
    takes_and_closes,
    takes_and_hangs_up,
)
from .peers.baresip import Baresip
from .phones import Sound

pytestmark = pytest.mark.alone

START = (("service starts", 1.5), ("service answers", 0.5))
"""While it takes up what the last one left, and right after."""

A_CONTACT_TAKES_IT = Tale(
    dials="201",
    points=(
        *START,
        ("badge calls", 0.3),
        ("fred rings", 1.0),
        ("anna rings", 0.4),
        ("anna answers", 7.0),
        ("anna presses", 0.1),
        ("anna presses", 4.0),
    ),
    manners={"anna": takes, "bas": picks_up},
    ends={"anna": takes_and_closes, "bas": picks_up},
)
THE_POLICE_ARE_CALLED = Tale(
    dials="202",
    points=(
        *START,
        ("message goes out", 0.05),
        ("room rings", 0.4),
        ("room answers", 6.0),
        ("room presses", 0.1),
    ),
    manners={"room": confirms},
    ends={"room": confirms},
)
NOBODY_AT_A_DESK = Tale(
    dials="203",
    points=(*START, ("badge calls", 0.3), ("anna rings", 5.0), ("bas rings", 0.5), ("bas answers", 7.0)),
    manners={"bas": takes},
    ends={"bas": takes_and_closes},
)
AN_OPERATOR_LISTENS = Tale(
    dials="201",
    points=(*START, ("badge calls", 0.3), ("olga rings", 0.5), ("olga answers", 3.0)),
    manners={"olga": picks_up},
    ends={"olga": resolves},
)
ANNA_FORGETS_IT = Tale(
    dials="201",
    points=(("anna hangs up", 1.0),),
    manners={"anna": takes_and_hangs_up},
    ends={"anna": takes_and_closes},
)
CLOSED_AS_IT_DIES = Tale(
    dials="203",
    points=(("bas closes", 0.4),),
    manners={"bas": takes_and_closes},
    ends={"bas": takes_and_closes},
)
LANES: Sequence[Sequence[tuple[Tale, int]]] = (
    ((A_CONTACT_TAKES_IT, 6), (CLOSED_AS_IT_DIES, 1)),
    ((THE_POLICE_ARE_CALLED, 4), (AN_OPERATOR_LISTENS, 3)),
    ((ANNA_FORGETS_IT, 2), (NOBODY_AT_A_DESK, 4), (CLOSED_AS_IT_DIES, 1)),
    ((A_CONTACT_TAKES_IT, 6), (CLOSED_AS_IT_DIES, 1)),
    ((THE_POLICE_ARE_CALLED, 4), (AN_OPERATOR_LISTENS, 3)),
    ((NOBODY_AT_A_DESK, 5), (CLOSED_AS_IT_DIES, 1), (AN_OPERATOR_LISTENS, 1)),
    ((AN_OPERATOR_LISTENS, 4), (THE_POLICE_ARE_CALLED, 4)),
)
"""What is told side by side, each with a service of its own; and how often its process is killed."""
KILLS = sum(kills for lane in LANES for _, kills in lane)


@pytest.mark.needs("baresip", "espeak-ng")
async def test_alarms_end_with_a_person_however_often_the_process_is_killed(
    tmp_path: Path, sound: Sound, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("EARSHOT_SEED") or secrets.randbits(32))
    print(f"EARSHOT_SEED={seed}")
    ear, rtp = Ear(tmp_path / "speech"), rtp_ports()
    await ear.learn()
    with Baresip(tmp_path, "fred", sound(600.0), answers="manual") as fred:
        everybody = [People(ear, rtp, baresip=None if n else fred) for n in range(len(LANES))]
        lanes = [
            _lane(tmp_path, f"service-{n}", people, random.Random(f"{seed} {n}")) for n, people in enumerate(everybody)
        ]
        with capture_logs():  # of the simulated phones, which call into the void
            async with asyncio.TaskGroup() as group:
                for lane, tales in zip(lanes, LANES, strict=True):
                    group.create_task(_play(lane, tales))
        assert fred.text().count("Incoming call") > 0, "a phone of another make rang, too"
    with capsys.disabled():
        _report(seed, lanes)


def _lane(folder: Path, name: str, people: People, dice: random.Random) -> Lane:
    return Lane(new_service(folder, name, people, folder / "speech"), people, dice)


async def _play(lane: Lane, tales: Sequence[tuple[Tale, int]]) -> None:
    """One alarm after the other. One that ends before its last kill is told again."""
    async with _open(lane):
        for tale, kills in tales:
            left = kills
            while left:
                left -= await lane.play(tale, left)
        latest = lane.latest()
        assert latest is not None
        said = await asyncio.to_thread(lane.service.earshot, "verify", latest.row.id)
        assert "the chain is whole" in said


@asynccontextmanager
async def _open(lane: Lane) -> AsyncIterator[None]:
    try:
        await lane.open()
        yield
    finally:
        await lane.close()


def _report(seed: int, lanes: Sequence[Lane]) -> None:
    """What was measured: for whoever reads the log of CI."""
    lives = [life for lane in lanes for life in lane.lives]
    killed = Counter(where(life.before) for lane in lanes for life in lane.lives[1:])
    seconds = sorted(life.next_action for life in lives if life.next_action is not None)
    print(f"\nEARSHOT_SEED={seed}: {sum(killed.values())} kills: {dict(killed.most_common())}")
    points = Counter(life.point for life in lives if life.point)
    print(f"chosen moments: {dict(points.most_common())}")
    print(
        f"from 'earshot answers' to the next action, {len(seconds)} times: "
        f"min {seconds[0]:.3f} s, median {statistics.median(seconds):.3f} s, max {seconds[-1]:.3f} s"
    )
    assert len(seconds) >= KILLS // 2, "most restarts lived long enough to show it"
