"""`earshot call-me`: a check-in against one's own softphone, in virtual time, and what is told of it."""

import asyncio
import random
from argparse import Namespace
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from config.models import Settings
from config.prompts import FOLDER
from ivr.prompts import LANGUAGES, Prompts
from ivr.speech import Voice
from voice.cli.main import main
from voice.cli.practice import Line, Practised, practise
from voice.cli.practice_desk import Practice, Proof
from voice.cli.practising import introduced, judged, practice_of
from voice.errors import ConfigurationError
from voice.outbound import Rung
from voice.ringing import Outcome
from voice.sim.habits import Answers, Habits
from voice.sim.loop import virtual_loop, virtually
from voice.sim.network import Network
from voice.sim.phone import SimPhone
from voice.sim.phone_call import PhoneCall
from voice.sim.rtp import SimRtpPorts
from voice.sim.spoken import HeardText, SimSpeaker, heard, hears
from voice.sim.transport import SimTransport
from voice.sip.session import EndCause

HERE, THERE = "10.0.0.1", "10.0.0.9"
URI = f"sip:anna@{THERE}"
KEY = "4"
PIN, DURESS_PIN = "4711", "8150"
RETRIES = (60.0, 120.0)
PROMPTS = Prompts.load(FOLDER)

Person = Callable[["Practising"], Awaitable[None]]


def options(**given: Any) -> Namespace:
    defaults = {"to": URI, "language": None, "worker": None, "customer": None, "pin": None, "rings": 30.0}
    return Namespace(**(defaults | given))


def by_key(settings: Settings | None = None, **given: Any) -> Practice:
    practice = practice_of(options(**given), settings or Settings(), random.Random(1))
    return replace(practice, asked=replace(practice.asked, key=KEY))


def by_pin(**given: Any) -> Practice:
    practice = practice_of(options(pin=PIN, **given), Settings(), random.Random(1))
    return replace(practice, duress=(DURESS_PIN, "00"))


class Practising:
    """One practice between two hosts of a simulated network, and the person with the telephone."""

    def __init__(self, practice: Practice, habits: Habits | None = None) -> None:
        self.practice = practice
        self.told: list[str] = []
        self.speaker = SimSpeaker()
        self.network = Network(virtual_loop())
        self.phone = SimPhone(
            "anna",
            plug=lambda: SimTransport(self.network, THERE),
            ports=SimRtpPorts(self.network, THERE),
            server=("UDP", (HERE, 5060)),
            habits=habits or Habits(after=3.0),
        )
        self.task: asyncio.Task[Practised] | None = None

    @property
    def call(self) -> PhoneCall:
        return self.phone.calls[-1]

    @property
    def texts(self) -> list[HeardText]:
        return heard(self.call.hearing, self.speaker)

    async def hears(self, said: str) -> HeardText:
        return await hears(self.call, self.speaker, said)

    async def run(self, person: Person | None = None) -> Practised:
        await self.phone.start()
        ports = SimRtpPorts(self.network, HERE)
        line = Line(SimTransport(self.network, HERE), ports, HERE, virtual_loop().clock)
        voice = Voice(PROMPTS, self.speaker, self.practice.language, self.practice.timezone)
        self.task = asyncio.create_task(practise(self.practice, line, Settings(), voice, self.told.append))
        if person is not None:
            await (await self.phone.called()).established()
            await person(self)
        return await self.task


def pressing(keys: str, *, when: str = "press") -> Person:
    """Whoever presses keys when he is asked, hears it to the end, and hangs up a while later."""

    async def person(at: Practising) -> None:
        await at.hears(when)
        at.call.press(keys)
        await at.hears("thank you")
        await asyncio.sleep(10)
        at.call.hang_up()

    return person


async def silent(at: Practising) -> None:
    """He says nothing, and leaves it to us to hang up."""


@virtually
async def test_the_key_confirms() -> None:
    at = Practising(by_key(worker="Bas", customer="Acme"))
    practised = await at.run(pressing(KEY))
    assert judged(practised, at.practice, RETRIES) == (0, "confirmed, by key")
    assert at.texts[0].text == "Earshot check-in for Bas, on behalf of Acme."
    assert at.told[:2] == ["it rings", "answered"]
    assert 'you hear: "If you are well, press four."' in at.told
    assert at.told[-1] == "you hung up"


@virtually
async def test_the_line_stays_open_and_silent_until_he_hangs_up() -> None:
    at = Practising(by_key())

    async def person(at: Practising) -> None:
        await at.hears("press")
        at.call.press(KEY)
        last = await at.hears("thank you")
        await asyncio.sleep(1)
        silent_since = asyncio.get_running_loop().time()
        await asyncio.sleep(600)
        assert at.call.is_established
        assert at.call.hearing.heard_silence_only(since=silent_since)
        packets = list(at.call.hearing.packets(since=silent_since))
        assert len(packets) == pytest.approx(600 * 50, abs=5)
        assert last.whole
        at.call.hang_up()

    await at.run(person)
    assert at.call.end is not None


@virtually
async def test_duress_sounds_the_same_and_is_told_afterwards_only() -> None:
    confirmed, forced = Practising(by_key()), Practising(by_key())
    await confirmed.run(pressing(KEY))
    practised = await forced.run(pressing("00"))
    code, verdict = judged(practised, forced.practice, RETRIES)
    assert code == 3
    assert "a silent alarm would have been raised" in verdict
    assert forced.told == confirmed.told
    assert [text.text for text in forced.texts] == [text.text for text in confirmed.texts]


@virtually
async def test_a_pin_is_asked_for_and_the_duress_pin_is_taken_for_it() -> None:
    at = Practising(by_pin())
    practised = await at.run(pressing(f"{PIN}#", when="key in your pin"))
    assert judged(practised, at.practice, RETRIES) == (0, "confirmed, by PIN")
    at = Practising(by_pin())
    assert (await at.run(pressing(f"{DURESS_PIN}#", when="key in your pin"))).proof is Proof.DURESS


@virtually
async def test_duress_keys_that_come_late_still_count() -> None:
    async def person(at: Practising) -> None:
        await pressing_and_waiting(at)
        at.call.press("00")
        await asyncio.sleep(2)
        at.call.hang_up()

    async def pressing_and_waiting(at: Practising) -> None:
        await at.hears("press")
        at.call.press(KEY)
        await at.hears("thank you")
        await asyncio.sleep(5)

    at = Practising(by_key())
    code, verdict = judged(await at.run(person), at.practice, RETRIES)
    assert code == 3
    assert "when the dialogue was over" in verdict


@virtually
async def test_silence_is_not_confirmed() -> None:
    at = Practising(by_key())
    practised = await at.run(silent)
    code, verdict = judged(practised, at.practice, RETRIES)
    assert code == 4
    assert verdict.startswith("not confirmed (")
    assert verdict.endswith("would be called again in 60 s")
    assert "an alarm raised" in judged(practised, at.practice, ())[1]
    assert at.told[-1] == "we hung up"


@virtually
async def test_hanging_up_before_a_key_is_not_confirmed() -> None:
    async def person(at: Practising) -> None:
        await at.hears("press")
        at.call.hang_up()

    at = Practising(by_key())
    code, verdict = judged(await at.run(person), at.practice, RETRIES)
    assert (code, "hung up before anything counted" in verdict) == (4, True)


@virtually
async def test_a_wrong_key_does_not_count_and_is_asked_for_again() -> None:
    async def person(at: Practising) -> None:
        await at.hears("press")
        at.call.press("7")
        await at.hears("that was not right")
        at.call.press(KEY)
        await at.hears("thank you")
        at.call.hang_up()

    at = Practising(by_key())
    assert (await at.run(person)).proof is Proof.KEY
    assert "you keyed something that does not count" in at.told


@virtually
async def test_the_line_stays_open_after_wrong_keys_as_in_earnest() -> None:
    async def person(at: Practising) -> None:
        await at.hears("press")
        for _ in range(3):
            at.call.press("7")
            await asyncio.sleep(12.0)
        await at.hears("nothing has been confirmed")
        await asyncio.sleep(20.0)
        at.call.hang_up()

    at = Practising(by_key())
    assert (await at.run(person)).proof is None
    assert at.told[-1] == "you hung up"


@virtually
async def test_nobody_picks_up() -> None:
    at = Practising(by_key(rings=12.0), Habits(answers=Answers.NEVER))
    practised = await at.run()
    assert judged(practised, at.practice, RETRIES) == (5, "nobody answered within 12 s")
    assert at.told == ["it rings"]
    assert at.call.end is not None
    assert at.call.end.cause is EndCause.CANCELLED


@pytest.mark.parametrize(
    ("habits", "said"),
    [
        (Habits(answers=Answers.BUSY), "486 Busy Here (it is busy)"),
        (Habits(answers=Answers.DECLINES, after=1.0), "603 Decline (the call was declined)"),
        (Habits(codecs=("G722",), after=1.0), "it takes neither A-law nor mu-law"),
    ],
)
@virtually
async def test_a_refusal_is_told_in_words(habits: Habits, said: str) -> None:
    at = Practising(by_key(), habits)
    code, verdict = judged(await at.run(), at.practice, RETRIES)
    assert code == 5
    assert said in verdict


@virtually
async def test_an_address_where_nothing_answers() -> None:
    at = Practising(replace(by_key(), uri="sip:anna@10.0.0.77"))
    code, verdict = judged(await at.run(), at.practice, RETRIES)
    assert (code, "nothing answers at sip:anna@10.0.0.77" in verdict) == (5, True)


@virtually
async def test_to_stop_it_hangs_up() -> None:
    at = Practising(by_key())

    async def person(at: Practising) -> None:
        await at.hears("check-in for")
        assert at.task is not None
        at.task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await at.run(person)
    assert at.call.end is not None
    assert at.call.end.cause is EndCause.BYE


@virtually
async def test_to_stop_it_while_it_rings_withdraws_the_call() -> None:
    at = Practising(by_key(), Habits(answers=Answers.NEVER))
    running = asyncio.create_task(at.run())
    await at.phone.called()
    await asyncio.sleep(1)
    assert at.task is not None
    at.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert at.call.end is not None
    assert at.call.end.cause is EndCause.CANCELLED


@virtually
async def test_to_stop_it_when_the_dialogue_is_over_ends_it_with_its_verdict() -> None:
    async def person(at: Practising) -> None:
        await at.hears("press")
        at.call.press(KEY)
        await at.hears("thank you")
        await asyncio.sleep(2)
        assert at.task is not None
        at.task.cancel()

    at = Practising(by_key())
    assert (await at.run(person)).proof is Proof.KEY
    assert at.call.end is not None
    assert at.call.end.cause is EndCause.BYE


@virtually
async def test_a_telephone_that_died_does_not_keep_the_command_waiting() -> None:
    async def person(at: Practising) -> None:
        await at.hears("press")
        at.call.press(KEY)
        await at.hears("thank you")
        await asyncio.sleep(2)
        await at.phone.die()

    at = Practising(by_key())
    assert (await at.run(person)).proof is Proof.KEY
    assert "the telephone gives no sign of life" in at.told


@pytest.mark.parametrize("language", LANGUAGES)
@virtually
async def test_it_speaks_the_language_that_is_asked_for(language: str) -> None:
    at = Practising(by_key(language=language))
    await at.run(silent)
    assert {text.language for text in at.texts} == {language}


@pytest.mark.parametrize(
    ("rung", "said"),
    [
        (Rung(Outcome.UNREACHABLE, status=200), "it answered, but no sound can come of it"),
        (Rung(Outcome.UNREACHABLE, status=401), "401 Unauthorized (it lets nobody in"),
        (Rung(Outcome.UNREACHABLE, status=500), "refused the call: 500 Server Internal Error"),
        (Rung(Outcome.UNREACHABLE, reason="no RTP port pair is free"), "not reached: no RTP port pair is free"),
    ],
)
def test_why_nobody_was_reached_is_told_in_words(rung: Rung, said: str) -> None:
    code, verdict = judged(Practised(rung), by_key(), RETRIES)
    assert (code, said in verdict) == (5, True), verdict


# -- what is practised --


def settings_with_anna() -> Settings:
    return Settings.model_validate(
        {
            "customers": [{"id": "acme", "name": "Acme Care", "language": "fr", "timezone": "Europe/Paris"}],
            "workers": [{"id": "anna", "name": "Anna de Boer", "customer": "acme", "check_in": "strict"}],
            "check_ins": [{"id": "strict", "confirm": "pin", "interval": 600, "retries": []}],
        }
    )


def test_a_worker_of_the_configuration_is_asked_as_it_says() -> None:
    practice = practice_of(options(worker="anna"), settings_with_anna())
    assert (practice.asked.worker, practice.asked.customer) == ("Anna de Boer", "Acme Care")
    assert (practice.language, practice.timezone, practice.interval) == ("fr", "Europe/Paris", 600)
    assert practice.asked.key is None
    assert not practice.asked.is_repeated
    assert practice_of(options(worker="anna", language="de"), settings_with_anna()).language == "de"


def test_a_pin_is_made_up_or_given_and_the_duress_pin_is_another_one() -> None:
    for seed in range(50):
        practice = practice_of(options(pin=""), Settings(), random.Random(seed))
        assert practice.pin is not None
        assert practice.pin not in practice.duress
    assert practice_of(options(pin=PIN), Settings()).pin == PIN
    with pytest.raises(ConfigurationError, match="this PIN will not do"):
        practice_of(options(pin="12"), Settings())


def test_the_key_is_never_one_that_begins_the_duress_keys() -> None:
    keys = {practice_of(options(), Settings(), random.Random(seed)).asked.key for seed in range(200)}
    assert keys == set("123456789")


def test_it_tells_what_can_be_keyed() -> None:
    assert any("press 4" in line for line in introduced(by_key()))
    assert any("press 0 0" in line for line in introduced(by_key()))
    assert any(f"key in {PIN} and #" in line for line in introduced(by_pin()))
    assert any(f"key in {DURESS_PIN} and #" in line for line in introduced(by_pin()))


# -- mistakes --


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("anna", "'anna' is no SIP address; an example: sip:anna@192.168.1.20"),
        ("tel:+31201234567", "is no SIP address"),
        ("sip:", "is no SIP address"),
        ("sip:112@127.0.0.1", "leads to emergency services: it is not called"),
        ("sip:sos@127.0.0.1", "leads to emergency services: it is not called"),
        ("sip:anna@a..b", "there is no host 'a..b'"),
    ],
)
def test_a_mistake_is_told_in_a_line(
    uri: str, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARSHOT_SPEECH__ENGINE", "none")
    assert main(["call-me", "--to", uri]) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert told.out == ""
