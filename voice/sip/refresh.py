"""The running session timer (RFC 4028 section 10): a refresh at half time, a BYE when nobody refreshes."""

from typing import TYPE_CHECKING

from voice.sip.events import EndCause, Stage
from voice.sip.message import Response
from voice.sip.outgoing import Outgoing
from voice.sip.session_timer import SessionTimer, asked, request_fields, settle
from voice.sip.timers import Timer

if TYPE_CHECKING:
    from voice.sip.session import InviteSession

_AGAIN = 10.0
"""Seconds until a refresh that met a busy peer is tried again."""


class Refresh:
    """Keeps the agreement with the peer and its two deadlines."""

    def __init__(self, session: "InviteSession") -> None:
        self._session = session
        self._agreed: SessionTimer | None = None
        self._minimum: int | None = None  # what a 422 asked for
        self._timers: list[Timer] = []
        self._update_refused = False

    def start(self, agreed: SessionTimer | None) -> None:
        """A new agreement, or the same one refreshed: the deadlines count from now."""
        self.stop()
        self._agreed = agreed
        if agreed is None or self._session.stage in (Stage.INVITING, Stage.INVITED, Stage.ENDED):
            return
        core = self._session.core
        self._timers = [core.timers.at(core.now + agreed.expires_after, self._expire)]
        if agreed.we_refresh:
            self._timers.append(core.timers.at(core.now + agreed.refresh_after, self._refresh))

    def settled(self, response: Response) -> None:
        """A 2xx to an INVITE or UPDATE of ours."""
        self.start(settle(response))

    def stop(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers = []

    def fields(self) -> list[tuple[str, str]]:
        """Session-Expires of our next INVITE or UPDATE: as agreed, and refreshed by the same side (7.4)."""
        if self._agreed is None:
            interval, refresher = self._session.core.session_timer.interval, None
            if self._session.stage is not Stage.INVITING:
                return []  # a call without session timer gets none later
        else:
            interval, refresher = self._agreed.interval, "uac" if self._agreed.we_refresh else "uas"
        if interval is not None and self._minimum is not None:
            interval = max(interval, self._minimum)
        return request_fields(interval, self._minimum, refresher)

    def raised_by(self, response: Response) -> bool:
        """A 422: whether its Min-SE is news, so that a second attempt makes sense (section 7.3)."""
        minimum = asked(response).minimum
        if not response.headers.getlist("Min-SE") or minimum <= (self._minimum or 0):
            return False
        self._minimum = minimum
        return True

    def replace(self, fields: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """The header fields of a request with our present wish in place of the former one."""
        return [field for field in fields if field[0] not in ("Session-Expires", "Min-SE")] + self.fields()

    def _expire(self) -> None:
        self._session.send_bye("Session Timer Expired")
        self._session.end(EndCause.SESSION_EXPIRED)

    def _refresh(self) -> None:
        session, dialog = self._session, self._session.dialog
        if dialog is None:
            return
        if "UPDATE" not in dialog.allowed or self._update_refused:
            self._try_later()  # a 2xx to the re-INVITE starts everything anew
            session.offers.repeat()
            return
        draft = dialog.draft("UPDATE", contact=True)
        draft.fields += session.request_fields()
        outgoing: Outgoing | None = None

        def heard(response: Response) -> None:
            if response.code < 200 or session.ended or outgoing is None:
                return
            if response.code < 300:
                dialog.refresh(response)
                session.aim(dialog)
                self.settled(response)
            elif response.code == 422 and self.raised_by(response):
                outgoing.draft.fields = self.replace(outgoing.draft.fields)
                outgoing.again()
            elif not session.ends_with(response):
                self._update_refused = self._update_refused or response.code in (405, 501)
                self._try_later()

        outgoing = session.send(draft, heard)

    def _try_later(self) -> None:
        core = self._session.core
        self._timers.append(core.timers.at(core.now + _AGAIN, self._refresh))
