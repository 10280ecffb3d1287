"""Cutting a stream into messages (RFC 3261 section 18.3, RFC 5626 section 4.4.1)."""

import pytest

from voice.sip.framing import PING, StreamFramer

BARE = b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n"
COMPACT = b"MESSAGE sip:a SIP/2.0\r\nl:4\r\nSubject: x\r\n\r\nbody"
SPACED = b"MESSAGE sip:a SIP/2.0\r\nCONTENT-LENGTH \t:  6 \r\n\r\n\r\n\r\n\r\n"
FOLDED = b"MESSAGE sip:a SIP/2.0\r\nSubject: a\r\n Content-Length: 99\r\nContent-Length:\r\n\t2\r\n\r\nhi"
TWICE = b"MESSAGE sip:a SIP/2.0\r\nl: 2\r\nContent-Length: 2\r\n\r\nhi"
ALL = [BARE, COMPACT, SPACED, FOLDED, TWICE]


def framed(*pieces: bytes, limit: int = 65536) -> tuple[list[bytes], StreamFramer]:
    framer = StreamFramer(limit)
    return [frame for piece in pieces for frame in framer.feed(piece)], framer


def octets(data: bytes) -> list[bytes]:
    return [bytes([octet]) for octet in data]


@pytest.mark.parametrize("message", ALL)
def test_a_message_is_found_whole_byte_by_byte_and_with_a_remainder(message: bytes) -> None:
    assert framed(message)[0] == [message]
    assert framed(*octets(message))[0] == [message]
    frames, framer = framed(message + message[:9])
    assert frames == [message]
    assert framer.feed(message[9:]) == [message]
    assert framer.empty


def test_several_messages_in_one_piece_come_in_order() -> None:
    assert framed(b"".join(ALL))[0] == ALL
    assert framed(*octets(b"".join(ALL)))[0] == ALL


@pytest.mark.parametrize("cut", range(len(COMPACT)))
def test_a_message_may_be_cut_anywhere(cut: int) -> None:
    assert framed(COMPACT[:cut], COMPACT[cut:])[0] == [COMPACT]


@pytest.mark.parametrize("split", [False, True])
def test_a_double_crlf_between_messages_is_a_ping(split: bool) -> None:
    data = PING + BARE + PING + PING + COMPACT
    assert framed(*(octets(data) if split else [data]))[0] == [PING, BARE, PING, PING, COMPACT]


def test_a_single_crlf_between_messages_is_nothing() -> None:
    assert framed(b"\r\n" + BARE + b"\r\n" + COMPACT)[0] == [BARE, COMPACT]


def test_a_crlf_that_may_become_a_ping_waits() -> None:
    frames, framer = framed(b"\r\n\r")
    assert frames == []
    assert framer.feed(b"\n") == [PING]


@pytest.mark.parametrize(
    "lines",
    [
        b"",
        b"Content-Length: x\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length:\r\n",
        b"l: 1\r\nl: 2\r\n",
        b"l: 9999999999\r\n",
    ],
)
def test_without_a_usable_length_the_head_goes_out_and_the_stream_is_broken(lines: bytes) -> None:
    head = b"MESSAGE sip:a SIP/2.0\r\n" + lines + b"\r\n"
    frames, framer = framed(head + b"body" + BARE)
    assert frames == [head]
    assert framer.broken
    assert framer.feed(BARE) == []


def test_a_message_past_the_limit_breaks_the_stream_and_its_head_goes_out() -> None:
    head = b"MESSAGE sip:a SIP/2.0\r\nl: 1000\r\n\r\n"
    frames, framer = framed(head, limit=1000)
    assert (frames, framer.broken) == ([head], "a message is too long")


def test_a_head_without_end_breaks_the_stream_and_nothing_goes_out() -> None:
    frames, framer = framed(*[b"x" * 100] * 20, limit=1000)
    assert (frames, framer.broken) == ([], "the head of a message is too long")


def test_a_message_of_just_the_limit_is_taken() -> None:
    assert framed(COMPACT, limit=len(COMPACT))[0] == [COMPACT]


def test_the_word_content_length_in_a_value_or_a_body_is_no_header() -> None:
    message = b"MESSAGE sip:a SIP/2.0\r\nSubject: l: 9\r\nX-l: 7\r\nl: 7\r\n\r\n\r\nl: 5\r"
    assert framed(message)[0] == [message]
