"""What the demo proves, measured where it counts: on the badge, on the operator's phone, in files and database."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from voice.incidents.lifecycle import State
from voice.incidents.timeline import Entry
from voice.media.wav import read_layout
from voice.rtp.codecs import SAMPLE_RATE
from voice.sim.demo_story import SECOND_WORDS, Played
from voice.sim.demo_telling import chain
from voice.sim.demo_view import Finding
from voice.sim.matching import follow, in_order, loud_seconds
from voice.sim.speech import clip
from voice.store.rows import RecordingRow

CATCH_UP_SPEED = 1.5
ANSWER_LIMIT = 1.0
HEARD_LIMIT = 1.0
LIVE_DELAY_LIMIT = 0.5
_AT_ONCE = 0.3
"""Seconds of the alarm before what she heard first that are still called its beginning."""
_LONGEST_PAUSE = 1.5
"""Seconds of the alarm between two pieces of speech: the pauses of the speaker, and a sound that is not found."""
_ENOUGH = 0.8
"""Share of the speech that must be found again; some sounds of a voice are too much alike to tell them apart."""


def findings(played: Played) -> Iterator[Finding]:
    """Every finding, in the order of the story."""
    yield _answered(played)
    yield _first_heard(played)
    yield _from_second_zero(played)
    yield _live(played)
    yield _delay(played)
    yield _silence(played)
    yield _talk(played)
    yield _resolved(played)
    yield _recorded(played)
    yield _digests(played)
    yield chain(played.timeline)


def _answered(played: Played) -> Finding:
    took = (played.badge.answered_at or played.pressed) - played.pressed
    answered = _entry(played, "answered")
    durable = answered is not None and not answered.detail.get("before_commit")
    return Finding(
        "INVITE to 200 OK",
        durable and 0 < took < ANSWER_LIMIT,
        f"{took * 1000:.1f} ms at the badge; the incident was on disk before it",
    )


def _first_heard(played: Played) -> Finding:
    heard, up = played.operator.hearing.first_audio_at, played.operator.answered_at
    if heard is None or up is None:
        return Finding("a human hears it", False, "the operator's phone never received a sound")
    return Finding(
        "a human hears it",
        heard - up < HEARD_LIMIT,
        f"{heard - played.pressed:.2f} s after the alarm, {max(heard - up, 0) * 1000:.0f} ms after Olga picked up",
    )


def _from_second_zero(played: Played) -> Finding:
    """What she heard until she talked is what was said, from its start, with nothing left out but pauses."""
    audio = played.operator.hearing.audio(until=played.talk_pressed)
    matches = follow(audio, clip("badge"))
    run = in_order(matches, longest_pause=_LONGEST_PAUSE)
    if len(run) < _ENOUGH * len(matches) or not run:
        return Finding("from second 0", False, "what Olga heard is not what Anna said")
    first, last = run[0], run[-1]
    began = max(first.position - CATCH_UP_SPEED * first.heard_at, 0.0)
    whole = began < _AT_ONCE and len(clip("badge")) / SAMPLE_RATE - last.position < _LONGEST_PAUSE
    return Finding(
        "from second 0",
        whole,
        f"Olga heard seconds {began:.1f} to {last.position:.1f} of the alarm, every word, in {last.heard_at:.1f} s",
    )


def _live(played: Played) -> Finding:
    joined, live = _entry(played, "operator_joined"), _entry(played, "listening_live")
    if joined is None or live is None:
        return Finding("caught up", False, "she never came to listen live")
    took = (live.time - joined.time).total_seconds()
    return Finding("caught up", True, f"live {took:.1f} s after she picked up")


def _delay(played: Played) -> Finding:
    hearing = played.operator.hearing
    sounds = hearing.sounds(since=played.spoke_again)
    words = follow(hearing.audio(since=played.spoke_again), clip("badge")[: round(SECOND_WORDS * SAMPLE_RATE)])
    if not sounds or not words:
        return Finding("live", False, "Olga did not hear what Anna said while she listened live")
    delay = sounds[0].at - played.spoke_again
    return Finding("live", delay < LIVE_DELAY_LIMIT, f"{delay * 1000:.0f} ms from Anna's mouth to Olga's ear")


def _silence(played: Played) -> Finding:
    """Bit for bit: ring, join, catching up, leaving."""
    hearing = played.badge.hearing
    before = sum(1 for _ in hearing.packets(until=played.talk_pressed))
    after = sum(1 for _ in hearing.packets(since=played.talk_off))
    sounds = len(hearing.sounds(until=played.talk_pressed)) + len(hearing.sounds(since=played.talk_off))
    told = f"{before} packets before talk and {after} after: "
    told += f"{sounds} were no silence" if sounds else "digital silence, bit for bit"
    return Finding("silent badge", not sounds and before > 0 and after > 0, told)


def _talk(played: Played) -> Finding:
    hearing, words = played.badge.hearing, clip("operator")
    audio = hearing.audio(since=played.talk_pressed, until=played.talk_off)
    heard, said = len(follow(audio, words)) / 10, loud_seconds(words)
    sounds = hearing.sounds(since=played.talk_pressed, until=played.talk_off)
    exact = words in audio
    told = f"{len(sounds) / 50:.1f} s of sound from talk on to talk off: Olga's words"
    told += ", bit for bit" if exact else f", {heard:.1f} s of {said:.1f} s found again"
    return Finding("talk to the badge", exact or heard > _ENOUGH * said, told)


def _resolved(played: Played) -> Finding:
    row = played.incident
    by = _entry(played, "resolved")
    told = f"incident {row.id}: {row.state.value}" + (f" ({row.reason}) by {by.actor}" if by else "")
    return Finding("resolved", row.state is State.RESOLVED, told)


def _recorded(played: Played) -> Finding:
    """The badge's recording holds, sample for sample, what it said."""
    devices = {leg.id for leg in played.legs if leg.role == "device"}
    mine = [row for row in played.recordings if row.leg_id in devices and row.direction == "received"]
    audio = b"".join(_audio(row) for row in mine)
    seconds = len(audio) / SAMPLE_RATE
    start = audio.find(clip("badge"))
    again = (
        clip("badge")[: round(SECOND_WORDS * SAMPLE_RATE)] in audio[start + len(clip("badge")) :]
        if start >= 0
        else False
    )
    if not again:
        return Finding("recorded", False, f"{seconds:.1f} s, but not all that the badge sent is in them")
    return Finding("recorded", True, f"{seconds:.1f} s, every sample as the badge sent it")


def _digests(played: Played) -> Finding:
    files = [row for row in played.recordings if row.bytes]
    wrong = [row.path for row in files if _sha256(Path(row.path)) != row.sha256]
    told = f"not as in the database: {', '.join(wrong)}" if wrong else f"{len(files)} recordings as in the database"
    return Finding("SHA-256", bool(files) and not wrong, told)


def _entry(played: Played, kind: str) -> Entry | None:
    return next((entry for entry in played.timeline if entry.kind == kind), None)


def _audio(row: RecordingRow) -> bytes:
    try:
        content = Path(row.path).read_bytes()
    except OSError:
        return b""
    layout = read_layout(content[:4096], len(content))
    return content[layout.data_offset :][: layout.samples] if layout else b""


def _sha256(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
