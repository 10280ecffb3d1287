"""Our side of one session's descriptions over its life: re-offers, re-answers and the version that counts
them."""

from dataclasses import replace

from voice.errors import UsageError
from voice.sdp.description import SessionDescription, parse, serialize
from voice.sdp.negotiation import Agreed, LocalMedia, accepted, answered, offered


class OfferAnswer:
    """Offers and answers of one dialog (RFC 3264 section 8).

    Keeps what a session may not change: its id, the places of the media lines, the meaning of payload types.
    The version in `o=` goes up by one with every description that differs from the one before, and only
    then. Assign `local` to change what we want, then make an offer or answer one.
    """

    def __init__(self, local: LocalMedia, *, session_id: int, version: int = 1) -> None:
        self.local = local
        self.agreed: Agreed | None = None
        """The agreement in force; a refused or unreadable description leaves it as it was."""
        self._session_id = session_id
        self._version = version
        self._sent: SessionDescription | None = None
        self._offer: tuple[SessionDescription, LocalMedia] | None = None

    def offer(self) -> bytes:
        """An offer from `local`; the answer goes to `accept`, a refusal to `withdraw`."""
        known = {codec: payload_type for payload_type, codec in self._receive_types()}
        made = offered(self.local, session_id=self._session_id, version=self._version, previous=self._sent, known=known)
        description = self._numbered(made)
        self._offer = (description, self.local)
        return serialize(description)

    def accept(self, answer: bytes) -> Agreed:
        """The answer to our offer. Raises SdpError, NotAcceptable; the offer is then still open."""
        if self._offer is None:
            raise UsageError("an answer without an offer")
        description, local = self._offer
        self.agreed = accepted(description, local, parse(answer))
        self._offer = None
        return self.agreed

    def withdraw(self) -> None:
        """Our offer was refused: what was agreed before stays (RFC 3261 section 14.1)."""
        self._offer = None

    def answer(self, offer: bytes) -> bytes:
        """The answer to the peer's offer; `agreed` is new. Raises SdpError (400) or NotAcceptable (488)."""
        made, agreed = answered(parse(offer), self.local, session_id=self._session_id, version=self._version)
        self.agreed = agreed
        return serialize(self._numbered(made))

    def _receive_types(self) -> list[tuple[int, str]]:
        return [] if self.agreed is None else list(self.agreed.receive_types.items())

    def _numbered(self, made: SessionDescription) -> SessionDescription:
        """`made` with the version of the description before it if it is the same, else the next."""
        if self._sent is not None and made != self._sent:
            self._version += 1
            made = replace(made, origin=replace(made.origin, version=str(self._version)))
        self._sent = made
        return made
