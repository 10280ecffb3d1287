"""`kill -9` while an alarm is being recorded: nothing of it is lost, and nobody is left alone."""

import subprocess
from pathlib import Path

import pytest

from .phones import BADGE, DEVICE_TONES, OPERATOR_TONE, OPERATORS, WORKERS, Sound, phone
from .program import installed, wait_until
from .service import Service
from .sounds import order_of, seconds_of


@pytest.mark.needs("baresip", "linphonec")
@pytest.mark.parametrize(("program", "listening"), [("baresip", False), ("linphone", True)])
def test_an_alarm_survives_the_death_of_the_process(
    tmp_path: Path, sound: Sound, program: str, listening: bool
) -> None:
    """The operator's phone still rings, or he is listening already, when the process dies."""
    with (
        Service(tmp_path, devices=[BADGE], operators=OPERATORS[:1], workers=WORKERS) as service,
        phone(program, tmp_path, "olga", sound(OPERATOR_TONE), service) as olga,
        phone("baresip", tmp_path, "badge", sound(*DEVICE_TONES, seconds=1.2), service, answers="auto") as badge,
    ):
        badge.dial(f"sip:alarm@127.0.0.1:{service.port}")
        badge.wait_for_call()
        olga.wait_for_ring()
        if listening:
            olga.answer()
            olga.wait_for_call()
        wait_until(lambda: seconds_of(service.incident().recorded(), 800) > 0.5, "two tones to be recorded")
        before = service.incident()
        service.crash()

        assert order_of(before.recorded(), DEVICE_TONES[:2]) == [400, 800], "it lies on the disk, unclosed"
        for file in before.files():
            _is_playable(file)

        service.restart()
        incident = service.wait_for_entry("service_restarted", "leg_lost")
        assert incident.id == before.id
        wait_until(lambda: service.incident().state == "open", "the incident to be open: its operator is gone")
        if listening:
            # He hears nothing any more. Linphone takes no second call from an address that it is talking to.
            olga.hang_up()
        olga.wait_for_ring()
        incident = service.wait_for_entry("calling_back", "device_answered_call_back", patience=40)
        assert incident.legs_of("device")[0]["cause"] == "process lost"
        if listening:
            heard_before = seconds_of(olga.heard, 400)
            olga.answer()
            olga.wait_for_call()
            wait_until(lambda: seconds_of(olga.heard, 400) > heard_before + 0.5, "the first second once more")


def _is_playable(file: Path) -> None:
    """Common tools read it, although nobody ever closed it."""
    sox = ["sox", str(file), "-n", "stat"]
    ffmpeg = ["ffmpeg", "-v", "error", "-i", str(file), "-f", "null", "-"]
    for command in (sox, ffmpeg):
        if installed(command[0]):
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL, check=False
            )
            assert done.returncode == 0, done.stderr
