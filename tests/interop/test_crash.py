"""`kill -9` while an alarm is being recorded: nothing of it is lost, and nobody is left alone."""

import subprocess
from pathlib import Path

import pytest

from .peers.baresip import Baresip
from .phones import BADGE, DEVICE_TONES, MD5, OPERATOR_TONE, OPERATORS, WORKERS, Sound, phone
from .program import installed, wait_until
from .service import Service
from .sounds import order_of, seconds_of


@pytest.mark.needs("baresip", "linphonec")
def test_an_alarm_survives_the_death_of_the_process(tmp_path: Path, sound: Sound) -> None:
    with (
        Service(tmp_path, devices=[BADGE], operators=OPERATORS[:1], workers=WORKERS, settings=MD5) as service,
        phone("linphone", tmp_path, "olga", sound(OPERATOR_TONE), service) as olga,
        phone(
            "baresip", tmp_path, "badge", sound(*DEVICE_TONES, seconds=2), service, answers="auto"
        ) as badge,
    ):
        if not isinstance(badge, Baresip):
            raise TypeError("another phone than asked for")
        badge.dial(f"sip:alarm@127.0.0.1:{service.port}")
        badge.wait_for_call()
        olga.wait_for_ring()
        wait_until(lambda: seconds_of(service.incident().recorded(), 800) > 1, "three seconds to be recorded")
        before = service.incident()
        service.crash()

        kept = before.recorded()
        assert order_of(kept, DEVICE_TONES[:2]) == [400, 800], (
            "what was recorded is on the disk of a dead process"
        )
        for file in before.files():
            _is_playable(file)

        service.restart()
        incident = service.wait_for_entry("service_restarted", "leg_lost")
        assert incident.id == before.id
        assert incident.state == "open"
        olga.wait_for_ring()
        incident = service.wait_for_entry("calling_back", "device_answered_call_back", patience=40)
        assert incident.legs_of("device")[0]["cause"] == "process lost"
        olga.answer()
        olga.wait_for_call()
        wait_until(
            lambda: seconds_of(olga.heard, 400) > 0.5, "the operator to hear the first second of the old call"
        )


def _is_playable(file: Path) -> None:
    """Common tools read it, although nobody ever closed it."""
    for tool in (
        ["sox", str(file), "-n", "stat"],
        ["ffmpeg", "-v", "error", "-i", str(file), "-f", "null", "-"],
    ):
        if installed(tool[0]):
            done = subprocess.run(
                tool, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL, check=False
            )
            assert done.returncode == 0, done.stderr
