"""`kill -9` at any moment: the recordings are readable, with at most the last second missing."""

import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.media.packets import Sender
from tests.unit.media.recording_process import LEGS
from voice.media.files import FileArchive
from voice.media.recorder import recover

ROOT = Path(__file__).parents[3]
SECOND = 50
"""Packets."""


def record_until_killed(folder: Path, packets: int) -> int:
    """Run the recording process and kill it after so many packets; the number of the last one sent."""
    command = [sys.executable, "-m", "tests.unit.media.recording_process", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= packets:
                process.send_signal(signal.SIGKILL)
                break
        rest = process.stdout.read().split()
        assert process.wait() == -signal.SIGKILL
    return int(rest[-1]) if rest else packets


def last_packet(audio: bytes) -> int:
    """The last packet in it, having checked that none before it is missing."""
    at = audio.find(Sender.audio(0))
    assert at >= 0
    number = 0
    while audio[at : at + 160] == Sender.audio(number):
        at += 160
        number += 1
    assert len(audio) - at < 160, "a whole packet that is not the next one"
    return number - 1


@pytest.mark.parametrize("seed", [1, 2])
def test_a_killed_process_leaves_recordings_that_miss_at_most_the_last_second(tmp_path: Path, seed: int) -> None:
    sent = record_until_killed(tmp_path, random.Random(seed).randrange(2 * SECOND, 3 * SECOND))
    files = sorted(tmp_path.rglob("*.wav"))
    assert len(files) == LEGS
    for path in files:
        archive = FileArchive.open(path)
        unfinished = archive.read(0, archive.samples)
        assert sent - last_packet(unfinished) <= SECOND
        if shutil.which("sox"):
            command = ["sox", str(path), "-t", "al", "-"]
            assert subprocess.run(command, check=True, capture_output=True).stdout == unfinished
        info = recover(path)
        assert info.duration_ms == len(unfinished) // 8
        archive = FileArchive.open(path)
        assert archive.read(0, archive.samples) == unfinished
        if shutil.which("sox"):
            printed = subprocess.run(["soxi", "-s", str(path)], check=True, capture_output=True, text=True).stdout
            assert int(printed) == len(unfinished)
