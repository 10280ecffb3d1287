"""The registrar (RFC 3261 section 10.3): who can be reached where, proven by digest; pure.

Operators' phones and devices register here. A binding keeps the flow that it came by: behind a NAT nothing
else leads back to the phone. `+sip.instance` with `reg-id` (RFC 5626) is taken, so that a phone that
changes its address replaces its binding; "outbound" is not promised, as we do not answer its STUN
keep-alives.
"""

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

from voice.clock import Clock
from voice.errors import PeerError
from voice.sip.bindings import Binding, Contact, FlowTo, as_record, from_record, read_contacts
from voice.sip.digest import Authenticator, Refused
from voice.sip.flow import Flow
from voice.sip.message import (
    Request,
    Response,
    call_id,
    cseq,
    header,
    headers,
    response_to,
    user_of,
)

MAX_CONTACTS = 10
DEFAULT_EXPIRES = 3600
_EXTENSIONS = frozenset({"path", "outbound", "gruu", "timer"})
"""Option tags that a Require may name: they ask nothing of a registrar that we would not do."""
_Fields = Sequence[tuple[str, str]]


class _Refusal(PeerError):
    """Why a REGISTER is not done."""

    def __init__(self, status: int, fields: _Fields = (), reason: str | None = None) -> None:
        super().__init__(f"{status}")
        self.status = status
        self.fields = fields
        self.reason = reason


class Registrar:
    """Bindings of every user. `changed` is told the user whenever his bindings change."""

    def __init__(
        self,
        authenticator: Authenticator | None,
        min_expires: int = 60,
        max_expires: int = 3600,
        allowed: Callable[[str], bool] = lambda user: True,
        *,
        clock: Clock,
        max_contacts: int = MAX_CONTACTS,
    ) -> None:
        """Without `authenticator` everybody is believed. `allowed` says whether a user exists here."""
        self.changed: Callable[[str], None] = _nobody
        self._authenticator = authenticator
        self._min_expires = min_expires
        self._max_expires = max_expires
        self._allowed = allowed
        self._clock = clock
        self._max_contacts = max_contacts
        self._bindings: dict[str, list[Binding]] = {}
        self._deadlines: list[tuple[float, str]] = []

    # -- REGISTER --

    def register(self, request: Request, flow: Flow, now: float) -> Response:
        """Answer one REGISTER."""
        try:
            user = self._authorized(request, now)
            self._update(user, request, flow, now)
        except _Refusal as refusal:
            return response_to(request, refusal.status, refusal.reason, headers=refusal.fields)
        return response_to(request, 200, headers=self._answer(user, request, now))

    def _authorized(self, request: Request, now: float) -> str:
        """The user whose bindings are meant, once it is proven that he may change them (steps 2 to 5)."""
        unknown = [tag for tag in headers(request, "Require") if tag.lower() not in _EXTENSIONS]
        if unknown:
            raise _Refusal(420, [("Unsupported", ", ".join(unknown))])
        user = user_of(header(request, "To") or "")
        if self._authenticator is not None:
            proof = self._authenticator.check(request, now)
            if isinstance(proof, Refused):
                raise _Refusal(401, self._authenticator.challenge(now, proof.stale))
            if proof.user != user:
                raise _Refusal(403, reason="Not Your Address Of Record")
        if not user or not self._allowed(user):
            raise _Refusal(404)
        return user

    def _update(self, user: str, request: Request, flow: Flow, now: float) -> None:
        """Add, refresh and remove bindings, all of them or none (steps 6 and 7)."""
        contacts = self._contacts(request)
        current = self.bindings(user, now)
        if contacts is None:
            updated = [binding for binding in current if not self._outdates(request, binding)]
        else:
            updated = current
            path = tuple(headers(request, "Path"))
            for contact in contacts:
                updated = self._applied(contact, updated, request, flow, path, now)
        if len(updated) > max(self._max_contacts, len(current)):
            raise _Refusal(403, reason="Too Many Contacts")
        if updated != current:
            self._store(user, updated)

    def _contacts(self, request: Request) -> list[Contact] | None:
        """The contacts of a REGISTER with the time that each shall have; None for `*`, which removes all."""
        values = headers(request, "Contact")
        if "*" in values:
            if len(values) > 1 or (header(request, "Expires") or "").strip() != "0":
                raise _Refusal(400, reason="Contact * Needs Expires 0 And No Other Contact")
            return None
        try:
            contacts = read_contacts(values, header(request, "Expires"), DEFAULT_EXPIRES)
        except ValueError as error:
            raise _Refusal(400, reason="Bad Contact Header Field") from error
        if any(0 < contact.expires < self._min_expires for contact in contacts):
            raise _Refusal(423, [("Min-Expires", str(self._min_expires))])
        return [replace(contact, expires=min(contact.expires, self._max_expires)) for contact in contacts]

    def _applied(
        self,
        contact: Contact,
        bindings: list[Binding],
        request: Request,
        flow: Flow,
        path: tuple[str, ...],
        now: float,
    ) -> list[Binding]:
        """The bindings once this contact is added, refreshed or removed."""
        kept = [binding for binding in bindings if not (binding.is_for(contact) and self._outdates(request, binding))]
        if contact.expires == 0:
            return kept
        return [
            *kept,
            Binding(
                contact_uri=contact.uri,
                flow=flow,
                expires_at=now + contact.expires,
                q=contact.q,
                path=path,
                instance=contact.instance,
                reg_id=contact.reg_id,
                call_id=call_id(request),
                cseq=cseq(request)[0],
                received=flow.remote,
                user_agent=header(request, "User-Agent") or "",
            ),
        ]

    def _outdates(self, request: Request, binding: Binding) -> bool:
        """True; but an older request of the same Call-ID fails as a whole (step 7)."""
        if binding.call_id == call_id(request) and binding.cseq >= cseq(request)[0]:
            raise _Refusal(500, reason="CSeq Out Of Order")
        return True

    def _answer(self, user: str, request: Request, now: float) -> list[tuple[str, str]]:
        """What a 200 says (step 8): every binding with what is left of it."""
        fields = [("Contact", binding.as_contact(now)) for binding in self.bindings(user, now)]
        fields += [("Path", value) for value in headers(request, "Path")]
        fields.append(("Date", format_datetime(self._clock.now(), usegmt=True)))
        return fields

    # -- the bindings --

    def bindings(self, user: str, now: float) -> list[Binding]:
        """The live bindings of a user, the preferred first: by q, then the newest."""
        live = [binding for binding in self._bindings.get(user, ()) if binding.expires_at > now]
        return sorted(live, key=lambda binding: (-binding.q, -binding.expires_at))

    def users(self, now: float) -> Iterator[str]:
        """Every user with a live binding."""
        return (user for user in self._bindings if self.bindings(user, now))

    def next_timer(self) -> float | None:
        """When the next binding expires."""
        return self._deadlines[0][0] if self._deadlines else None

    def expire(self, now: float) -> None:
        """Remove what has expired."""
        while self._deadlines and self._deadlines[0][0] <= now:
            _, user = heapq.heappop(self._deadlines)
            live = self.bindings(user, now)
            if len(live) < len(self._bindings.get(user, ())):
                self._store(user, live)

    def lost(self, flow: Flow) -> None:
        """A connection is closed and its bindings lead nowhere; the phone will register again."""
        if not flow.reliable:
            return
        for user, bindings in list(self._bindings.items()):
            kept = [binding for binding in bindings if binding.flow != flow]
            if len(kept) < len(bindings):
                self._store(user, kept)

    def _store(self, user: str, bindings: list[Binding]) -> None:
        if bindings:
            self._bindings[user] = bindings
            for binding in bindings:
                heapq.heappush(self._deadlines, (binding.expires_at, user))
        else:
            self._bindings.pop(user, None)
        self.changed(user)

    # -- surviving a restart --

    def snapshot(self, now: float, users: Sequence[str] | None = None) -> dict[str, list[dict[str, Any]]]:
        """The bindings of these users (None: of all) as plain values with times of day."""
        wall = self._clock.now()
        chosen = list(self._bindings) if users is None else users
        return {
            user: [
                as_record(binding, wall + timedelta(seconds=binding.expires_at - now))
                for binding in self.bindings(user, now)
            ]
            for user in chosen
        }

    def restore(
        self, saved: Mapping[str, Sequence[Mapping[str, Any]]], now: float, flow_to: FlowTo | None = None
    ) -> None:
        """Take up what `snapshot` gave, without telling `changed`.

        `flow_to` gives the flow to a UDP peer (Transport.flow). A connection does not survive: such a
        binding has no flow any more and is reached by its contact URI until the phone registers again. A REGISTER
        that came here keeps its flow.
        """
        wall = self._clock.now()
        for user, records in saved.items():
            here = {(binding.call_id, binding.cseq): binding for binding in self._bindings.get(user, ())}
            found = [from_record(record, now, wall, flow_to) for record in records]
            bindings = [here.get((binding.call_id, binding.cseq), binding) for binding in found]
            live = [binding for binding in bindings if binding.expires_at > now]
            if live:
                self._bindings[user] = live
                for binding in live:
                    heapq.heappush(self._deadlines, (binding.expires_at, user))


def _nobody(user: str) -> None:
    """Stands as `changed` until somebody listens."""
