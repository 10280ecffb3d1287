"""Calling a number: by which trunk, what its end says, when the next one is tried, who waits for a place."""

import asyncio
from typing import Any

import pytest

from tests.unit.calling_out import ANNA, EXCHANGES, HOST, Office, refusing
from voice.contacts import through
from voice.errors import EmergencyNumberRefused
from voice.failover import Attempt, outcome_of, retry_after, tries_next
from voice.interlock import Interlock
from voice.ringing import Outcome
from voice.sim.habits import Answers, Habits
from voice.sim.loop import virtually
from voice.sip.bodies import BodyPart, parts
from voice.sip.core import Target
from voice.sip.message import header, headers

KPN: dict[str, Any] = {"id": "kpn"}
BT: dict[str, Any] = {"id": "bt"}
DT: dict[str, Any] = {"id": "dt"}


# -- what the end of an attempt says --


@pytest.mark.parametrize(
    "status",
    [*range(300, 310), 380, 401, 402, 403, 404, 405, 407, 408, 413, 415, 420, 482, 484, 488, 493, *range(500, 600)],
)
def test_what_a_trunk_says_of_itself_leads_to_the_next_one(status: int) -> None:
    assert tries_next(Attempt(status))
    assert outcome_of(Attempt(status)) is Outcome.UNREACHABLE


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (480, Outcome.DECLINED),
        (486, Outcome.BUSY),
        (487, Outcome.NO_ANSWER),
        (600, Outcome.BUSY),
        (603, Outcome.DECLINED),
        (607, Outcome.DECLINED),
        (608, Outcome.DECLINED),
        (410, Outcome.UNREACHABLE),
        (604, Outcome.UNREACHABLE),
        (606, Outcome.UNREACHABLE),
        (699, Outcome.UNREACHABLE),
    ],
)
def test_what_the_person_or_his_telephone_says_ends_the_search(status: int, outcome: Outcome) -> None:
    assert not tries_next(Attempt(status))
    assert outcome_of(Attempt(status)) is outcome


def test_every_final_status_is_of_one_of_the_two() -> None:
    for status in range(300, 700):
        assert tries_next(Attempt(status)) in (True, False)
        assert outcome_of(Attempt(status)) is not Outcome.ANSWERED


def test_who_did_not_pick_up_is_not_rung_by_another_trunk() -> None:
    assert not tries_next(Attempt(408, rang=True))
    assert not tries_next(Attempt(None, rang=True))
    assert outcome_of(Attempt(408, rang=True)) is Outcome.NO_ANSWER
    assert outcome_of(Attempt(None, rang=True)) is Outcome.NO_ANSWER


def test_a_trunk_that_breaks_down_while_it_rings_is_replaced() -> None:
    assert tries_next(Attempt(503, rang=True))


def test_silence_leads_to_the_next_trunk() -> None:
    assert tries_next(Attempt(None))


@pytest.mark.parametrize(
    ("cause", "outcome"), [(17, Outcome.BUSY), (18, Outcome.NO_ANSWER), (19, Outcome.NO_ANSWER), (21, Outcome.DECLINED)]
)
def test_the_cause_of_the_telephone_network_counts_before_the_status(cause: int, outcome: Outcome) -> None:
    attempt = Attempt(503, reason=f'SIP;cause=503, Q.850 ;cause={cause};text="x"')
    assert not tries_next(attempt)
    assert outcome_of(attempt) is outcome
    assert tries_next(Attempt(503, reason="Q.850;cause=34"))
    assert not tries_next(Attempt(404, reason="q.850;cause=22"))


def test_retry_after_is_read_with_its_comment() -> None:
    assert retry_after("120 (overload);duration=10") == 120
    assert retry_after("soon") is None
    assert retry_after(None) is None


# -- calls --


@virtually
async def test_a_number_is_called_as_trunks_want_it() -> None:
    office = await Office(KPN).open("kpn")
    office.line()
    rung = await office.ring(ANNA, caller_id="+31201234567", display_name='Zorg "Noord"')
    assert rung.outcome is Outcome.ANSWERED
    assert rung.trunk == "kpn"
    assert rung.call.up
    (invite,) = office.exchanges["kpn"].invites
    assert str(invite.uri) == f"sip:{ANNA}@{EXCHANGES['kpn']};user=phone"
    assert header(invite, "From").startswith("\"Zorg 'Noord'\" <sip:+31201234567@earshot>")
    assert header(invite, "P-Asserted-Identity") == '"Zorg \\"Noord\\"" <tel:+31201234567>'
    assert office.rang == 1


@virtually
async def test_the_account_that_a_trunk_insists_on_stands_in_from_and_the_customer_is_asserted() -> None:
    office = await Office(KPN | {"from_user": "account-7"}).open("kpn")
    office.line()
    await office.ring(ANNA, caller_id="+31201234567")
    (invite,) = office.exchanges["kpn"].invites
    assert "<sip:account-7@earshot>" in header(invite, "From")
    assert header(invite, "P-Asserted-Identity") == "<tel:+31201234567>"


@virtually
async def test_a_number_with_an_international_prefix_is_sent_with_a_plus() -> None:
    office = await Office(KPN).open("kpn")
    office.line()
    assert (await office.ring("0031600000001")).outcome is Outcome.ANSWERED


@virtually
async def test_a_sip_address_is_called_directly() -> None:
    office = await Office(KPN).open("kpn")
    anna = await office.phone("anna", "10.0.0.40", Habits(after=1.0))
    rung = await office.ring("sip:anna@10.0.0.40", caller_id="+31201234567")
    assert (rung.outcome, rung.trunk) == (Outcome.ANSWERED, None)
    assert office.attempts == [None]
    assert office.exchanges["kpn"].invites == []
    (call,) = anna.calls
    assert "P-Asserted-Identity" not in call.session.request.headers
    assert "+31201234567@earshot" in header(call.session.request, "From")


@virtually
async def test_without_a_trunk_a_number_fails_and_says_why() -> None:
    office = await Office().open()
    rung = await office.ring(ANNA)
    assert rung.outcome is Outcome.UNREACHABLE
    assert rung.reason == "no trunk is configured for it"
    assert rung.certain


@virtually
async def test_a_sip_address_that_cannot_be_called_fails_and_says_why() -> None:
    office = await Office().open()
    assert (await office.ring("sip:")).outcome is Outcome.UNREACHABLE


@virtually
async def test_the_second_trunk_is_tried_when_the_first_refuses() -> None:
    office = await Office(KPN, BT).open("kpn", "bt")
    office.line()
    office.exchanges["kpn"].refuses = 503
    rung = await office.ring()
    assert (rung.outcome, rung.trunk) == (Outcome.ANSWERED, "bt")
    assert office.attempts == ["kpn", "bt"]


@virtually
async def test_trunks_are_tried_in_the_order_of_the_customer() -> None:
    office = await Office(KPN, BT, DT).open("kpn", "bt", "dt")
    for exchange in office.exchanges.values():
        exchange.refuses = 500
    rung = await office.ring(trunks=["dt", "gone", "kpn"])
    assert office.attempts == ["dt", "kpn"]
    assert (rung.outcome, rung.status, rung.trunk) == (Outcome.UNREACHABLE, 500, "kpn")


@virtually
@pytest.mark.parametrize("status", [486, 600, 603, 480])
async def test_a_busy_person_is_not_called_by_the_next_trunk(status: int) -> None:
    office = await Office(KPN, BT).open("kpn", "bt")
    office.exchanges["kpn"].refuses = status
    rung = await office.ring()
    assert office.attempts == ["kpn"]
    assert rung.status == status
    assert rung.certain


@virtually
async def test_who_lets_it_ring_is_not_called_by_the_next_trunk() -> None:
    office = await Office(KPN, BT).open("kpn", "bt")
    office.line(habits=Habits(answers=Answers.NEVER))
    began = office.loop.time()
    rung = await office.ring(seconds=20)
    assert rung.outcome is Outcome.NO_ANSWER
    assert office.attempts == ["kpn"]
    assert 20 <= office.loop.time() - began < 20.5
    assert rung.certain, "487 confirms that nobody picked up"
    assert rung.reason == "nobody picked up"


@virtually
async def test_a_trunk_without_a_word_is_given_up_within_seconds_and_then_left_alone() -> None:
    office = await Office(KPN, BT).open("kpn", "bt")
    office.line()
    await office.exchanges["kpn"].die()
    began = office.loop.time()
    rung = await office.ring()
    assert rung.trunk == "bt"
    assert office.loop.time() - began < 8
    assert office.trunks.down == {"kpn": "does not answer"}
    await office.ring()
    assert office.attempts == ["kpn", "bt", "bt"]


@virtually
async def test_a_trunk_that_lost_one_call_and_answers_others_is_not_down() -> None:
    office = await Office(KPN).open("kpn")
    office.line(habits=Habits(answers=Answers.BUSY))
    exchange = office.exchanges["kpn"]
    await exchange.die()
    lost = asyncio.ensure_future(office.ring())
    await asyncio.sleep(4.5)  # between the repetitions of its INVITE
    await exchange.start()
    other = await office.ring()
    await exchange.die()
    assert other.status == 486
    assert (await lost).reason == "does not answer"
    assert office.trunks.down == {}
    await exchange.start()
    assert (await office.ring()).status == 486


@virtually
async def test_when_every_trunk_is_down_that_is_said_at_once() -> None:
    office = await Office(KPN, BT).open("kpn", "bt")
    for exchange in office.exchanges.values():
        await exchange.die()
    first = await office.ring()
    assert (first.outcome, first.reason) == (Outcome.UNREACHABLE, "does not answer")
    began = office.loop.time()
    again = await office.ring()
    assert office.loop.time() == began
    assert again.outcome is Outcome.UNREACHABLE
    assert again.reason == "every trunk is down: kpn (does not answer), bt (does not answer)"


@virtually
async def test_a_trunk_that_asks_for_rest_gets_it() -> None:
    office = await Office(KPN, BT).open("kpn", "bt")
    office.line()
    refusing(office.exchanges["kpn"], 503, ("Retry-After", "60 (overload)"))
    await office.ring()
    assert "kpn" in office.trunks.down
    await asyncio.sleep(50)
    await office.ring()
    assert office.attempts == ["kpn", "bt", "bt"]
    await asyncio.sleep(10)
    await office.ring()
    assert office.attempts[-2:] == ["kpn", "bt"]


@virtually
async def test_a_cause_of_the_telephone_network_is_heeded() -> None:
    office = await Office(KPN, BT).open("kpn", "bt")
    refusing(office.exchanges["kpn"], 500, ("Reason", 'Q.850;cause=17;text="User busy"'))
    rung = await office.ring()
    assert rung.outcome is Outcome.BUSY
    assert office.attempts == ["kpn"]


@virtually
async def test_a_redirect_is_not_followed_wherever_it_leads() -> None:
    office = await Office(KPN, BT).open("kpn", "bt")
    office.line()
    elsewhere = await office.phone("elsewhere", "10.0.0.66", Habits(after=0.1))
    for contact in ("<sip:elsewhere@10.0.0.66>", "<sip:112@10.5.0.2>", "<urn:service:sos>"):
        refusing(office.exchanges["kpn"], 302, ("Contact", contact))
        rung = await office.ring(trunks=["kpn"])
        assert (rung.outcome, rung.status) == (Outcome.UNREACHABLE, 302)
    assert elsewhere.calls == []
    assert office.exchanges["bt"].invites == []
    assert (await office.ring()).trunk == "bt", "the next trunk is asked for the same number"


@virtually
async def test_a_peer_cannot_send_us_elsewhere_within_a_call() -> None:
    """REFER (RFC 3515) is refused: what it asks for is an INVITE of ours."""
    office = await Office(KPN).open("kpn")
    office.line()
    rung = await office.ring()
    (peer,) = office.exchanges["kpn"].line(ANNA).calls
    elsewhere = await office.phone("elsewhere", "10.0.0.66", Habits(after=0.1))
    answers = []
    draft = peer.session.dialog.draft("REFER")
    draft.fields.append(("Refer-To", "<sip:elsewhere@10.0.0.66>"))
    peer.session.send(draft, lambda response: answers.append(response.code))
    peer.session.core.wake()
    await asyncio.sleep(5)
    assert len(answers) == 1
    assert answers[0] in (405, 501)
    assert elsewhere.calls == []
    assert rung.call.up


@virtually
async def test_stopping_it_stops_the_telephone() -> None:
    office = await Office(KPN | {"max_calls": 1}).open("kpn")
    office.line(habits=Habits(answers=Answers.NEVER))
    ringing = asyncio.ensure_future(office.ring())
    await asyncio.sleep(3)
    ringing.cancel()
    await asyncio.gather(ringing, return_exceptions=True)
    await asyncio.sleep(1)
    (call,) = office.exchanges["kpn"].line(ANNA).calls
    assert call.is_over
    assert office.trunks.lines.calls == 0
    assert not office.calls.live


# -- the interlock --


@virtually
@pytest.mark.parametrize("number", ["112", "+31112", "0112", "urn:service:sos", "sip:112@10.5.0.1", "sip:sos@10.5.0.1"])
async def test_an_emergency_number_reaches_no_trunk_that_is_not_armed(number: str) -> None:
    office = await Office(KPN, BT, interlock=Interlock(armed=["bt"])).open("kpn", "bt")
    for exchange in office.exchanges.values():
        exchange.refuses = 486
    rung = await office.ring(number, trunks=["kpn"], priority=0)
    assert rung.outcome is Outcome.UNREACHABLE
    assert "emergency number" in rung.reason
    assert rung.certain
    assert office.exchanges["kpn"].invites == []
    assert office.attempts == []
    await office.ring(number, priority=0)
    assert office.exchanges["kpn"].invites == []
    assert len(office.exchanges["bt"].invites) == (0 if number.startswith("sip:") else 1)
    assert not office.calls.live
    assert office.trunks.lines.lines["kpn"].reserved == 0


@virtually
async def test_a_route_header_or_a_strict_route_is_no_way_around_the_interlock() -> None:
    office = await Office(KPN).open("kpn")
    plain = through(office.trunks.lines.lines["kpn"].trunk, f"sip:{ANNA}@10.5.0.1")
    hidden = [
        ({"target": Target(plain.target.uri, route=("<sip:112@10.5.0.1>",))}, ()),
        ({"target": Target(plain.target.uri, route=("<sip:10.5.0.1;lr>", "<sip:+31112@10.5.0.1;lr>"))}, ()),
        ({}, (("Route", "<sip:10.5.0.1;lr>, <sip:112@10.5.0.1;lr>"),)),
        ({}, (("route", "<urn:service:sos>"),)),
        ({}, (("To", "<sip:112@10.5.0.1>"),)),
        ({"target": Target(f"sip:{ANNA}@10.5.0.1?Route=%3Csip:112%4010.5.0.1%3E")}, ()),
    ]
    for change, fields in hidden:
        destination = plain
        for name, value in change.items():
            destination = type(plain)(**{f: getattr(plain, f) for f in plain.__slots__} | {name: value})
        with pytest.raises(EmergencyNumberRefused):
            office.calls.dial(destination, office.plan, headers=fields)
    await asyncio.sleep(1)
    assert office.exchanges["kpn"].invites == []
    assert not office.calls.live


# -- places --


@virtually
async def test_calls_wait_for_a_place_the_most_urgent_first() -> None:
    office = await Office(KPN | {"max_calls": 1}).open("kpn")
    for n in range(4):
        office.line(f"+3160000000{n}", Habits(after=1.0))
    order = []

    async def call(n: int, priority: int) -> None:
        rung = await office.ring(f"+3160000000{n}", priority=priority)
        order.append(n)
        await asyncio.sleep(2)
        rung.call.hang_up()

    async with asyncio.TaskGroup() as tasks:
        for n, priority in ((0, 3), (1, 4), (2, 2), (3, 2)):
            tasks.create_task(call(n, priority))
            await asyncio.sleep(0)
    assert order == [0, 2, 3, 1]


@virtually
async def test_a_full_trunk_gives_way_to_the_next_one() -> None:
    office = await Office(KPN | {"max_calls": 1}, BT).open("kpn", "bt")
    office.line()
    assert [(await office.ring()).trunk for _ in range(3)] == ["kpn", "bt", "bt"]


@virtually
async def test_nobody_waits_for_ever_for_a_place() -> None:
    office = await Office(KPN | {"max_calls": 1}).open("kpn")
    office.line()
    await office.ring()
    began = office.loop.time()
    rung = await office.ring()
    assert (rung.outcome, rung.reason) == (Outcome.UNREACHABLE, "every trunk is full")
    assert 9 <= office.loop.time() - began <= 11
    assert office.trunks.lines.waiting == 0


@virtually
async def test_calls_begin_no_faster_than_the_trunk_allows() -> None:
    office = await Office(KPN | {"calls_per_second": 2.0}).open("kpn")
    office.line()
    began = office.loop.time()
    await asyncio.gather(*(office.ring() for _ in range(6)))
    times = [at - began for at, _ in office.exchanges["kpn"].dialled]
    assert times == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0, 2.5], abs=0.05)


@virtually
async def test_an_emergency_call_waits_for_no_place() -> None:
    office = await Office(KPN | {"max_calls": 1, "calls_per_second": 0.1}).open("kpn")
    office.line()
    await office.ring()
    began = office.loop.time()
    assert (await office.ring(priority=0)).outcome is Outcome.ANSWERED
    assert office.loop.time() - began < 3


@virtually
async def test_an_emergency_call_tries_even_a_trunk_that_is_thought_to_be_down() -> None:
    office = await Office(KPN, BT).open("kpn", "bt")
    office.line()
    lines = office.trunks.lines
    for name in ("kpn", "bt"):
        lines.heard(lines.lines[name], healthy=False, why="does not answer")
    assert (await office.ring()).outcome is Outcome.UNREACHABLE
    assert (await office.ring(priority=0)).trunk == "kpn"


@virtually
async def test_a_call_that_nobody_asked_a_place_for_counts_all_the_same() -> None:
    office = await Office(KPN | {"max_calls": 1}, BT).open("kpn", "bt")
    office.line()
    back = office.calls.dial(through(office.trunks.lines.lines["kpn"].trunk, f"sip:{ANNA}@10.5.0.1"), office.plan)
    assert (await office.ring()).trunk == "bt"
    back.hang_up()
    await asyncio.sleep(1)
    assert (await office.ring()).trunk == "kpn"


# -- health --


@virtually
async def test_a_trunk_that_does_not_answer_options_is_left_alone_until_it_does() -> None:
    office = await Office(KPN | {"options_seconds": 20.0}, BT).open("kpn", "bt")
    office.line()
    watching = asyncio.ensure_future(office.trunks.run())
    await asyncio.sleep(5)
    assert office.trunks.trouble == []
    await office.exchanges["kpn"].die()
    await asyncio.sleep(30)
    assert office.trunks.trouble == ["trunk kpn is down: does not answer"]
    assert (await office.ring()).trunk == "bt"
    assert office.attempts == ["bt"]
    await office.exchanges["kpn"].start()
    await asyncio.sleep(40)
    assert office.trunks.trouble == []
    assert (await office.ring()).trunk == "kpn"
    watching.cancel()


# -- what is certain --


@virtually
async def test_an_answer_that_crosses_our_giving_up_is_no_proof_that_nobody_picked_up() -> None:
    office = await Office(KPN).open("kpn")
    office.line(habits=Habits(after=20.005))
    rung = await office.ring(seconds=20)
    assert rung.outcome is Outcome.UNREACHABLE
    assert (rung.status, rung.certain) == (200, False)
    await asyncio.sleep(1)
    (call,) = office.exchanges["kpn"].line(ANNA).calls
    assert call.is_over


@virtually
async def test_a_network_that_falls_silent_after_it_took_the_call_proves_nothing() -> None:
    office = await Office(KPN, BT).open("kpn", "bt")
    office.line(habits=Habits(answers=Answers.NEVER))
    ringing = asyncio.ensure_future(office.ring(seconds=20))
    await asyncio.sleep(3)
    await office.exchanges["kpn"].die()
    rung = await ringing
    assert rung.outcome is Outcome.NO_ANSWER
    assert not rung.certain


@virtually
async def test_a_doubtful_attempt_makes_the_whole_doubtful() -> None:
    office = await Office(KPN, BT).open("kpn", "bt")
    office.exchanges["bt"].refuses = 500
    refusing(office.exchanges["kpn"], 500, after=3.0)
    rung = await office.ring()
    assert office.attempts == ["kpn", "bt"]
    assert (rung.status, rung.certain) == (500, True)


@virtually
async def test_an_offer_answered_uselessly_is_hung_up_and_no_other_trunk_is_tried() -> None:
    office = await Office(KPN, BT).open("kpn", "bt")

    def useless(session: Any) -> None:
        session.ring()
        session.accept(b"v=0\r\no=- 1 1 IN IP4 10.5.0.1\r\ns=-\r\nt=0 0\r\nm=video 9 RTP/AVP 99\r\n")

    office.exchanges["kpn"].incoming_call = useless  # type: ignore[method-assign]
    rung = await office.ring()
    assert rung.outcome is Outcome.UNREACHABLE
    assert office.attempts == ["kpn"] * len(office.attempts)
    assert not rung.certain


@virtually
async def test_parts_of_the_body_stand_beside_the_offer_and_the_call_goes_on_as_any_other() -> None:
    office = await Office(KPN).open("kpn")
    office.line()
    part = BodyPart("application/pidf+xml", b"<presence/>", "here@earshot", "by-reference;handling=optional")
    rung = await office.ring(body=[part], headers=[("Geolocation", "<cid:here@earshot>")])
    assert rung.outcome is Outcome.ANSWERED
    (invite,) = office.exchanges["kpn"].invites
    assert [one.content_type for one in parts(invite)] == ["application/sdp", "application/pidf+xml"]
    assert parts(invite)[1].body == b"<presence/>"
    assert headers(invite, "Content-ID") == []
    assert rung.call.session.offer.startswith(b"v=0")
    assert await rung.call.gives_sign_of_life(2.0), "a re-INVITE carries the session description alone"
    assert HOST.encode() in rung.call.session.offer
