"""Real softphones as contacts of a phone tree: they are asked for a key, take the alarm with it, and listen.

The service has no speech engine here: tones stand in for the prompts, and the key is as many beeps. So what a person
would understand can be read from what the program has heard.
"""

import time
from pathlib import Path
from typing import Any

import pytest

from .badge import Badge
from .peers.baresip import Baresip
from .peers.linphone import Linphone
from .phones import BADGE, OPERATOR_TONE, WORKERS, Sound
from .program import wait_until
from .service import Service
from .sounds import Samples, ladder, moments, seconds_of

pytestmark = pytest.mark.alone

ATTENTION, BEEP = 480.0, 1000.0
"""Hz. What each prompt begins with; the sound of the key (`ivr.tones`)."""
PROMPTS = 4
"""Who, what, the key, how to decline."""
DEVICE = 1900.0
"""Hz: what the device says."""

PROGRAMS = [
    pytest.param("baresip", marks=pytest.mark.needs("baresip")),
    pytest.param("linphone", marks=pytest.mark.needs("linphonec")),
]


def plan(number: str) -> dict[str, list[dict[str, Any]]]:
    """Anna is called at once."""
    return {
        "customers": [{"id": "acme", "name": "Acme Care", "language": "en", "plan": "at-once"}],
        "plans": [{"id": "at-once", "steps": [{"ring": "contact:anna", "seconds": 60.0}]}],
        "contacts": [{"id": "anna", "name": "Anna", "numbers": number}],
    }


def how_often(samples: Samples, frequency: float) -> int:
    """How often a tone begins."""
    heard = [m.level > 0.02 and abs(m.frequency - frequency) <= 25 for m in moments(samples)]
    return sum(now and not before for before, now in zip([False, *heard], heard, strict=False))


@pytest.mark.needs("sipp")
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_softphone_takes_the_alarm_with_the_key_that_is_asked_for(tmp_path: Path, sound: Sound, program: str) -> None:
    make = Baresip if program == "baresip" else Linphone
    contact = make(tmp_path, "anna", sound(OPERATOR_TONE))
    workers = [worker | {"customer": "acme"} for worker in WORKERS]
    with (
        Service(
            tmp_path,
            devices=[BADGE],
            workers=workers,
            settings={"speech": {"engine": "none", "rendered": False}},
            rows=plan(f"sip:anna@127.0.0.1:{contact.port}"),
        ) as service,
        contact,
        Badge(tmp_path, service, ladder((DEVICE,), 90.0)) as badge,
    ):
        contact.wait_for_ring()
        contact.answer()
        contact.wait_for_call()
        wait_until(lambda: how_often(contact.heard, ATTENTION) >= PROMPTS, "all prompts to be heard")
        key = how_often(contact.heard, BEEP)
        assert 1 <= key <= 9
        contact.digit(str(key))
        service.wait_for_entry("taken")
        before = seconds_of(contact.heard, DEVICE)
        wait_until(lambda: seconds_of(contact.heard, DEVICE) > before + 1.0, "the contact to hear the device")
        assert not badge.disturbed, "not a sound at the device"
        time.sleep(0.2)
        contact.hang_up()
        service.wait_for_entry("taker_hung_up")
        incident = service.incident()
        assert incident.state in ("acknowledged", "in_progress"), "he has it until it is closed"
        assert not badge.disturbed
