"""Keys of real phones, over lines that lose packets and let them overtake each other (`bad_line.py`).

baresip sends RFC 4733 and, from a file, tones; SIPp sends INFO and, by its own RTP, tones. SIPp's RFC 4733 needs raw
sockets, so only as root, and baresip 1.0 sends no INFO: each way is tried with who can do it. Here the wire formats are
proven; the figures that take thousands of keys are in `tests/unit/media/test_keys_on_bad_lines.py`.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from tests.unit.media.bad_lines import mistakes
from tests.unit.rtp.tones import generate
from voice.rtp.keypad import PATIENCE

from .bad_line import NEAR, BadLine
from .keyed import KeyDesk
from .peers.baresip import Baresip
from .peers.sipp import SCENARIOS, Sipp
from .sounds import Samples, silence, to_alaw, write_wav

LINES = [(0.0, 0.2, 0), (0.01, 0.2, 1), (0.05, 0.2, 8)]
"""Loss, seconds of jitter, and how many mistakes in a hundred keys are tolerated. 99 % at a loss of 1 %."""
TRIES = 8
over_lines = pytest.mark.parametrize(("loss", "jitter", "tolerated"), LINES)

KEYS = "00159#*73124608822#9"
"""Of one call."""
FAST, EASY = 0.05, 0.1
"""Seconds of tone and of pause. Of a tone of 50 ms a lost packet can leave too little to tell it from a vowel, so only
lines that lose nothing are typed on so fast; `test_keys_on_bad_lines.py` has it with all the others."""


def tones(keys: str, loss: float) -> Samples:
    """The first half typed as fast as the line allows, the rest at ease, and silence: a phone that is behind its time
    must not hang up ahead of the last key."""
    half, pace = len(keys) // 2, EASY if loss else FAST
    typed = [generate(keys[:half], on=pace, off=pace), generate(keys[half:], on=EASY, off=EASY)]
    return np.concatenate([silence(1.0), np.frombuffer(b"".join(typed), "<i2"), silence(3.0)])


def judge(tmp_path: Path, loss: float, jitter: float, tolerated: int, call: Callable[[KeyDesk, Path], None]) -> None:
    """All calls that `call` makes have brought their keys, but for so many in a hundred.

    On a machine that is busy the line is worse than it should be, by more than the service is made for: where that made
    mistakes the calls are made again. On a line that was as it should be, a mistake counts at once.
    """
    for number in range(TRIES):
        line = BadLine(loss=loss, jitter=jitter, seed=round(loss * 100 + jitter * 1000))
        with KeyDesk(line) as desk:
            call(desk, tmp_path / str(number))
        wrong = sum(mistakes(keyed, KEYS) for keyed in desk.keyed.values())
        if wrong <= tolerated * len(desk.keyed) * len(KEYS) / 100:
            return
        if line.late <= PATIENCE - jitter:
            break
    pytest.fail(f"{wrong} mistakes, line {line.late:.3f} s late: {list(desk.keyed.values())}")


@over_lines
@pytest.mark.needs("sipp")
def test_tones_and_info_of_sipp(tmp_path: Path, loss: float, jitter: float, tolerated: int) -> None:
    sound = tones(KEYS, loss)
    talk, alaw = len(sound) / 8000, to_alaw(sound)

    def call(desk: KeyDesk, folder: Path) -> None:
        info = Sipp(folder, "info_digit", desk.address, host=NEAR, calls=3, rate=20)
        scenario = folder / "keys_by_info.xml"
        scenario.write_text(by_info(KEYS))
        info.arguments[info.arguments.index("-sf") + 1] = str(scenario)
        audio = Sipp(folder, "alarm_rtp", desk.address, host=NEAR, alaw=alaw, talk=talk, calls=5, rate=20)
        with info, audio:
            audio.succeed()
            info.succeed()
        desk.wait_for_end(8)

    judge(tmp_path, loss, jitter, tolerated, call)


def by_info(keys: str) -> str:
    """The scenario `info_digit`, with an INFO for each of these keys, both of the forms that phones use in turn.

    Each is a transaction of its own: by itself SIPp takes a late answer to one INFO for the answer to the next, sends
    the one behind that, and is refused when they overtake each other.
    """
    send, answer = '  <send retrans="500"', '  <recv response="200"'
    before, info, after = (SCENARIOS / "info_digit.xml").read_text().partition(f"{send}><![CDATA[\n\n      INFO")
    body, _, after = after.partition(f"{answer}/>\n")
    one = info.replace(send, f'{send} start_txn="TXN"') + body + f'{answer} response_txn="TXN"/>\n'
    forms = (
        lambda key: one.replace("Signal=5", f"Signal={key}"),
        lambda key: one.replace("dtmf-relay", "dtmf").replace("Signal=5\n", key).replace("      Duration=160\n", "\n"),
    )
    infos = "".join(
        forms[number % 2](key).replace("TXN", f"key{number}").replace("CSeq: 2 ", f"CSeq: {number + 2} ")
        for number, key in enumerate(keys)
    )
    return before + infos + after.replace("CSeq: 3 BYE", f"CSeq: {len(keys) + 2} BYE")


@over_lines
@pytest.mark.needs("baresip")
def test_events_and_tones_of_baresip(tmp_path: Path, loss: float, jitter: float, tolerated: int) -> None:
    quiet = write_wav(tmp_path / "quiet.wav", silence(60))
    sung = write_wav(tmp_path / "tones.wav", np.concatenate([tones(KEYS, loss), silence(60)]))

    def call(desk: KeyDesk, folder: Path) -> None:
        phones = {name: Baresip(folder, name, quiet if name[0] == "e" else sung) for name in ("e1", "e2", "t1", "t2")}
        with ExitStack() as stack:
            for phone in phones.values():
                stack.enter_context(phone).dial(f"sip:keys@{desk.address[0]}:{desk.port}")
            for phone in phones.values():
                phone.wait_for_call()
            for key in KEYS:
                for name in ("e1", "e2"):
                    phones[name].digit(key)
                time.sleep(0.25)
            time.sleep(2.5)  # the last of them are still on their way
            for phone in phones.values():
                phone.hang_up()
            desk.wait_for_end(len(phones))

    judge(tmp_path, loss, jitter, tolerated, call)
