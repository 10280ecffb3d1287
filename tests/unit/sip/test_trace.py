"""The trace of a call: a ladder without secrets, within bounds, readable by another process."""

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from voice.sip.flow import Flow
from voice.sip.trace import BESIDES, Trace, TraceFiles, ladder, read_trace

BADGE = Flow("UDP", ("192.0.2.10", 5060), ("198.51.100.7", 5070))
PROXY = Flow("TLS", ("192.0.2.10", 5061), ("2001:db8::5", 5061), 3)

SDP = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwg\r\n"


class WallClock:
    """A time of day that a test sets."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def forward(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def message(start: str, cseq: str, *fields: str, body: str = "", call_id: str = "call-1") -> bytes:
    lines = [
        start,
        "Via: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1",
        'From: "Anna Berg" <sip:anna@example.org>;tag=1',
        "To: Control Room <sip:+31201234567@example.org>",
        f"i: {call_id}",
        f"CSeq: {cseq}",
        *fields,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


INVITE = message("INVITE sip:alarm@example.org SIP/2.0", "1 INVITE", "Content-Type: application/sdp", body=SDP)
OK = message("SIP/2.0 200 OK", "1 INVITE", "c: application/sdp", body=SDP)
ACK = message("ACK sip:alarm@192.0.2.10 SIP/2.0", "1 ACK")
BYE = message("BYE sip:alarm@192.0.2.10 SIP/2.0", "2 BYE")


def traced(**settings: object) -> tuple[Trace, WallClock]:
    clock = WallClock()
    return Trace(clock, **settings), clock  # type: ignore[arg-type]


def test_a_call_reads_as_a_ladder_with_retransmissions_marked() -> None:
    trace, clock = traced()
    trace.record("received", INVITE, BADGE)
    clock.forward(0.004)
    trace.record("sent", OK, BADGE)
    clock.forward(0.5)
    trace.record("sent", OK, BADGE)
    trace.record("received", ACK, BADGE)
    clock.forward(1.496)
    trace.record("received", BYE, PROXY)
    # fmt: off
    assert trace.ladder("call-1").splitlines() == [
        "Call-ID call-1",
        "first message 2026-03-01 12:00:00.000000 UTC",
        "",
        "    UDP 198.51.100.7:5070                          Earshot                         TLS [2001:db8::5]:5061",
        "      0 ms    |------------ INVITE (SDP) ------------>|                                       |",
        "      4 ms    |<------- 200 OK to INVITE (SDP) -------|                                       |",
        "    504 ms    |<---- 200 OK to INVITE (SDP) again ----|                                       |",
        "    504 ms    |---------------- ACK ----------------->|                                       |",
        "   2000 ms    |                                       |<---------------- BYE -----------------|",
    ]
    # fmt: on


def test_a_label_that_does_not_fit_is_cut() -> None:
    trace, _ = traced()
    trace.record("sent", message("SIP/2.0 480 " + "Temporarily " * 9, "1 INVITE"), BADGE)
    assert trace.ladder("call-1").splitlines()[-1] == "      0 ms    |<- 480 Temporarily Temporarily Te... --|"


def test_calls_are_kept_apart() -> None:
    trace, _ = traced()
    trace.record("received", INVITE, BADGE)
    trace.record("received", message("OPTIONS sip:x SIP/2.0", "1 OPTIONS", call_id="other"), BADGE)
    assert [m.label for m in trace.messages("call-1")] == ["INVITE (SDP)"]
    assert [m.label for m in trace.messages("other")] == ["OPTIONS"]


def test_an_unknown_call_has_no_messages() -> None:
    assert traced()[0].ladder("nothing") == "no messages\n"


# -- what is masked --


@pytest.mark.parametrize(
    "field",
    [
        'Authorization: Digest username="anna", response="6629fae49393a05397450978507c4ef1"',
        'PROXY-AUTHORIZATION : Digest username="anna", response="6629fae49393a05397450978507c4ef1"',
        "Authorization: Basic 6629fae49393a05397450978507c4ef1",
    ],
)
def test_credentials_are_never_shown(field: str) -> None:
    trace, _ = traced()
    trace.record("received", message("REGISTER sip:example.org SIP/2.0", "2 REGISTER", field), BADGE)
    text = "".join(each.text for each in trace.messages("call-1"))
    assert "6629fae" not in text
    assert "***" in text


DIGITS = [
    ("application/dtmf-relay", "Signal=7\r\nDuration=160\r\n"),
    ("application/dtmf-relay", "Signal = 7\r\n"),
    ("application/dtmf-relay", "  signal: 7\r\nDuration=160"),
    ("application/dtmf-relay", "Duration=160\rSignal=7\r"),
    ("application/dtmf-relay", "Signal=1\r\n Signal=7\r\nDuration=7 seconds"),
    ("APPLICATION/DTMF", "7"),
    ("application/dtmf", "7,7"),
    ("audio/telephone-event", "7"),
    ("text/plain", "d=7\nsignal:7"),
    ("multipart/mixed; boundary=b", "--b\r\nContent-Type: application/dtmf\r\n\r\n7\r\n--b--"),
]


@pytest.mark.parametrize(("content_type", "body"), DIGITS)
@pytest.mark.parametrize("start", ["INFO sip:x SIP/2.0", "\r\n\r\nINFO sip:x SIP/2.0", "SIP/2.0 415 What?"])
@pytest.mark.parametrize("whole", [{}, {"personal": True, "bodies": True}, {"personal": False}, {"bodies": False}])
def test_digits_of_an_info_are_never_shown(content_type: str, body: str, start: str, whole: dict[str, bool]) -> None:
    trace, _ = traced(**whole)
    info = message(start, "9 INFO", f"Content-Type: {content_type}", body=body)
    trace.record("received", info, BADGE)
    shown = trace.messages("call-1")[0].text.lstrip().partition("\n\n")[2]
    assert "7" not in shown.replace(f"[{len(body.replace(chr(13) + chr(10), chr(10)))} bytes]", "")
    assert "***" in shown or "bytes]" in shown


def test_that_a_key_was_pressed_and_for_how_long_is_shown() -> None:
    trace, _ = traced()
    body = "Signal=7\r\nDuration=160\r\n"
    trace.record("received", message("INFO sip:x SIP/2.0", "9 INFO", "c: application/dtmf-relay", body=body), BADGE)
    assert trace.messages("call-1")[0].text.endswith("\n\nSignal=***\nDuration=160\n")


def test_an_info_of_another_kind_is_shown() -> None:
    trace, _ = traced()
    fields = ("Content-Type: application/media_control+xml",)
    body = "<media_control><picture_fast_update/></media_control>"
    trace.record("received", message("INFO sip:x SIP/2.0", "9 INFO", *fields, body=body), BADGE)
    assert trace.messages("call-1")[0].text.endswith(body)


def test_keys_reported_by_kpml_are_never_shown() -> None:
    trace, _ = traced()
    body = '<kpml-response version="1.0" code="200" digits="7788" tag="pin"/>'
    fields = ("Event: kpml", "Content-Type: application/kpml-response+xml")
    trace.record("received", message("NOTIFY sip:x SIP/2.0", "9 NOTIFY", *fields, body=body), BADGE)
    assert "7788" not in trace.messages("call-1")[0].text


def test_empty_lines_in_front_of_a_message_hide_no_less() -> None:
    """RFC 3261 section 7.5: they are skipped, and the message behind them is read."""
    trace, _ = traced(personal=False, bodies=False)
    secret = 'Authorization: Digest username="anna", response="6629fae49393a05397450978507c4ef1"'
    trace.record("received", b"\r\n\r\n" + message("INVITE sip:anna@x SIP/2.0", "2 INVITE", secret), BADGE)
    text = trace.messages("call-1")[0].text
    assert text.startswith("INVITE sip:***@x SIP/2.0\n")
    assert "6629fae" not in text
    assert "Anna" not in text


def test_keys_of_encrypted_audio_are_never_shown() -> None:
    trace, _ = traced()
    trace.record("received", INVITE, BADGE)
    assert "WVNfX19" not in trace.messages("call-1")[0].text


def test_personal_data_can_be_switched_off() -> None:
    trace, _ = traced(personal=False)
    fields = ("P-Asserted-Identity: <tel:+31612345678>", "Subject: help me", "Contact: <sip:anna@10.0.0.1>")
    trace.record("received", message("INVITE sip:anna@x SIP/2.0", "1 INVITE", *fields, body=SDP), BADGE)
    text = trace.messages("call-1")[0].text
    for personal in ("anna", "Anna", "Control", "3120", "316", "help", "192.0.2.1\n", "crypto"):
        assert personal not in text
    assert "sip:***@example.org" in text
    assert f"[{len(SDP.replace(chr(13), ''))} bytes]" in text


# -- bounds --


def ping(call_id: str) -> bytes:
    return message("OPTIONS sip:x SIP/2.0", "1 OPTIONS", call_id=call_id)


def test_the_oldest_call_is_forgotten_first() -> None:
    trace, _ = traced(memory=3 * (len(ping("a")) + BESIDES) - 1)
    for name in ("a", "b", "c"):
        trace.record("received", ping(name), BADGE)
    assert [bool(trace.messages(name)) for name in ("a", "b", "c")] == [False, True, True]


def test_a_flood_of_tiny_messages_is_bounded_by_what_they_cost_in_memory() -> None:
    trace, _ = traced(memory=100 * BESIDES)
    for number in range(1000):
        trace.record("received", b"i:%d\r\n" % number, BADGE)
    assert sum(bool(trace.messages(str(number))) for number in range(1000)) < 100


def test_a_call_that_never_ends_is_bounded_and_what_was_dropped_is_counted() -> None:
    trace, _ = traced(messages_per_call=3)
    for _ in range(5):
        trace.record("received", INVITE, BADGE)
    assert (len(trace.messages("call-1")), trace.dropped) == (3, 2)


def test_what_waits_for_the_disk_is_bounded(tmp_path: Path) -> None:
    trace, _ = traced(files=TraceFiles(tmp_path), waiting=3 * (len(INVITE) + BESIDES))
    for _ in range(5):
        trace.record("received", INVITE, BADGE)
    assert (trace.unwritten, trace.dropped) == (3, 2)


# -- on disk --


def test_another_process_reads_the_call_from_the_directory(tmp_path: Path) -> None:
    clock = WallClock()
    trace = Trace.to_directory(tmp_path / "trace", clock)
    trace.record("received", INVITE, BADGE)
    clock.forward(0.25)
    trace.record("sent", OK, BADGE)
    trace.record("sent", message("OPTIONS sip:x SIP/2.0", "1 OPTIONS", call_id="other"), PROXY)
    assert trace.unwritten == 3
    trace.flush()
    assert trace.unwritten == 0
    assert read_trace(tmp_path / "trace", "call-1") == trace.messages("call-1")
    assert ladder(read_trace(tmp_path / "trace", "call-1")) == trace.ladder("call-1")
    assert [m.peer for m in read_trace(tmp_path / "trace", "other")] == ["TLS [2001:db8::5]:5061"]


def test_a_call_is_read_over_files_and_days_in_order(tmp_path: Path) -> None:
    clock = WallClock()
    trace = Trace(clock, TraceFiles(tmp_path, file_size=900))
    for _ in range(10):
        trace.record("received", INVITE, BADGE)
        trace.flush()
        clock.forward(3 * 3600)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names[0] == "sip-2026-03-01.0001.jsonl"
    assert names[-1].startswith("sip-2026-03-02.")
    assert len(names) > 3
    times = [message.at for message in read_trace(tmp_path, "call-1")]
    assert len(times) == 10
    assert times == sorted(times)


def test_the_oldest_files_are_removed_when_the_directory_is_full(tmp_path: Path) -> None:
    trace, _ = traced(files=TraceFiles(tmp_path, file_size=1000, total_size=5000))
    for _ in range(20):
        trace.record("received", INVITE, BADGE)
        trace.flush()
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert sum(sizes) <= 5000
    names = sorted(path.name for path in tmp_path.iterdir())
    assert "sip-2026-03-01.0001.jsonl" not in names
    assert len(names) > 2


def test_a_new_process_appends_to_the_file_of_the_day(tmp_path: Path) -> None:
    for _ in range(2):
        trace, _ = traced(files=TraceFiles(tmp_path))
        trace.record("received", INVITE, BADGE)
        trace.flush()
    assert len(read_trace(tmp_path, "call-1")) == 2
    assert len(list(tmp_path.iterdir())) == 1


def test_the_files_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    trace, _ = traced(files=TraceFiles(tmp_path / "t"))
    trace.record("received", INVITE, BADGE)
    trace.flush()
    file = next((tmp_path / "t").iterdir())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "t").stat().st_mode) == 0o700


def test_torn_and_foreign_lines_are_passed_over(tmp_path: Path) -> None:
    trace, _ = traced(files=TraceFiles(tmp_path))
    trace.record("received", INVITE, BADGE)
    trace.flush()
    with next(tmp_path.iterdir()).open("a") as file:
        file.write('{"call_id": "call-1"}\n[]\n"call-1"\n' + json.dumps({"call_id": "call-1", "at": 5})[:-4])
    assert len(read_trace(tmp_path, "call-1")) == 1


def test_a_failing_disk_costs_the_trace_and_raises_nothing(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    trace, _ = traced(files=TraceFiles(blocked))
    trace.record("received", INVITE, BADGE)
    trace.flush()
    assert trace.dropped == 1


def test_a_directory_that_does_not_exist_has_no_messages(tmp_path: Path) -> None:
    assert read_trace(tmp_path / "nowhere", "call-1") == []


def test_bytes_that_are_no_text_are_traced_all_the_same(tmp_path: Path) -> None:
    trace, _ = traced(files=TraceFiles(tmp_path))
    trace.record("received", b"\xff\xfe\x00garbage", BADGE)
    trace.flush()
    assert len(read_trace(tmp_path, "")) == 1


def test_bodies_alone_can_be_switched_off() -> None:
    trace, _ = traced(bodies=False)
    trace.record("received", INVITE, BADGE)
    text = trace.messages("call-1")[0].text
    assert "sip:anna@example.org" in text
    assert "v=0" not in text
