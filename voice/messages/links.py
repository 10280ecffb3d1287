"""Acknowledgement links: made for a message, followed by a person in a browser.

GET only shows a page with a button, for link previews and virus scanners follow links too; POST, which the button
sends, acknowledges. A link works once and ends with its incident. Whoever has it needs no password, so its token
cannot be guessed (192 bits), the store keeps only its hash, and the page says neither who nor where.
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from random import Random

from sqlalchemy import Connection

from config.plans import FrozenPlan
from voice.clock import Clock
from voice.errors import StoreUnavailable
from voice.escalation.events import Acknowledged, Event
from voice.http import Answer
from voice.journal import Journal
from voice.messages import page
from voice.messages.wording import Reader, reader_of
from voice.store import Store, acknowledgements
from voice.store.acknowledgements import Acknowledgement

PREFIX = "/acknowledge"
TOKEN_BYTES = 24
STORE_PATIENCE = 2.0
"""Seconds that a message waits for its link to be durable; the link works as soon as the store is back."""

Leave = Callable[[Connection, str, str, Event, datetime], None]
"""(connection, name of the letter, incident, event, now): leaves an event for whoever owns the incident."""


@dataclass(frozen=True, slots=True)
class _Found:
    link: Acknowledgement
    reader: Reader
    fresh: bool = False
    """It was used now."""


class Links:
    """Makes links, and answers those who follow them."""

    def __init__(
        self, base: str, *, store: Store, journal: Journal, leave: Leave, clock: Clock, random: Random
    ) -> None:
        """`base`: the URL under which people reach the HTTP front, such as `https://alarm.example.org`."""
        self._base = base.rstrip("/")
        self._store = store
        self._journal = journal
        self._leave = leave
        self._clock = clock
        self._random = random

    async def make(self, incident: str, contact: str, *, counts: bool) -> str:
        """A new link for this contact. `counts`: following it counts as a person taking the alarm."""
        token = urlsafe_b64encode(self._random.randbytes(TOKEN_BYTES)).decode()
        write = partial(
            acknowledgements.add,
            token=token,
            incident_id=incident,
            contact_id=contact,
            counts=counts,
            at=self._clock.now(),
        )
        await self._journal.durable(self._journal.post(write, urgent=True), patience=STORE_PATIENCE)
        return f"{self._base}{PREFIX}/{token}"

    async def visit(self, method: str, token: str) -> Answer:
        """`voice.http.Visit`: the page behind a link."""
        if method not in ("GET", "HEAD", "POST"):
            return page.not_allowed()
        try:
            found = await (self._follow(token) if method == "POST" else self._store.read(partial(_find, token=token)))
        except StoreUnavailable:
            return page.unavailable()
        if found is None:
            return page.gone()
        return page.done(found.link, found.reader) if found.fresh else page.ask(found.link, found.reader)

    async def _follow(self, token: str) -> _Found | None:
        """Use the link up, and tell whoever owns the incident, in one transaction."""
        now = self._clock.now()

        def use(connection: Connection) -> _Found | None:
            found = _find(connection, token)
            if found is None or not acknowledgements.use(connection, token, now):
                return found and _find(connection, token)
            link = found.link
            event = Acknowledged(link.contact_id, link.counts)
            self._leave(connection, acknowledgements.name(token), link.incident_id, event, now)
            return _Found(link, found.reader, fresh=True)

        return await self._store.run(use)


def _find(connection: Connection, token: str) -> _Found | None:
    link = acknowledgements.find(connection, token)
    if link is None:
        return None
    text = acknowledgements.plan(connection, link.incident_id)
    frozen = FrozenPlan.model_validate_json(text) if text else None
    contact = frozen.contacts.get(link.contact_id) if frozen else None
    return _Found(link, reader_of(contact, frozen.customer if frozen else None))
