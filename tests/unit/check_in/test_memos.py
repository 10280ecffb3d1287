"""Amber memos: kept, heard in an alarm, deleted when their time is over, evidence when they belong to an incident."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import structlog.testing

from ivr.transcribing import NotTranscribed
from voice.incidents.kinds import Kind
from voice.journal import Journal
from voice.media.wav import read_layout
from voice.memos import AGAIN_SECONDS, ATTEMPTS, FOLDER, GRACE, SWEEP_SECONDS, Memos, Transcribe
from voice.sim.loop import virtually
from voice.store import incidents, memos
from voice.store.memos import Memo
from voice.store.store import Store

AT = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
LASTS = timedelta(hours=12)
CLIP = bytes([0x55, 0xD5]) * 8000


class Clock:
    def __init__(self) -> None:
        self.at = AT

    def now(self) -> datetime:
        return self.at


class Scene:
    """Memos over a store in memory."""

    def __init__(self, folder: Path, transcribe: Transcribe | None = None) -> None:
        self.store = Store.inline()
        self.journal = Journal(self.store)
        self.clock = Clock()
        self.folder = folder / FOLDER
        self.memos = Memos(self.store, self.journal, self.clock, folder, _in_place, lasts=LASTS, transcribe=transcribe)

    async def open(self, id: str, worker: str = "anna") -> None:
        at = self.clock.now()
        await self.store.run(
            lambda connection: incidents.open_incident(
                connection,
                incident_id=id,
                kind=Kind.PANIC,
                priority=1,
                device_id=None,
                worker_id=worker,
                caller=None,
                dialled=None,
                identified_by=None,
                at=at,
                detail={},
            )
        )

    @property
    def files(self) -> set[str]:
        return {path.stem for path in self.folder.iterdir()}

    async def transcript(self, id: str) -> str | None:
        row = await self.store.read(lambda connection: memos.memo(connection, id))
        assert row is not None
        return row.transcript


def content_of(memo: Memo) -> bytes:
    return Path(memo.path).read_bytes()


def mode_of(memo: Memo) -> int:
    return Path(memo.path).stat().st_mode & 0o777


def lose(memo: Memo) -> None:
    Path(memo.path).unlink()


async def _in_place(work: Callable[[], Any]) -> Any:
    return work()


async def test_a_memo_is_a_private_wav_file_and_a_row(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    memo = await scene.memos.keep("anna", "s1", CLIP)
    assert memo is not None
    assert (memo.worker, memo.session, memo.seconds, memo.expires_at) == ("anna", "s1", 2.0, AT + LASTS)
    assert Path(memo.path).parent == tmp_path / FOLDER
    content = content_of(memo)
    assert mode_of(memo) == 0o600
    layout = read_layout(content, len(content))
    assert layout is not None
    assert layout.origin is not None
    assert (layout.samples, layout.finished, layout.origin.started_at) == (16000, True, AT - timedelta(seconds=2))
    assert await scene.memos.newest("anna", AT) == memo
    assert await scene.memos.clip(memo) == CLIP


async def test_a_newer_memo_takes_the_place_of_an_earlier_one_for_incidents_after_it(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    earlier = await scene.memos.keep("anna", None, CLIP)
    scene.clock.at += timedelta(hours=1)
    later = await scene.memos.keep("anna", None, CLIP)
    assert await scene.memos.newest("anna", AT + timedelta(minutes=30)) == earlier
    assert await scene.memos.newest("anna", AT + timedelta(hours=2)) == later
    assert await scene.memos.newest("anna", AT + timedelta(hours=13)) is None
    assert await scene.memos.newest("bob", AT) is None


async def test_what_cannot_be_kept_is_said_to_be_so_without_raising(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    (tmp_path / FOLDER).write_text("in the way")
    with structlog.testing.capture_logs() as logs:
        assert await scene.memos.keep("anna", None, CLIP) is None
        assert await scene.memos.keep("anna", None, b"") is None
    assert [entry["event"] for entry in logs] == ["a memo cannot be written"]
    assert "anna" not in str(logs)


@virtually
async def test_a_memo_is_there_while_the_store_is_away_and_its_row_follows(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.store.fail_with(OSError("no space"))
    memo = await scene.memos.keep("anna", None, CLIP)
    assert memo is not None
    assert await scene.memos.newest("anna", AT) == memo
    scene.store.fail_with(None)
    await asyncio.sleep(5)
    assert await scene.store.read(lambda connection: memos.memo(connection, memo.id)) == memo


async def test_a_memo_whose_file_is_gone_is_not_heard(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    memo = await scene.memos.keep("anna", None, CLIP)
    assert memo is not None
    lose(memo)
    assert await scene.memos.clip(memo) is None


async def test_the_timeline_of_an_incident_names_the_memo_that_belongs_to_it(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    memo = await scene.memos.keep("anna", None, CLIP)
    assert memo is not None
    scene.clock.at += timedelta(minutes=5)
    await scene.open("i1")
    for _ in range(2):
        assert await scene.memos.attach("i1", "anna", scene.clock.now()) == memo
    assert await scene.memos.attach("i1", "bob", scene.clock.now()) is None
    (entry,) = await scene.store.read(lambda connection: incidents.timeline(connection, "i1", after=1))
    assert (entry.kind, entry.actor) == ("amber_memo", "system")
    assert entry.detail == {
        "memo": memo.id,
        "made_at": "2026-03-01T09:00:00.000000Z",
        "seconds": 2.0,
        "sha256": sha256(content_of(memo)).hexdigest(),
    }


async def test_an_expired_memo_is_deleted_with_its_file_a_while_later(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    memo = await scene.memos.keep("anna", None, CLIP)
    assert memo is not None
    scene.clock.at = AT + LASTS + GRACE - timedelta(seconds=1)
    await scene.memos.sweep()
    assert scene.files == {memo.id}
    scene.clock.at += timedelta(seconds=1)
    await scene.memos.sweep()
    assert scene.files == set()
    assert await scene.store.read(memos.ids) == frozenset()


async def test_memos_that_were_valid_when_an_incident_of_their_worker_was_opened_stay_as_evidence(
    tmp_path: Path,
) -> None:
    scene = Scene(tmp_path)
    both = {memo.id for worker in ("anna", "bob") if (memo := await scene.memos.keep(worker, None, CLIP))}
    assert len(both) == 2
    scene.clock.at = AT + LASTS
    await scene.open("too-late-for-bob", "bob")
    scene.clock.at = AT + LASTS - timedelta(seconds=1)
    await scene.open("in-time-for-anna", "anna")
    scene.clock.at = AT + 2 * LASTS
    await scene.memos.sweep()
    (kept,) = scene.files
    row = await scene.store.read(lambda connection: memos.memo(connection, kept))
    assert row is not None
    assert row.worker == "anna"


async def test_a_file_without_a_row_goes_when_its_memo_would_have_expired(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    memo = await scene.memos.keep("anna", None, CLIP)
    assert memo is not None
    await scene.store.run(lambda connection: memos.forget(connection, memo.id))
    (scene.folder / "strange.wav").write_text("no memo of ours")
    await scene.memos.sweep()
    assert scene.files == {memo.id, "strange"}
    scene.clock.at = AT + LASTS + GRACE
    await scene.memos.sweep()
    assert scene.files == {"strange"}


@virtually
async def test_what_has_expired_goes_by_itself_while_the_service_runs(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    await scene.memos.keep("anna", None, CLIP)
    running = asyncio.ensure_future(scene.memos.run())
    await asyncio.sleep(1)
    assert scene.files
    scene.clock.at += 2 * LASTS
    scene.store.fail_with(OSError("away"))  # the sweep ends, its loop does not
    await asyncio.sleep(SWEEP_SECONDS)
    scene.store.fail_with(None)
    await asyncio.sleep(SWEEP_SECONDS)
    assert not scene.files
    assert not running.done()
    running.cancel()


@virtually
async def test_transcripts_are_made_one_at_a_time_also_of_what_an_earlier_process_left(tmp_path: Path) -> None:
    under_way = 0

    async def transcribe(path: Path) -> str:
        nonlocal under_way
        under_way += 1
        assert under_way == 1
        await asyncio.sleep(3)
        under_way -= 1
        return f" said in {path.stem}\n"

    scene = Scene(tmp_path, transcribe)
    kept = [await scene.memos.keep(worker, None, CLIP) for worker in ("anna", "bob")]
    running = asyncio.ensure_future(scene.memos.run())
    await asyncio.sleep(7)
    kept.append(await scene.memos.keep("carla", None, CLIP))
    await asyncio.sleep(4)
    for memo in kept:
        assert memo is not None
        assert await scene.transcript(memo.id) == f"said in {memo.id}"
    running.cancel()


@virtually
async def test_a_transcript_that_fails_is_tried_again_a_few_times_and_never_logged(tmp_path: Path) -> None:
    attempts = 0

    async def transcribe(path: Path) -> str:
        nonlocal attempts
        attempts += 1
        raise RuntimeError("heard: I am at the pumping station")

    scene = Scene(tmp_path, transcribe)
    with structlog.testing.capture_logs() as logs:
        memo = await scene.memos.keep("anna", None, CLIP)
        assert memo is not None
        running = asyncio.ensure_future(scene.memos.run())
        await asyncio.sleep(10 * AGAIN_SECONDS)
    assert attempts == ATTEMPTS
    assert await scene.transcript(memo.id) is None
    assert [entry["why"] for entry in logs] == ["RuntimeError"] * ATTEMPTS
    running.cancel()


@virtually
async def test_what_was_kept_while_the_store_was_away_is_transcribed_when_it_is_back(tmp_path: Path) -> None:
    async def transcribe(path: Path) -> str:
        return "at the pump\0"

    scene = Scene(tmp_path, transcribe)
    running = asyncio.ensure_future(scene.memos.run())
    await asyncio.sleep(1)
    scene.store.fail_with(OSError("no space"))
    with structlog.testing.capture_logs():
        memo = await scene.memos.keep("anna", None, CLIP)
        assert memo is not None
        await asyncio.sleep(AGAIN_SECONDS)
        scene.store.fail_with(None)
        await asyncio.sleep(SWEEP_SECONDS)
    assert await scene.transcript(memo.id) == "at the pump\ufffd"
    running.cancel()


@virtually
async def test_why_a_program_failed_is_told(tmp_path: Path) -> None:
    async def transcribe(path: Path) -> str:
        raise NotTranscribed("ended with 3")

    scene = Scene(tmp_path, transcribe)
    with structlog.testing.capture_logs() as logs:
        await scene.memos.keep("anna", None, CLIP)
        running = asyncio.ensure_future(scene.memos.run())
        await asyncio.sleep(1)
    assert logs[0]["why"] == "ended with 3"
    running.cancel()
