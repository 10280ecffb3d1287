"""Hearing a recording from the command line: what the device sent, as a file that every player takes."""

import shutil
import subprocess
import tempfile
import time
import wave
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection

from voice.cli.verifying import digest
from voice.errors import ConfigurationError
from voice.media.wav import read_layout
from voice.rtp.codecs import ALAW_SILENCE, SAMPLE_RATE, audioop
from voice.store import incidents as rows
from voice.store import memos

PLAYERS: Mapping[str, Sequence[str]] = {
    "ffplay": ("-nodisp", "-autoexit", "-loglevel", "error"),
    "aplay": ("-q",),
    "paplay": (),
    "play": ("-q",),
}
"""Programs that play a WAV file, the first that is installed is taken; and how they are called."""

LONGEST_GAP = timedelta(seconds=2)
"""Silence between two calls of the same incident is cut to this."""

_HEAD = 4096
_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of A-law audio."""

    path: Path
    started_at: datetime
    sha256: str | None = None
    """Of the whole file, in hexadecimal; None where that is not known: it is being recorded."""

    @property
    def altered(self) -> bool:
        """Whether it is another file than was recorded."""
        return bool(self.sha256) and digest(self.path) != self.sha256


def device_segments(connection: Connection, incident_id: str, directory: Path) -> list[Segment]:
    """What the device sent, in the order in which it was said."""
    devices = {leg.id for leg in rows.legs(connection, incident_id) if leg.role == "device"}
    return [
        Segment(_found(Path(row.path), directory), row.started_at, row.sha256)
        for row in rows.recordings(connection, incident_id)
        if row.leg_id in devices and row.direction == "received"
    ]


def memo_segments(connection: Connection, incident_id: str, directory: Path) -> list[Segment]:
    """What the worker had said before the alarm."""
    memo = memos.of_incident(connection, rows.incident(connection, incident_id))
    return [] if memo is None else [Segment(_found(Path(memo.path), directory), memo.made_at)]


def _found(path: Path, directory: Path) -> Path:
    """Where a recording was written or, if the folder was moved, its place in the folder of today."""
    parts = path.parts
    moved = (directory.joinpath(*parts[start:]) for start in range(1, len(parts)))
    return next((place for place in (path, *moved) if place.is_file()), path)


def export(segments: Sequence[Segment], path: Path) -> float:
    """Write the segments as one WAV file of 16-bit PCM at 8 kHz; its seconds."""
    samples = 0
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        for block in _audio(segments):
            file.writeframes(audioop.alaw2lin(block, 2))
            samples += len(block)
    return samples / SAMPLE_RATE


def play(segments: Sequence[Segment], incident_id: str, *, option: str = "") -> None:
    """Play with the first player that is installed. `option`: by which the command line asked for these segments.

    Raises ConfigurationError when nothing was heard. Without a sound device ffplay says so at length and ends with
    exit code 0; that it did not take its time tells it from a player that played.
    """
    player = next((name for name in PLAYERS if shutil.which(name)), None)
    instead = f"get the audio as a file with `earshot play {incident_id}{option} --export FILE.wav`"
    if player is None:
        raise ConfigurationError(
            f"no player found ({', '.join(PLAYERS)}): install one (apt install ffmpeg), or {instead}"
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{incident_id}.wav"
        seconds = export(segments, path)
        began = time.monotonic()
        done = subprocess.run(
            [player, *PLAYERS[player], str(path)],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    if done.returncode or time.monotonic() - began < seconds / 2:
        raise ConfigurationError(f"nothing could be played: {player} found no sound device to use; {instead}")


def _audio(segments: Sequence[Segment]) -> Iterator[bytes]:
    """The A-law samples of all segments in blocks, with the silence between them, but not too much of it."""
    ends: datetime | None = None
    for segment in segments:
        if ends is not None:
            gap = min(max(segment.started_at - ends, timedelta()), LONGEST_GAP)
            yield ALAW_SILENCE * round(gap.total_seconds() * SAMPLE_RATE)
        samples = 0
        for block in _samples(segment.path):
            samples += len(block)
            yield block
        ends = segment.started_at + timedelta(seconds=samples / SAMPLE_RATE)


def _samples(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        layout = read_layout(file.read(_HEAD), path.stat().st_size)
        if layout is None:
            raise ConfigurationError(f"{path} is no recording of Earshot")
        file.seek(layout.data_offset)
        left = layout.samples
        while left > 0 and (block := file.read(min(left, _BLOCK))):
            left -= len(block)
            yield block
