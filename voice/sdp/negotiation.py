"""Offer and answer, RFC 3264, for one audio stream: pure functions from descriptions to an agreement.

Our side takes the first audio line that it can, and refuses every other line with port 0, in its place
(section 6). It lists the codecs in the order of the offer (recommended by section 6.1) and sends the first
of them.

Directions, as seen from us; our own wish (`LocalMedia.direction`) can only take away:

    offered      answered
    sendrecv     sendrecv
    sendonly     recvonly       a hold with music, or a device that only talks
    recvonly     sendonly
    inactive     inactive       a hold
    c=0.0.0.0    recvonly       a hold of RFC 2543 (section 8.4): nothing may be sent, something may come

Not taken: SRTP (RTP/SAVP and the like), multicast, several channels. ICE, crypto and BUNDLE attributes are
left unanswered, which declines them (RFC 8839 section 4.2.5, RFC 8643, RFC 9143 section 7.3).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from voice.address import Address, parse_ip
from voice.errors import NotAcceptable, SdpError
from voice.sdp import formats
from voice.sdp.description import (
    Attribute,
    Connection,
    MediaDescription,
    Origin,
    SessionDescription,
    find,
    has,
    number,
)
from voice.sdp.formats import TELEPHONE_EVENT, Format

DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
SENDING = frozenset({"sendrecv", "sendonly"})
RECEIVING = frozenset({"sendrecv", "recvonly"})
PROTOCOLS = frozenset({"RTP/AVP", "RTP/AVPF"})
UNKNOWN_HOST = "0.0.0.0"
"""Stands for an address that cannot be sent to: media goes back to where it comes from, once it comes."""


@dataclass(frozen=True, slots=True)
class LocalMedia:
    """What our side wants and where it listens."""

    address: Address
    rtcp_port: int
    codecs: tuple[str, ...] = ("PCMA", "PCMU")
    dtmf: bool = True
    direction: str = "sendrecv"
    """One of DIRECTIONS, as it would stand in an offer of ours."""
    ptime: int = 20
    """Milliseconds of audio in a packet that we like to receive."""
    rtcp_mux: bool = True


@dataclass(frozen=True, slots=True)
class Agreed:
    """What both sides agreed on."""

    codec: str
    """What we send."""
    payload_type: int
    """Its type in packets that we send."""
    receive_types: Mapping[int, str]
    """What may come: type to codec, `telephone-event` included."""
    dtmf_type: int | None
    """Type of telephone-event packets that we send; None: the peer takes none."""
    remote: Address
    """Where the peer listens; the host is 0.0.0.0 when it did not say, or put us on hold the old way."""
    remote_rtcp: Address
    rtcp_mux: bool
    sends: bool
    """Whether we may send."""
    receives: bool
    """Whether the peer may send."""
    ptime: int
    """Milliseconds per packet that the peer likes to receive, within its maxptime; a wish (RFC 8866 6.4)."""


def offered(
    local: LocalMedia,
    *,
    session_id: int,
    version: int,
    previous: SessionDescription | None = None,
    known: Mapping[str, int] | None = None,
) -> SessionDescription:
    """An offer; in a session that exists already, `previous` is our last description: its lines stay in their
    places (section 8), and `known`, from codec to type, keeps its meaning."""
    chosen = formats.assigned(local.codecs, local.dtmf, known or {})
    line = _audio_line(local, "RTP/AVP", chosen, local.direction, local.rtcp_mux)
    media = [line]
    if previous is not None:
        at = audio_index(previous)
        media = [refused(each) for each in previous.media]
        media[at] = replace(line, protocol=previous.media[at].protocol)
    return _description(local, session_id, version, tuple(media))


def answered(
    offer: SessionDescription, local: LocalMedia, *, session_id: int, version: int
) -> tuple[SessionDescription, Agreed]:
    """The answer to an offer. Raises SdpError (400), or NotAcceptable (488) without common audio."""
    at, chosen = _first_acceptable(offer, local)
    theirs = offer.media[at]
    mux = local.rtcp_mux and _wants_mux(theirs)
    agreed = _agreement(offer, theirs, local, chosen, chosen, mux)
    line = _audio_line(local, theirs.protocol, chosen, direction(agreed.sends, agreed.receives), mux)
    media = [line if index == at else refused(each) for index, each in enumerate(offer.media)]
    description = _description(local, session_id, version, tuple(media))
    # Section 6: the t= line of the answer must equal that of the offer.
    return replace(description, timing=offer.timing), agreed


def accepted(offer: SessionDescription, local: LocalMedia, answer: SessionDescription) -> Agreed:
    """What an answer to `offer`, which was made from `local`, means."""
    if len(answer.media) != len(offer.media):
        raise SdpError(f"{len(answer.media)} media lines answer {len(offer.media)}")
    at = audio_index(offer)
    ours, theirs = offer.media[at], answer.media[at]
    if theirs.port == 0:
        raise NotAcceptable("the audio line was refused")
    if theirs.kind != "audio" or theirs.protocol.upper() not in PROTOCOLS:
        raise SdpError(f"audio over {ours.protocol} answered with {theirs.kind} over {theirs.protocol}")
    chosen = formats.usable(formats.formats_of(theirs), local.codecs, local.dtmf)
    if not chosen:
        raise NotAcceptable("the answer has no codec of the offer")
    mux = _wants_mux(ours) and _wants_mux(theirs)
    return _agreement(answer, theirs, local, chosen, formats.formats_of(ours), mux)


def audio_index(description: SessionDescription) -> int:
    """Which media line of a description of ours is the audio."""
    return next(at for at, media in enumerate(description.media) if media.kind == "audio" and media.port)


def refused(media: MediaDescription) -> MediaDescription:
    """The line that refuses a line: port 0, and a format, which means nothing (section 6)."""
    return MediaDescription(media.kind, 0, media.protocol, media.formats or ("0",))


def direction(sends: bool, receives: bool) -> str:
    """The attribute for it."""
    return DIRECTIONS[2 * (not sends) + (not receives)]


def _first_acceptable(offer: SessionDescription, local: LocalMedia) -> tuple[int, tuple[Format, ...]]:
    audio_without_codec = False
    for at, media in enumerate(offer.media):
        if media.kind != "audio" or media.port == 0 or media.protocol.upper() not in PROTOCOLS:
            continue
        if _is_multicast(_connection(offer, media)):
            continue
        chosen = formats.usable(formats.formats_of(media), local.codecs, local.dtmf)
        if chosen:
            return at, chosen
        audio_without_codec = True
    raise NotAcceptable("no common codec" if audio_without_codec else "no audio line that can be taken")


def _agreement(
    description: SessionDescription,
    theirs: MediaDescription,
    local: LocalMedia,
    send_formats: tuple[Format, ...],
    receive_formats: tuple[Format, ...],
    mux: bool,
) -> Agreed:
    connection = _connection(description, theirs)
    remote = (_host(connection), theirs.port)
    wish = _direction(description, theirs)
    audio = next(each for each in send_formats if each.codec != TELEPHONE_EVENT)
    # A peer may name other types for what it receives than we do (RFC 3264 5.1); some then send with their
    # own.
    receive_types = {each.payload_type: each.codec for each in send_formats}
    receive_types |= {each.payload_type: each.codec for each in receive_formats}
    return Agreed(
        codec=audio.codec,
        payload_type=audio.payload_type,
        receive_types=receive_types,
        dtmf_type=next((each.payload_type for each in send_formats if each.codec == TELEPHONE_EVENT), None),
        remote=remote,
        remote_rtcp=remote if mux else _remote_rtcp(theirs, remote),
        rtcp_mux=mux,
        sends=local.direction in SENDING and wish in RECEIVING and not _is_hold(connection),
        receives=local.direction in RECEIVING and wish in SENDING,
        ptime=_ptime(theirs, local),
    )


def _connection(description: SessionDescription, media: MediaDescription) -> Connection | None:
    return media.connections[0] if media.connections else description.connection


def _host(connection: Connection | None) -> str:
    """The address to send to. A name is not looked up: that would wait for DNS in the middle of an alarm."""
    if connection is None:
        return UNKNOWN_HOST
    try:
        return str(parse_ip(connection.address))
    except ValueError:
        return UNKNOWN_HOST


def _is_hold(connection: Connection | None) -> bool:
    """An unspecified address (RFC 3264 section 8.4), or a name in .invalid, its form for IPv6 (RFC 6157)."""
    if connection is None:
        return False
    try:
        return parse_ip(connection.address).is_unspecified
    except ValueError:
        return connection.address.lower().rstrip(".").endswith(".invalid")


def _is_multicast(connection: Connection | None) -> bool:
    return parse_ip(_host(connection)).is_multicast


def _direction(description: SessionDescription, media: MediaDescription) -> str:
    """The media's own direction, else the session's, else sendrecv (RFC 8866 section 6.7)."""
    for attributes in (media.attributes, description.attributes):
        for each in attributes:
            if each.name in DIRECTIONS:
                return each.name
    return "sendrecv"


def _wants_mux(media: MediaDescription) -> bool:
    return has(media.attributes, "rtcp-mux") or has(media.attributes, "rtcp-mux-only")


def _remote_rtcp(media: MediaDescription, remote: Address) -> Address:
    """`a=rtcp:<port> [IN IP4 <address>]` (RFC 3605), else the next port."""
    host, port = remote
    for value in find(media.attributes, "rtcp"):
        port_text, *address = value.split()[:4] or [""]
        named = number(port_text, 65_535)
        if named:
            if len(address) == 3:
                host = _host(Connection(address[2]))
            return host, named
    return host, min(port + 1, 65_535)


def _ptime(media: MediaDescription, local: LocalMedia) -> int:
    wished = _milliseconds(media, "ptime") or local.ptime
    longest = _milliseconds(media, "maxptime") or wished
    return max(10, min(wished, longest))


def _milliseconds(media: MediaDescription, name: str) -> int | None:
    """Whole milliseconds; a fraction, which the grammar allows, is cut off."""
    for value in find(media.attributes, name):
        return number(value.partition(".")[0], 1000)
    return None


def _description(
    local: LocalMedia, session_id: int, version: int, media: tuple[MediaDescription, ...]
) -> SessionDescription:
    host = local.address[0]
    family = "IP6" if ":" in host else "IP4"
    return SessionDescription(
        origin=Origin("earshot", str(session_id), str(version), "IN", family, host),
        connection=Connection(host, family),
        media=media,
    )


def _audio_line(
    local: LocalMedia, protocol: str, chosen: tuple[Format, ...], direction: str, mux: bool
) -> MediaDescription:
    attributes = [*formats.described(chosen), Attribute("ptime", str(local.ptime)), Attribute(direction)]
    if local.rtcp_port != local.address[1] + 1:
        attributes.append(Attribute("rtcp", str(local.rtcp_port)))
    if mux:
        attributes.append(Attribute("rtcp-mux"))
    return MediaDescription(
        kind="audio",
        port=local.address[1],
        protocol=protocol,
        formats=tuple(str(each.payload_type) for each in chosen),
        attributes=tuple(attributes),
    )
