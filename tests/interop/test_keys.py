"""Keys of real phones, over lines that lose packets and let them overtake each other (`bad_line.py`).

baresip sends RFC 4733 and, from a file, tones; SIPp sends INFO and, by its own RTP, tones. SIPp's RFC 4733 needs raw
sockets, so only as root, and baresip 1.0 sends no INFO: each way is tried with who can do it. Here the wire formats are
proven; the figures that take thousands of keys are in `tests/unit/media/test_keys_on_bad_lines.py`.
"""

import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from tests.unit.media.bad_lines import mistakes
from tests.unit.rtp.tones import generate

from .bad_line import NEAR, BadLine
from .keyed import KeyDesk
from .peers.baresip import Baresip
from .peers.sipp import SCENARIOS, Sipp
from .program import wait_until
from .sounds import Samples, silence, to_alaw, write_wav

LINES = [(0.0, 0.2, 2), (0.01, 0.2, 2), (0.05, 0.2, 8)]
"""Loss, seconds of jitter, and how many mistakes in a hundred keys are tolerated. Some even where nothing is lost: a
phone or a service that waits for a processor makes them."""
over_lines = pytest.mark.parametrize(("loss", "jitter", "tolerated"), LINES)

KEYS = "00159#*73124608822#9"
"""Of one call."""
FAST, EASY = 0.05, 0.1
"""Seconds of tone and of pause. Of a tone of 50 ms a lost packet can leave too little to tell it from a vowel, so only
lines that lose nothing are typed on so fast; `test_keys_on_bad_lines.py` has it with all the others."""


def line(loss: float, jitter: float) -> BadLine:
    return BadLine(loss=loss, jitter=jitter, seed=round(loss * 100 + jitter * 1000))


def tones(keys: str, loss: float) -> Samples:
    """The first half typed as fast as the line allows, the rest at ease, and silence: a phone that is behind its time
    must not hang up ahead of the last key."""
    half, pace = len(keys) // 2, EASY if loss else FAST
    typed = [generate(keys[:half], on=pace, off=pace), generate(keys[half:], on=EASY, off=EASY)]
    return np.concatenate([silence(1.0), np.frombuffer(b"".join(typed), "<i2"), silence(3.0)])


def judge(desk: KeyDesk, calls: int, tolerated: int) -> None:
    """Every call has brought its keys, but for so many in a hundred."""
    wait_until(lambda: desk.ended >= calls, f"{calls} calls to end")
    assert len(desk.keyed) == calls
    wrong = sum(mistakes(keyed, KEYS) for keyed in desk.keyed.values())
    assert wrong <= tolerated * calls * len(KEYS) / 100, (wrong, desk.keyed)


@over_lines
@pytest.mark.needs("sipp")
def test_tones_and_info_of_sipp(tmp_path: Path, loss: float, jitter: float, tolerated: int) -> None:
    scenario = tmp_path / "keys_by_info.xml"
    scenario.write_text(by_info(KEYS))
    sound = tones(KEYS, loss)
    with KeyDesk(line(loss, jitter)) as desk:
        info = Sipp(tmp_path, "info_digit", desk.address, host=NEAR, calls=3, rate=20)
        info.arguments[info.arguments.index("-sf") + 1] = str(scenario)
        talk = len(sound) / 8000
        audio = Sipp(tmp_path, "alarm_rtp", desk.address, host=NEAR, alaw=to_alaw(sound), talk=talk, calls=5, rate=20)
        with info, audio:
            audio.succeed()
            info.succeed()
        judge(desk, 8, tolerated)


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
    with KeyDesk(line(loss, jitter)) as desk, ExitStack() as stack:
        phones = {name: Baresip(tmp_path, name, quiet if name[0] == "e" else sung) for name in ("e1", "e2", "t1", "t2")}
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
        judge(desk, len(phones), tolerated)
