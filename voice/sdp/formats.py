"""Payload formats of an audio line: rtpmap, fmtp and the static types (RFC 3551 section 6, RFC 8866 section
6.6)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from voice.sdp.description import Attribute, MediaDescription, find, number

TELEPHONE_EVENT = "telephone-event"
DIGIT_EVENTS = "0-15"
"""The events that we understand: 0 to 9, *, #, A to D (RFC 4733 section 3.2)."""
DEFAULT_EVENT_TYPE = 101
CLOCK = 8000

STATIC: Mapping[int, str] = {0: "PCMU", 3: "GSM", 4: "G723", 8: "PCMA", 9: "G722", 13: "CN", 18: "G729"}
"""Static payload types with a clock of 8000 (RFC 3551 table 4), G722 too, though it is 16000 in truth."""
STATIC_TYPE: Mapping[str, int] = {codec: payload_type for payload_type, codec in STATIC.items()}


@dataclass(frozen=True, slots=True)
class Format:
    """One entry of an `m=audio` line."""

    payload_type: int
    codec: str
    """`PCMA`, `PCMU`, ..., in capitals; `telephone-event` in small letters."""
    clock: int = CLOCK
    channels: int = 1


def formats_of(media: MediaDescription) -> tuple[Format, ...]:
    """The formats of the line that can be understood, in its order of preference; each type once."""
    maps = dict(_rtpmaps(media))
    found: dict[int, Format] = {}
    for text in media.formats:
        payload_type = number(text, 127)
        if payload_type is None or payload_type in found:
            continue
        if payload_type in maps:
            found[payload_type] = maps[payload_type]
        elif payload_type in STATIC:
            found[payload_type] = Format(payload_type, STATIC[payload_type])
    return tuple(found.values())


def _rtpmaps(media: MediaDescription) -> Iterable[tuple[int, Format]]:
    """`a=rtpmap:<type> <codec>/<clock>[/<channels>]`; what cannot be read is as if it were not there."""
    for value in find(media.attributes, "rtpmap"):
        type_text, _, encoding = value.partition(" ")
        codec, clock_text, channels_text, *_ = [*encoding.strip().split("/"), "", "", ""]
        payload_type = number(type_text, 127)
        clock = number(clock_text, 1_000_000)
        channels = number(channels_text, 255) if channels_text else 1
        if payload_type is not None and clock is not None and channels is not None:
            yield payload_type, Format(payload_type, canonical(codec), clock, channels)


def canonical(codec: str) -> str:
    """Encoding names are compared without case (RFC 8866 section 6.6)."""
    lowered = codec.lower()
    return lowered if lowered == TELEPHONE_EVENT else codec.upper()


def usable(formats: Iterable[Format], codecs: Iterable[str], dtmf: bool) -> tuple[Format, ...]:
    """Those of the formats that we take, each codec once, in their order; () when no audio codec is among
    them.

    Telephone-event only with the clock of the audio: its timestamps are those of the stream (RFC 4733
    section 2.1).
    """
    wanted = {canonical(codec) for codec in codecs}
    taken: dict[str, Format] = {}
    for each in formats:
        ours = each.codec in wanted or (dtmf and each.codec == TELEPHONE_EVENT)
        if ours and each.clock == CLOCK and each.channels == 1:
            taken.setdefault(each.codec, each)
    if not any(codec != TELEPHONE_EVENT for codec in taken):
        return ()
    return tuple(taken.values())


def described(formats: Iterable[Format]) -> Iterable[Attribute]:
    """The attributes that say what the formats are, for static types too (RFC 3264 section 5.1)."""
    for each in formats:
        yield Attribute("rtpmap", f"{each.payload_type} {each.codec}/{each.clock}")
        if each.codec == TELEPHONE_EVENT:
            yield Attribute("fmtp", f"{each.payload_type} {DIGIT_EVENTS}")


def assigned(codecs: Iterable[str], dtmf: bool, known: Mapping[str, int]) -> tuple[Format, ...]:
    """Formats for an offer of ours: types already agreed on keep their meaning (RFC 3264 section 8.3.2)."""
    formats: list[Format] = []
    taken = set(known.values())
    for codec in [*codecs, *([TELEPHONE_EVENT] if dtmf else [])]:
        payload_type = known.get(codec)
        if payload_type is None:
            usual = STATIC_TYPE.get(codec, DEFAULT_EVENT_TYPE)
            payload_type = next(each for each in (usual, *range(96, 128), *range(128)) if each not in taken)
        taken.add(payload_type)
        formats.append(Format(payload_type, codec))
    return tuple(formats)
