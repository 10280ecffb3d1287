"""No way past the interlock: every spelling of an emergency number, every path on which an INVITE leaves."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.errors import EmergencyNumberRefused
from voice.interlock import Interlock, known_numbers

ROOT = Path(__file__).parents[2]
NUMBERS = known_numbers()
FAMOUS = ("112", "911", "999", "000", "110", "113", "115", "117", "118", "119", "15", "17", "18", "100", "101", "102")
FAMOUS += ("103", "108", "111", "120", "122", "190", "192", "193", "1122", "10111", "90000")

interlock = Interlock(armed=["armed"])


def refused(uri: str, trunk: str | None = "kpn") -> bool:
    try:
        interlock.permit(uri, trunk)
    except EmergencyNumberRefused:
        return True
    return False


@pytest.mark.parametrize("number", FAMOUS)
def test_a_known_number_is_refused_with_and_without_a_trunk(number: str) -> None:
    for uri in (f"sip:{number}@10.5.0.1", f"sips:{number}@trunk.example", f"tel:{number}", f"sip:{number}@127.0.0.1"):
        assert refused(uri)
        assert refused(uri, None)


TRICKS = [
    "sip:112@x;user=phone",
    "SIP:112@X",
    "sip:112;isub=1@x",
    "sip:112;phone-context=+31@x;user=phone",
    "sip:12;phone-context=+311@x",
    "sip:12@x;phone-context=+311;user=phone",
    "tel:112;phone-context=+31",
    "tel:2;phone-context=+3111",
    "sip:112:secret@x",
    "sip:x:112@x",
    "sip:tel:112@x",
    "sip:+31112@x",
    "sip:++31112@x",
    "sip:0031112@x",
    "sip:00031112@x",
    "sip:90031112@x",
    "sip:31112@x",
    "sip:+310112@x",
    "sip:+31(0)112@x",
    "tel:+31-112",
    "sip:0111911@x",
    "sip:011351112@x",
    "sip:001144999@x",
    "sip:+112@x",
    "sip:+00112@x",
    "sip:0112@x",
    "sip:9112@x",
    "sip:9p112@x",
    "sip:9pp112@x",
    "sip:0w112@x",
    "sip:9x112@x",
    "sip:0p911@x",
    "sip:9p1p12@x",
    "sip:00112@x",
    "sip:7112@x",
    "sip:9000@x",
    "sip:015@x",
    "sip:*31%23112@x",
    "sip:%2331%23112@x",
    "sip:*67112@x",
    "sip:*1167112@x",
    "sip:*31*0112@x",
    "sip:141%20112@x",
    "sip:1470112@x",
    "sip:14700031112@x",
    "sip:112#@x",
    "sip:1.1.2@x",
    "sip:1-1-2@x",
    "sip:(1)(1)(2)@x",
    "sip:1%201%202@x",
    "sip:1%C2%A01%E2%80%8B2@x",
    "sip:%31%31%32@x",
    "sip:%2531%2531%2532@x",
    "sip:％31％31％32@x",
    "sip:%EF%BC%8531%EF%BC%8531%32@x",
    "sip:%252531%252531%252532@x",
    "sip:112%40y@x",
    "sip:y%3b112@x",
    "sip:112%3bisub%3d1@x",
    "sip:１１２@x",
    "sip:١١٢@x",
    "sip:१०८@x",
    "sip:①①②@x",
    "sip:112p1@x",
    "sip:112w22@x",
    "sip:112,1@x",
    "sip:112x5@x",
    "sip:112ext5@x",
    "sip:112A@x",
    "sip:1121@x",
    "sip:911234@x",
    "sip:+4989112@x",
    "sip:+49351110@x",
    "sip:+431144@x",
    "sip:112",
    "sip:112;user=phone",
    "sip:112:5060",
    "sip:1.1.2",
    "sip:x@112",
    "sip:x@y;maddr=112",
    "sip:112@y;maddr=127.0.0.1",
    "sip:x@y?To=<sip:112@y>",
    "sip:x@y?To=%3Csip%3A112%40y%3E",
    "sip:x@y?Route=112",
    "sip:112?x@y",
    "112",
    "+31112",
    "%73ip:112@x",
    "callto:112",
    "urn:service:sos",
    "URN:Service:SOS.Police",
    "urn:service:sos.ambulance.mountain",
    "urn:service:test.sos",
    "urn:nena:service:sos",
    "urn:emergency:service:responder.police",
    "%75rn:service:sos",
    "sip:urn:service:sos@x",
    "sip:sos@example.org",
    "sip:SOS.fire@example.org",
    "sip:%73os@example.org",
    "sip:e911@x",
]


@pytest.mark.parametrize("uri", TRICKS)
def test_a_trick_is_seen_through(uri: str) -> None:
    assert refused(uri)


ORDINARY = [
    "sip:+31612341120@10.5.0.1;user=phone",
    "sip:+31201120112@x",
    "sip:+31201121234@x",
    "sip:+31612345112@x",
    "sip:+31888009112@x",
    "sip:0031888009112@x",
    "sip:0888009112@x",
    "sip:0612345112@x",
    "sip:0201120112@x",
    "sip:0104111277@x",
    "sip:0113491112@x",
    "sip:+31113491112@x",
    "sip:+3114010@x",
    "sip:+31140113@x",
    "sip:09001911@x",
    "sip:09008844@x",
    "sip:08001122@x",
    "sip:+14709990112@x",
    "sip:14709990112@x",
    "sip:+12129119911@x",
    "sip:+911123456789@x",
    "sip:+442079460112@x",
    "sip:+493012345112@x",
    "sip:+298311112@x",
    "sip:+3545811112@x",
    "sip:+31600000001@10.5.0.1",
    "sip:200@pbx",
    "sip:2112@pbx",
    "sip:3001@pbx",
    "sip:7000@pbx",
    "sip:police@127.0.0.1",
    "sip:police@127.0.0.1:5071;transport=tcp",
    "sip:control-room@10.0.0.9",
    "sip:badge-112@10.0.0.7",
    "sip:badge7@1.1.1.2",
    "sip:10.0.0.5:5060",
    "sip:anna@[::112]:5060",
    "sip:18e4f2ab@10.0.0.7:5060;ob",
    "sip:anna@host112.example;transport=tls",
    "sip:anna@sos.example.org",
    "sip:anna@10.0.0.7;rinstance=112",
    "sip:listen-1k3x9a0q.7f@10.0.0.1",
]


@pytest.mark.parametrize("uri", ORDINARY)
def test_whoever_is_no_emergency_service_can_be_called(uri: str) -> None:
    assert not refused(uri)
    assert not refused(uri, None)


# -- tricks on top of tricks --

SCRIPTS = (0x30, 0xFF10, 0x0660, 0x0966)
"""Where the digits of ASCII, of full width, Arabic and Devanagari begin."""
DIGITS = {str(digit): [chr(first + digit) for first in SCRIPTS] for digit in range(10)}


def _spread(number: str, between: list[str]) -> str:
    return "".join(digit + gap for digit, gap in zip(number, between, strict=False))


@st.composite
def emergency_uris(draw: st.DrawFn) -> str:
    """An emergency number behind prefixes, between separators, in any script, escaped, in any URI."""
    number = draw(st.sampled_from([n for n in sorted(NUMBERS.all) if 2 < len(n) < 5]))
    code = draw(st.sampled_from(sorted(NUMBERS.countries)))
    lead = draw(
        st.sampled_from(
            ["", "0", "9", "00", "99", "*31#", "#31#", "*67", "**9", f"+{code}", f"00{code}", f"+{code}0", f"000{code}"]
        )
    )
    dialled = lead + number
    gaps = draw(
        st.lists(st.sampled_from(["", "", "-", ".", " ", "(", ")", "\u00a0", "\u200b", "/"]), min_size=30, max_size=30)
    )
    if draw(st.booleans()):
        dialled = "".join(draw(st.sampled_from(DIGITS[c])) if c in DIGITS else c for c in dialled)
    if draw(st.booleans()):
        dialled = _spread(dialled, [gap for gap in gaps if gap != "/"])
    for _ in range(draw(st.integers(0, 3))):
        dialled = quote(dialled, safe="")
    dialled += draw(st.sampled_from(["", ";isub=12", ";phone-context=+31", ":secret", ";x=y", "#", "p12", ",,1"]))
    form = draw(
        st.sampled_from(
            [
                "sip:{}@trunk.example",
                "sips:{}@10.0.0.1:5061;transport=tls",
                "SIP:{}@127.0.0.1;user=phone",
                "tel:{}",
                "sip:{}@y;maddr=10.0.0.1",
                "sip:x:{}@y",
                "sip:x@y?To={}",
                "{}",
            ]
        )
    )
    return form.format(dialled.replace("#", "%23") if "@" in form else dialled)


@given(emergency_uris())
def test_no_composition_of_tricks_passes(uri: str) -> None:
    assert refused(uri)


@given(
    st.sampled_from([31, 32, 33, 44, 45, 46, 48, 49, 34, 39, 1, 61, 91, 351, 353]),
    st.integers(10**8, 10**10 - 1).filter(lambda n: n % 10**9 > 10**8),
)
def test_a_full_length_subscriber_number_passes_whatever_its_digits(code: int, number: int) -> None:
    assert not refused(f"sip:+{code}{number}@trunk.example;user=phone")
    assert not refused(f"sip:00{code}{number}@trunk.example")


@given(st.integers(100_000_000, 999_999_999))
def test_a_dutch_number_as_dialled_in_the_netherlands_passes(number: int) -> None:
    assert not refused(f"sip:0{number}@trunk.example")


@given(st.text())
def test_nothing_that_can_be_written_breaks_it(text: str) -> None:
    for uri in (text, f"sip:{text}@x", f"tel:{text}", f"sip:x@{text}"):
        refused(uri)


# -- who may --


def test_the_armed_trunk_lets_emergency_calls_out_and_no_other_way_does() -> None:
    for uri in ("sip:112@x", "urn:service:sos", "sip:+31112@x"):
        assert not refused(uri, "armed")
        assert refused(uri, "Armed")
        assert refused(uri, "other")
        assert refused(uri, None)


def test_nothing_is_armed_unless_somebody_says_so() -> None:
    with pytest.raises(EmergencyNumberRefused, match=r"emergency\.armed"):
        Interlock().permit("sip:112@x", "armed")


def test_numbers_of_the_configuration_are_refused_too() -> None:
    strict = Interlock(extra=["0900-8844", "+31 343 578 844", "1717"])
    for uri in (
        "sip:09008844@x", "sip:+319008844@x", "sip:+31343578844@x", "sip:0343578844@x", "sip:1717@x", "sip:01717@x",
    ):  # fmt: skip
        with pytest.raises(EmergencyNumberRefused):
            strict.permit(uri, "kpn")
    strict.permit("sip:+31343578845@x", "kpn")


def test_an_extension_of_our_own_may_be_called_like_an_emergency_number() -> None:
    interlock.permit("sip:101@10.0.0.20:5060;transport=tcp", None, account="101")
    for uri, account in (("sip:112@10.0.0.20", "101"), ("sip:+31101@10.0.0.20", "101"), ("sip:101;a@10.0.0.20", "101")):
        with pytest.raises(EmergencyNumberRefused):
            interlock.permit(uri, None, account=account)


def test_the_list_says_where_it_is_from_and_has_every_country() -> None:
    assert {"31", "32", "49", "33", "44", "1", "61", "81", "86", "91", "7"} <= NUMBERS.countries.keys()
    assert {"112"} <= NUMBERS.countries["31"].numbers
    assert {"15", "17", "18"} <= NUMBERS.countries["33"].numbers
    assert set(FAMOUS) <= NUMBERS.all
    assert len([code for code, country in NUMBERS.countries.items() if country.numbers]) > 190


# -- every path --

SIMULATED = {"voice/sim/phone.py"}
"""Phones of stories and of the demo dial by themselves: they are not the service."""


def _sources() -> Iterator[tuple[str, ast.Module]]:
    for folder in ("voice", "ivr", "config"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def _where(wanted: Callable[[ast.AST], bool]) -> set[tuple[str, str]]:
    """(file, function) of every place with such a node."""
    found = set()
    for file, tree in _sources():
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                found |= {(file, function.name) for node in ast.walk(function) if wanted(node)}
    return found


def _dials(receiver: Callable[[str], bool]) -> Callable[[ast.AST], bool]:
    return lambda node: (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "dial"
        and receiver(ast.unparse(node.func.value))
    )


def test_only_calls_dial_sends_an_invite() -> None:
    past_the_interlock = {
        place for place in _where(_dials(lambda receiver: not receiver.endswith("calls"))) if place[0] not in SIMULATED
    }
    assert past_the_interlock == {("voice/call.py", "dial"), ("voice/sip/endpoint.py", "dial")}


def test_the_first_thing_that_calls_dial_does_is_to_ask_the_interlock() -> None:
    tree = ast.parse((ROOT / "voice/call.py").read_text())
    calls = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Calls")
    dial = next(node for node in calls.body if isinstance(node, ast.FunctionDef) and node.name == "dial")
    assert ast.unparse(dial.body[1]) == "self._permit(destination, headers)"


def test_an_outgoing_session_is_made_by_the_user_agent_alone() -> None:
    made = _where(lambda node: isinstance(node, ast.Call) and ast.unparse(node.func).endswith("OutgoingSession"))
    assert made == {("voice/sip/useragent.py", "dial")}


def test_no_request_outside_a_dialog_is_an_invite() -> None:
    requests = _where(
        lambda node: (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "request"
            and ast.unparse(node.func.value).endswith(("endpoint", "agent", "_running()"))
            and (not isinstance(node.args[0], ast.Constant) or node.args[0].value == "INVITE")
        )
    )
    assert requests == {("voice/sip/endpoint.py", "request")}, "it passes on what it is given"


def test_only_contacts_says_that_a_call_goes_through_a_trunk() -> None:
    made = _where(
        lambda node: (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).split(".")[-1] == "Destination"
            and any(keyword.arg in ("trunk", "account", None) for keyword in node.keywords)
        )
    )
    assert made == {("voice/contacts.py", "_bound"), ("voice/contacts.py", "through")}
