"""`earshot call-me` against a real softphone: what is keyed there, what is told here, and how it ends."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from .peers.baresip import Baresip
from .phones import Sound
from .practising import CallMe

TONE = 600.0

pytestmark = pytest.mark.needs("baresip", "espeak-ng")


@pytest.fixture
def softphone(tmp_path: Path, sound: Sound) -> Iterator[Baresip]:
    with Baresip(tmp_path, "anna", sound(TONE)) as phone:
        yield phone


def test_the_key_is_pressed_and_the_line_is_hung_up_there(tmp_path: Path, softphone: Baresip) -> None:
    with CallMe(tmp_path, f"sip:anna@{softphone.authority}") as practice:
        key = practice.wait_for_confirming()
        softphone.wait_for_ring()
        practice.wait_for("it rings")
        softphone.answer()
        practice.wait_for("answered")
        practice.wait_for_words("If you are well")
        softphone.digit(key)
        practice.wait_for("something that counts")
        practice.wait_for("the line is yours")
        softphone.hang_up()
        practice.wait_for("you hung up")
        practice.wait_for("confirmed, by key")
        assert practice.join() == 0


def test_the_duress_pin_is_taken_for_a_pin_over_tcp(tmp_path: Path, softphone: Baresip) -> None:
    options = "--pin", "--language", "nl"
    with CallMe(tmp_path, f"sip:anna@{softphone.authority};transport=tcp", *options) as practice:
        pin = practice.wait_for_duress()
        softphone.wait_for_ring()
        softphone.answer()
        practice.wait_for_words("pincode")
        for digit in f"{pin}#":
            softphone.digit(digit)
        practice.wait_for("something that counts")
        practice.wait_for_words("Dank u")
        practice.wait_for("the line is yours")
        softphone.hang_up()
        practice.wait_for("a silent alarm would have been raised")
        assert practice.join() == 3


def test_ctrl_c_hangs_up_in_the_dialogue(tmp_path: Path, softphone: Baresip) -> None:
    with CallMe(tmp_path, f"sip:anna@{softphone.authority}") as practice:
        softphone.wait_for_ring()
        softphone.answer()
        practice.wait_for_words("check-in for")
        practice.signalled(signal.SIGINT)
        softphone.wait_for_end()
        assert practice.join() == 130


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_it_lets_the_telephone_ring_no_longer(
    tmp_path: Path, softphone: Baresip, sign: signal.Signals, code: int
) -> None:
    with CallMe(tmp_path, f"sip:anna@{softphone.authority}") as practice:
        softphone.wait_for_ring()
        practice.wait_for("it rings")
        practice.signalled(sign)
        softphone.wait_for_end()
        assert practice.join() == code
        assert "Traceback" not in practice.text()


def test_a_call_that_is_declined_there_is_told_in_words(tmp_path: Path, softphone: Baresip) -> None:
    with CallMe(tmp_path, f"sip:anna@{softphone.authority}") as practice:
        softphone.wait_for_ring()
        softphone.hang_up()
        practice.wait_for(r"the telephone refused the call: \d{3} \w+")
        assert practice.join() == 5
