"""`Outbound`: calls a telephone number, by the trunks that may be used for it, one after the other until one works.

    rung = await outbound.ring("+31612345678", leg.plan, seconds=30, caller_id="+31201234567", ...)

What the end of an attempt says about the person, and what about the trunk, is decided in `failover.py`; which trunk
is up and has a place in `lines.py`. A SIP address is called directly, without any trunk.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from config.models import Trunk
from voice.call import Call, CallEnd, Calls, Destination, MediaPlan
from voice.contacts import direct, is_uri, number_uri, through
from voice.errors import EarshotError
from voice.failover import Attempt, outcome_of, retry_after, tries_next
from voice.lines import Line, Lines
from voice.ringing import Outcome
from voice.sip.bodies import BodyPart
from voice.sip.message import Response, header, quote_string, user_of
from voice.sip.session import EndCause

log = structlog.get_logger(__name__)

FIRST_WORD = 4.0
"""Seconds in which a trunk has to say anything at all (100), while there is another one to try. By then the INVITE
went out four times (Timer A)."""
LAST_WORD = 8.0
"""The same for the last trunk."""
SETTLING = 3.0
"""Seconds in which the network has to confirm that a call which we gave up was picked up by nobody (487)."""
PATIENCE = 10.0
"""Seconds that a call waits for free places on trunks, all in all: the engine holds a leg for dead that neither rings
nor fails 20 s after its time."""
COLD_AFTER_SILENCE = 30.0
"""Seconds in which a trunk that let a call of ours run into silence is not tried again."""
LONGEST_COLD = 300.0
"""Seconds. A trunk that asks for more (Retry-After) is tried all the same."""


@dataclass(frozen=True, slots=True)
class Rung:
    """What became of calling a number."""

    outcome: Outcome
    call: Call | None = None
    """Up, if it was answered."""
    status: int | None = None
    """The last final status of the network."""
    reason: str = ""
    trunk: str | None = None
    """Of the last attempt; None for a call without a trunk."""
    certain: bool = True
    """Not answered: whether the network has proven, for every attempt, that nothing picked up. A trunk that never said
    a word did not take the call; one that did, and then fell silent, may have brought it to somebody."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """One call to make, whatever trunk it goes through."""

    number: str
    plan: MediaPlan
    seconds: float
    caller_id: str | None
    display_name: str
    headers: tuple[tuple[str, str], ...]
    parts: tuple[BodyPart, ...]
    on_ringing: Callable[[], None]


class Outbound:
    """Calls numbers. One for the whole service: it knows how full each trunk is."""

    def __init__(self, calls: Calls, lines: Lines) -> None:
        self._calls = calls
        self._lines = lines
        calls.on_trunk = lines.begun

    async def ring(
        self,
        number: str,
        plan: MediaPlan,
        *,
        seconds: float,
        trunks: Sequence[str] = (),
        caller_id: str | None = None,
        display_name: str = "",
        headers: Sequence[tuple[str, str]] = (),
        body: Sequence[BodyPart] | None = None,
        priority: int = 3,
        on_ringing: Callable[[], None] = lambda: None,
        on_attempt: Callable[[str | None], None] = lambda trunk: None,
    ) -> Rung:
        """Ring for `seconds` on each trunk that brings the call to the telephone, until it is answered or refused.

        `trunks`: which may be used, in order; empty: all. `priority`: 1 is the highest; 0 passes the limits of
        trunks (emergency calls). `on_attempt` is told of every INVITE, with the trunk. Cancelling it stops the ringing.
        """
        wish = _Wish(
            number, plan, seconds, caller_id, display_name, tuple(headers), tuple(body or ()), _once(on_ringing)
        )
        if number.lower().startswith(("sip:", "sips:")):
            return await self._directly(wish, on_attempt)
        return await self._by_trunks(wish, trunks, priority, on_attempt)

    async def _directly(self, wish: _Wish, on_attempt: Callable[[str | None], None]) -> Rung:
        try:
            destination = direct(wish.number)
            call = self._dial(wish, destination, None)
        except (EarshotError, ValueError) as error:
            return Rung(Outcome.UNREACHABLE, reason=str(error))
        on_attempt(None)
        rung, _ = await self._see_through(wish, call, LAST_WORD)
        return rung

    async def _by_trunks(
        self, wish: _Wish, trunks: Sequence[str], priority: int, on_attempt: Callable[[str | None], None]
    ) -> Rung:
        left = list(self._lines.chosen(trunks))
        rung = Rung(Outcome.UNREACHABLE, reason="no trunk is configured for it")
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE
        while left:
            line = await self._lines.place(left, priority=priority, patience=max(until - loop.time(), 0.0))
            if line is None:
                return rung if rung.trunk else replace(rung, reason=self._why_none(left))
            left.remove(line)
            before = rung
            try:
                call = self._dial_through(wish, line)
            except (EarshotError, ValueError) as error:
                rung = Rung(Outcome.UNREACHABLE, reason=str(error), trunk=line.trunk.id, certain=before.certain)
                continue
            on_attempt(line.trunk.id)
            rung, goes_on = await self._see_through(wish, call, FIRST_WORD if left else LAST_WORD, line)
            rung = replace(rung, trunk=line.trunk.id, certain=before.certain and rung.certain)
            if not goes_on:
                break
            log.warning("trunk failed", trunk=line.trunk.id, status=rung.status)
        return rung

    def _why_none(self, lines: Sequence[Line]) -> str:
        now = asyncio.get_running_loop().time()
        down = self._lines.down(now)
        if all(line.trunk.id in down for line in lines):
            return f"every trunk is down: {', '.join(f'{line.trunk.id} ({line.why})' for line in lines)}"
        return "every trunk is full"

    # -- one attempt --

    def _dial_through(self, wish: _Wish, line: Line) -> Call:
        """Raises what `Calls.dial` raises. The reserved place is given back in any case: the call counts by itself."""
        try:
            trunk = line.trunk
            shown = _user(wish.caller_id) if wish.caller_id else None
            destination = through(trunk, number_uri(wish.number, trunk), caller_id=shown)
            return self._dial(replace(wish, plan=replace(wish.plan, codecs=trunk.codecs)), destination, trunk)
        finally:
            self._lines.release(line)

    def _dial(self, wish: _Wish, destination: Destination, trunk: Trunk | None) -> Call:
        identity = _identity(wish, self._calls.domain) if trunk is not None else ()
        return self._calls.dial(
            destination,
            wish.plan,
            headers=(*wish.headers, *identity),
            parts=wish.parts,
            user=_user(wish.caller_id) if wish.caller_id else "earshot",
            display_name=wish.display_name,
        )

    async def _see_through(
        self, wish: _Wish, call: Call, first_word: float, line: Line | None = None
    ) -> tuple[Rung, bool]:
        """One call until it is answered or over, and whether to go on with the next trunk."""
        rang, began = False, asyncio.get_running_loop().time()

        def progress(code: int) -> None:
            nonlocal rang
            if code in (180, 182):
                rang = True
                wish.on_ringing()

        call.on_progress = progress
        try:
            await _first_word(call, first_word)
            if line is not None and _spoken(call):
                self._lines.spoke(line)
            if call.up or _spoken(call):
                await call.wait_answered(wish.seconds)
            if call.up:
                return Rung(Outcome.ANSWERED, call, 200), False
            return await self._unanswered(call, line, began, rang=rang)
        except asyncio.CancelledError:
            call.hang_up()
            raise

    async def _unanswered(self, call: Call, line: Line | None, began: float, *, rang: bool) -> tuple[Rung, bool]:
        ended = call.ended.result() if call.ended.done() else None
        spoken = _spoken(call)
        call.hang_up()
        final = await _final(call) if spoken else None
        if final is not None and final.code < 300:  # it crossed our giving up, or its answer was of no use
            reason = "answered, and was of no use" if ended is not None else "answered when it was given up"
            return Rung(Outcome.UNREACHABLE, status=final.code, reason=reason, certain=False), False
        status = ended.code if ended is not None and ended.by_peer else None
        attempt = Attempt(status, rang, (header(final, "Reason") or "") if final is not None and status else "")
        if line is not None:
            self._judge(line, attempt, final, silent_since=None if spoken else began)
        certain = final is not None or not spoken
        rung = Rung(outcome_of(attempt), status=status, reason=_reason(ended, attempt, spoken=spoken), certain=certain)
        gave_up = spoken and ended is None  # its time was over: nobody picked up, or nothing ever rang
        return rung, not gave_up and tries_next(attempt)

    def _judge(self, line: Line, attempt: Attempt, final: Response | None, *, silent_since: float | None) -> None:
        """What the attempt says of the trunk, for the next calls. One that has answered others meanwhile is not down:
        it is slow, or lost one call. In a mass incident every call would fail else that comes after a lost one."""
        if silent_since is not None:
            if line.word_at < silent_since:
                self._lines.cool(line, COLD_AFTER_SILENCE, "does not answer")
        elif attempt.status == 503 and final is not None:
            wanted = retry_after(header(final, "Retry-After"))
            if wanted:
                self._lines.close(line, min(wanted, LONGEST_COLD), "asked to be left alone (503)")


def _once(call: Callable[[], None]) -> Callable[[], None]:
    done = False

    def once() -> None:
        nonlocal done
        if not done:
            done = True
            call()

    return once


def _user(caller_id: str) -> str:
    return user_of(caller_id) if is_uri(caller_id) else caller_id


def _identity(wish: _Wish, domain: str) -> tuple[tuple[str, str], ...]:
    """Who calls, asserted towards a trunk (RFC 3325): a trunk is in our configuration because it knows us. The caller's
    name goes with it, as some networks show this one and not the one of From."""
    if not wish.caller_id:
        return ()
    number = wish.caller_id
    uri = number if is_uri(number) else f"tel:{number}" if number.startswith("+") else f"sip:{number}@{domain}"
    name = f"{quote_string(wish.display_name)} " if wish.display_name else ""
    return (("P-Asserted-Identity", f"{name}<{uri}>"),)


def _spoken(call: Call) -> bool:
    """Whether the peer has said anything at all."""
    return call.session.proceeding or call.session.final is not None


async def _first_word(call: Call, seconds: float) -> None:
    """Wait until the peer has said something, or the call is over, this long at most."""
    await _heard(call, lambda: _spoken(call) or call.ended.done(), seconds)


async def _final(call: Call) -> Response | None:
    """The peer's final response to the INVITE; after our CANCEL it comes within moments."""
    await _heard(call, lambda: call.session.final is not None, SETTLING)
    return call.session.final


async def _heard(call: Call, enough: Callable[[], bool], seconds: float) -> None:
    """Wait until what the peer has said is enough, this long at most."""
    heard = asyncio.Event()
    call.session.on_word = heard.set
    call.ended.add_done_callback(lambda _: heard.set())
    try:
        async with asyncio.timeout(seconds):
            while not enough():
                heard.clear()
                await heard.wait()
    except TimeoutError:
        pass


def _reason(ended: CallEnd | None, attempt: Attempt, *, spoken: bool) -> str:
    if not spoken:
        no_way = ended is not None and ended.cause is EndCause.TRANSPORT
        return "no way to it" if no_way else "does not answer"
    if attempt.status is not None:
        return f"{attempt.status} {ended.reason if ended else ''}".strip()
    return "nobody picked up" if attempt.rang else "it did not ring"
