"""Where an INVITE goes: an operator's request, a worker who wants to speak with the service, or an alarm. When in
doubt it is an alarm.

Operators listen to what workers say, so they are always authenticated. Devices raise alarms, so they are answered
whatever they can prove: a device with a password is challenged outside trusted networks, and if it cannot answer
the challenge its call is taken as unidentified rather than lost.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from config.check_ins import Button
from config.models import Device, Operator, Worker
from voice.alarm import Alarm, Desk, handle_alarm
from voice.directory import Caller, Claims
from voice.ratelimit import RateLimit
from voice.sip.digest import Authenticator, Refused, Verified
from voice.sip.flow import Flow
from voice.sip.message import Request, header, split_list, uri_of, user_of
from voice.sip.registrar import Registrar
from voice.sip.session import InviteSession, Stage

CHALLENGE_PATIENCE = 6.0
"""Seconds after which a device that was challenged and never came back becomes an alarm without audio."""


class OperatorRequests(Protocol):
    """What an operator can dial."""

    def incoming(self, session: InviteSession, operator: Operator, dialled: str) -> None: ...


class WorkerRequests(Protocol):
    """Who speaks with workers."""

    async def take(self, session: InviteSession, numbers: Sequence[str]) -> None:
        """Answer a worker's call; `numbers`: those that it may come from."""
        ...

    async def pressed(self, session: InviteSession, device: Device, worker: Worker, button: Button) -> None:
        """A button of a device was pressed that is no alarm."""
        ...


@dataclass(slots=True)
class Switchboard:
    """Routes each INVITE. The order of questions in `incoming_call` is the policy."""

    desk: Desk
    operators: OperatorRequests
    workers: WorkerRequests
    registrar: Registrar
    authenticator: Authenticator
    rate_limit: RateLimit
    spawn: Callable[[Coroutine[Any, Any, Any]], object]
    _challenged: dict[tuple[str, str], tuple[asyncio.TimerHandle, Callable[[], None]]] = field(default_factory=dict)

    @property
    def expecting(self) -> int:
        """How many callers were challenged and have not come back yet."""
        return len(self._challenged)

    def incoming_call(self, session: InviteSession) -> None:
        """One INVITE that opens a dialog."""
        now = asyncio.get_running_loop().time()
        request = session.request
        proof = self._credentials(request, now)
        claims = self._claims(request, session.flow, proof, now)
        dialled = claims.dialled

        operator = self.desk.directory.operator(claims.verified or claims.from_user)
        if operator is not None:
            if claims.verified is None:
                session.challenge(stale=isinstance(proof, Refused) and proof.stale)
                return
            self.operators.incoming(session, operator, dialled)
            return

        caller = self.desk.directory.identify(claims)
        trusted = self.desk.directory.trusts(claims.source)
        if self.desk.directory.is_for_workers(claims):
            if not trusted and not self.rate_limit.allows(claims.source, now):
                self._turn_away(session)
            else:
                self.spawn(self.workers.take(session, (claims.from_user, *(claims.asserted if trusted else ()))))
            return
        if caller.device and caller.device.challenge and caller.device.password and not trusted:
            attempt = (claims.source, claims.from_user)
            if caller.proof == "from" and (proof is None or (isinstance(proof, Refused) and proof.stale)):
                session.challenge(stale=proof is not None)
                self._expect_return(attempt, session, claims)
                return
            self._came_back(attempt)
            if caller.proof == "from":
                caller = Caller(None, None, "none", claims.from_user)  # a wrong password proves nothing
        button = self.desk.directory.button(claims, caller)
        if button is not None and caller.device is not None and caller.worker is not None:
            self.spawn(self.workers.pressed(session, caller.device, caller.worker, button))
            return
        if caller.device is None and not trusted and not self.rate_limit.allows(claims.source, now):
            self._turn_away(session)
            return
        self._raise(session, caller, claims, now)

    def _turn_away(self, session: InviteSession) -> None:
        self.desk.metrics.rate_limited.inc()
        session.reject(503, (("Retry-After", "10"),))

    def _raise(self, session: InviteSession, caller: Caller, claims: Claims, now: float, *, gone: bool = False) -> None:
        alarm = Alarm(session, caller, claims.dialled, claims.source, received_at=now, gone=gone)
        with _answered(session):
            story = handle_alarm(alarm, self.desk)
        self.spawn(self._see_through(session, story))

    async def _see_through(self, session: InviteSession, story: Coroutine[Any, Any, None]) -> None:
        with _answered(session):
            await story

    def _credentials(self, request: Request, now: float) -> Verified | Refused | None:
        """What the Authorization header proves; None where there is none."""
        if header(request, "Authorization") is None:
            return None
        return self.authenticator.check(request, now)

    def _claims(self, request: Request, flow: Flow, proof: Verified | Refused | None, now: float) -> Claims:
        from_header = header(request, "From") or ""
        from_user = user_of(from_header)
        asserted = tuple(
            user_of(value) for line in request.headers.getlist("P-Asserted-Identity") for value in split_list(line)
        )
        registered = any(binding.flow == flow for binding in self.registrar.bindings(from_user, now))
        return Claims(
            source=flow.remote[0],
            from_user=from_user,
            from_uri=uri_of(from_header),
            asserted=tuple(user for user in asserted if user),
            verified=proof.user if isinstance(proof, Verified) else None,
            registered=from_user if registered else None,
            dialled=self._dialled(request),
        )

    def _dialled(self, request: Request) -> str:
        """The number that was called. A trunk that we registered with calls our Contact and names the number in To."""
        user = user_of(str(request.uri))
        own = {"earshot", *(trunk.username for trunk in self.desk.settings.trunks)}
        return user if user not in own else user_of(header(request, "To") or "") or user

    def _expect_return(self, attempt: tuple[str, str], session: InviteSession, claims: Claims) -> None:
        """A challenged device that never comes back is an alarm: somebody pressed a button."""
        self._came_back(attempt)
        loop = asyncio.get_running_loop()

        def gave_up() -> None:
            self._challenged.pop(attempt, None)
            if not self.rate_limit.allows(claims.source, loop.time()):  # nothing was proven: it may be a scanner
                self.desk.metrics.rate_limited.inc()
                return
            caller = self.desk.directory.identify(claims)
            self._raise(session, caller, claims, loop.time(), gone=True)

        self._challenged[attempt] = loop.call_later(CHALLENGE_PATIENCE, gave_up), gave_up

    def _came_back(self, attempt: tuple[str, str]) -> None:
        expected = self._challenged.pop(attempt, None)
        if expected is not None:
            expected[0].cancel()

    def close(self, *, in_order: bool = True) -> None:
        """Wait for nobody any more. Before an orderly end, whoever was waited for becomes an alarm now."""
        for timer, gave_up in list(self._challenged.values()):
            timer.cancel()
            if in_order:
                gave_up()
        self._challenged.clear()


@contextmanager
def _answered(session: InviteSession) -> Iterator[None]:
    """A bug of ours must not leave a device without an answer: told to try again, it calls again."""
    try:
        yield
    except Exception:
        if session.stage is Stage.INVITED:
            session.reject(500, (("Retry-After", "1"),))
        raise
