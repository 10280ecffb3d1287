"""Briefing a control room: told with a pretended phone, in virtual time."""

from datetime import timedelta

import pytest

from ivr.briefing import PROOF, Facts, Outcome, brief, prepare
from tests.unit.ivr.conversing import NOW, Person
from voice.sim.loop import virtual_loop, virtually

FACTS = Facts(
    customer="Care East",
    worker="Anna de Vries",
    kind="man_down",
    since=NOW - timedelta(minutes=12),
    callback="+31201234567",
    address="Damrak 12, 1012 LG Amsterdam",
    latitude=52.37031,
    longitude=4.90012,
    uncertainty_m=23.0,
    located_at=NOW - timedelta(minutes=3),
)
REPORT = [
    "Report: a man-down alarm, no movement. It concerns Anna de Vries.",
    "Address: Damrak 12, one zero one two L G Amsterdam.",
    "Coordinates: 52 point three seven zero three one degrees north, 4 point nine zero zero one two degrees east.",
    "Accurate to about 25 metres.",
    "The position was taken at 2 oh 2 p m.",
    "The alarm began at 1 53 p m, 12 minutes ago.",
    "Call-back number: plus three one, two zero one, two three four, five six seven.",
    "Press 1 to hear the report again, 2 to be connected, 9 to confirm that you have understood it.",
]


async def _briefed(person: Person, facts: Facts = FACTS) -> tuple[Outcome, list[str]]:
    proofs: list[str] = []
    return await brief(person.phone, person.voice(), facts, now=NOW, on_confirmed=proofs.append), proofs


@virtually
async def test_the_report_says_who_what_where_since_when_and_whom_to_call_back() -> None:
    person = Person()
    await _briefed(person)
    assert person.heard[0] == "This is an automatic emergency report by Earshot, on behalf of Care East."
    assert person.heard[2:10] == REPORT


@virtually
async def test_a_call_taker_who_presses_nothing_hears_it_three_times_and_is_connected() -> None:
    person = Person()
    assert await _briefed(person) == (Outcome.UNCONFIRMED, [])
    assert person.heard_often("Coordinates") == 3
    assert person.heard[-1] == "You are now being connected."
    assert not person.phone.is_over


@virtually
async def test_asking_to_be_connected_proves_a_person_and_interrupts_the_report() -> None:
    person = Person()
    person.presses_on("Report:", "2", after=-1.0)
    assert await _briefed(person) == (Outcome.CONNECT, [PROOF["2"]])
    assert person.heard_often("Call-back") == 0
    assert not person.phone.is_over


@virtually
async def test_confirming_proves_a_person_once_and_he_may_still_be_connected() -> None:
    person = Person()
    person.presses_on("9 to confirm that", "9")
    person.presses_on("You may also hang up", "2")
    assert await _briefed(person) == (Outcome.CONNECT, [PROOF["9"]])
    assert "Thank you. The report is confirmed." in person.heard


@virtually
async def test_who_confirmed_and_says_nothing_more_is_let_go() -> None:
    person = Person()
    person.presses_on("9 to confirm that", "9")
    assert await _briefed(person) == (Outcome.CONFIRMED, [PROOF["9"]])
    assert person.phone.hung_up


@virtually
async def test_who_confirmed_and_hung_up_has_confirmed() -> None:
    person = Person()
    person.presses_on("9 to confirm that", "9")
    person.hearing("The report is confirmed", person.phone.leave)
    assert await _briefed(person) == (Outcome.CONFIRMED, [PROOF["9"]])


@virtually
async def test_asking_for_a_repeat_proves_nothing() -> None:
    person = Person()
    person.presses_on("9 to confirm that", "1")
    outcome, proofs = await _briefed(person)
    assert (outcome, proofs) == (Outcome.UNCONFIRMED, [])
    assert person.heard_often("Coordinates") == 3


@virtually
async def test_who_asks_for_repeats_for_ever_is_connected_in_the_end() -> None:
    person = Person()
    for n in range(200):
        person.phone.press_after(20.0 + 40 * n, "1")
    outcome, _ = await _briefed(person)
    assert outcome is Outcome.UNCONFIRMED
    assert person.seconds < 800


@virtually
async def test_hanging_up_unconfirmed_is_told_apart() -> None:
    person = Person()
    virtual_loop().call_later(15.0, person.phone.leave)
    assert await _briefed(person) == (Outcome.HUNG_UP, [])


@pytest.mark.parametrize("key", "29")
@virtually
async def test_a_key_before_anything_was_asked_proves_nothing(key: str) -> None:
    person = Person()
    person.phone.press(key)
    assert await _briefed(person) == (Outcome.UNCONFIRMED, [])


@virtually
async def test_what_is_not_known_is_left_out_and_an_unknown_place_is_said() -> None:
    person = Person()
    await _briefed(person, Facts(customer="", worker="", kind="unidentified", since=NOW))
    assert person.heard[0] == "This is an automatic emergency report by Earshot."
    assert person.heard[2:5] == [
        "Report: an alarm from an unknown device. It concerns an unknown worker.",
        "The location is not known.",
        "The alarm began at 2 oh 5 p m, less than a minute ago.",
    ]
    assert person.heard_often("Call-back") == person.heard_often("Coordinates") == 0


@virtually
async def test_the_whole_report_was_rendered_ahead() -> None:
    person = Person()
    await prepare(person.voice(), FACTS, NOW)
    rendered = len(person.speaker.texts)
    await _briefed(person)
    assert len(person.speaker.texts) == rendered
