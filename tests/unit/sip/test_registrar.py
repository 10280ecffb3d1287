"""The registrar, rule by rule (RFC 3261 section 10.3, RFC 3327, RFC 5626)."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.sip.answers import answer_challenge
from voice.sip.bindings import Binding
from voice.sip.digest import Authenticator, Credentials
from voice.sip.flow import Flow
from voice.sip.message import Request, Response, headers, new_request, params_of, uri_of
from voice.sip.registrar import Registrar

PHONE = Flow("UDP", ("192.0.2.10", 5060), ("198.51.100.7", 40123))
LAPTOP = Flow("TCP", ("192.0.2.10", 5060), ("198.51.100.8", 50200), 7)
HOME = "<sip:anna@10.0.0.7:5060>"


class WallClock:
    """A time of day that a test sets."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


def registrar(**settings: object) -> Registrar:
    return Registrar(None, clock=WallClock(), **settings)  # type: ignore[arg-type]


def register(
    *contacts: str,
    user: str = "anna",
    call_id: str = "call-1",
    cseq: int = 1,
    fields: tuple[tuple[str, str], ...] = (),
) -> Request:
    required = [
        ("Via", "SIP/2.0/UDP 10.0.0.7;branch=z9hG4bKr"),
        ("From", f"<sip:{user}@example.org>;tag=1"),
        ("To", f"<sip:{user}@example.org>"),
        ("Call-ID", call_id),
        ("CSeq", f"{cseq} REGISTER"),
    ]
    bound = [("Contact", contact) for contact in contacts]
    return new_request("REGISTER", "sip:example.org", [*required, *bound, *fields])


def contacts_of(response: Response) -> dict[str, dict[str, str | None]]:
    return {uri_of(value): params_of(value) for value in headers(response, "Contact")}


def uris(known: Registrar, now: float, user: str = "anna") -> list[str]:
    return [binding.contact_uri for binding in known.bindings(user, now)]


# -- adding and refreshing --


def test_a_contact_is_bound_for_the_time_of_its_expires_parameter() -> None:
    known = registrar()
    response = known.register(register(f"{HOME};expires=120", fields=(("Expires", "900"),)), PHONE, 0.0)
    assert response.code == 200
    assert contacts_of(response)["sip:anna@10.0.0.7:5060"]["expires"] == "120"
    assert uris(known, 119.9) == ["sip:anna@10.0.0.7:5060"]
    assert uris(known, 120.0) == []


def test_without_the_parameter_the_expires_header_counts() -> None:
    known = registrar()
    known.register(register(HOME, fields=(("Expires", "900"),)), PHONE, 0.0)
    assert known.next_timer() == 900.0


def test_without_either_an_hour_is_given() -> None:
    known = registrar()
    known.register(register(HOME), PHONE, 0.0)
    assert known.next_timer() == 3600.0


@pytest.mark.parametrize("malformed", ["soon", "-1", "1.5"])
def test_a_malformed_expires_counts_as_an_hour(malformed: str) -> None:
    known = registrar()
    known.register(register(f"{HOME};expires={malformed}"), PHONE, 0.0)
    assert known.next_timer() == 3600.0


def test_a_longer_time_than_allowed_is_cut() -> None:
    known = registrar(max_expires=600)
    response = known.register(register(f"{HOME};expires=280297596632815"), PHONE, 0.0)
    assert contacts_of(response)["sip:anna@10.0.0.7:5060"]["expires"] == "600"


def test_a_shorter_time_than_allowed_is_answered_423_with_min_expires() -> None:
    known = registrar(min_expires=60)
    response = known.register(register(f"{HOME};expires=59"), PHONE, 0.0)
    assert (response.code, response.headers["Min-Expires"]) == (423, "60")
    assert uris(known, 0.0) == []


def test_a_binding_keeps_the_flow_and_the_address_that_it_came_by() -> None:
    known = registrar()
    known.register(register(HOME), PHONE, 0.0)
    binding = known.bindings("anna", 1.0)[0]
    assert (binding.flow, binding.received) == (PHONE, ("198.51.100.7", 40123))


def test_an_equivalent_uri_refreshes_and_follows_to_a_new_flow() -> None:
    known = registrar()
    known.register(register(HOME), PHONE, 0.0)
    known.register(register("<sip:anna@10.0.0.7:5060;x=1>", cseq=2), LAPTOP, 10.0)
    assert [binding.flow for binding in known.bindings("anna", 11.0)] == [LAPTOP]


def test_a_contact_without_brackets_has_its_parameters_in_the_header() -> None:
    known = registrar()
    known.register(register("sip:+19725552222@gw1.example.net;unknownparam"), PHONE, 0.0)
    assert uris(known, 1.0) == ["sip:+19725552222@gw1.example.net"]


def test_several_contacts_are_listed_by_preference() -> None:
    known = registrar()
    known.register(register("<sip:a@h1>;q=0.2, <sip:b@h2>;q=0.9", "<sip:c@h3>;q=0.5"), PHONE, 0.0)
    assert uris(known, 1.0) == ["sip:b@h2", "sip:c@h3", "sip:a@h1"]


def test_a_register_without_contact_fetches_the_bindings() -> None:
    known = registrar()
    known.register(register(f"{HOME};expires=100;q=0.5"), PHONE, 0.0)
    response = known.register(register(cseq=2), PHONE, 40.0)
    assert contacts_of(response) == {"sip:anna@10.0.0.7:5060": {"expires": "60", "q": "0.5"}}


def test_a_200_tells_the_time_of_day() -> None:
    response = registrar().register(register(HOME), PHONE, 0.0)
    assert response.headers["Date"] == "Sun, 01 Mar 2026 12:00:00 GMT"


# -- removing --


def test_expires_0_removes_one_contact_and_leaves_the_others() -> None:
    known = registrar()
    known.register(register(HOME, "<sip:anna@10.0.0.8>"), PHONE, 0.0)
    known.register(register(f"{HOME};expires=0", cseq=2), PHONE, 1.0)
    assert uris(known, 1.0) == ["sip:anna@10.0.0.8"]


def test_a_star_with_expires_0_removes_all() -> None:
    known = registrar()
    known.register(register(HOME, "<sip:anna@10.0.0.8>"), PHONE, 0.0)
    response = known.register(register("*", cseq=2, fields=(("Expires", "0"),)), PHONE, 1.0)
    assert response.code == 200
    assert uris(known, 1.0) == []


@pytest.mark.parametrize(
    ("contacts", "fields"),
    [
        (("*",), ()),
        (("*",), (("Expires", "60"),)),
        (("*", HOME), (("Expires", "0"),)),
        (("*, *",), (("Expires", "0"),)),
    ],
)
def test_a_star_with_another_expires_or_another_contact_is_answered_400(
    contacts: tuple[str, ...], fields: tuple[tuple[str, str], ...]
) -> None:
    known = registrar()
    known.register(register(HOME), PHONE, 0.0)
    assert known.register(register(*contacts, cseq=2, fields=fields), PHONE, 1.0).code == 400
    assert uris(known, 1.0) == ["sip:anna@10.0.0.7:5060"]


def test_what_has_expired_is_gone_and_told() -> None:
    known, told = registrar(), []
    known.register(register(f"{HOME};expires=60", "<sip:anna@10.0.0.8>;expires=90"), PHONE, 0.0)
    known.changed = told.append
    known.expire(59.0)
    assert told == []
    known.expire(60.0)
    assert (told, uris(known, 60.0), known.next_timer()) == (["anna"], ["sip:anna@10.0.0.8"], 90.0)
    known.expire(90.0)
    assert (told, known.next_timer(), list(known.users(90.0))) == (["anna", "anna"], None, [])


def test_a_closed_connection_takes_its_bindings_with_it() -> None:
    known = registrar()
    known.register(register(HOME), PHONE, 0.0)
    known.register(register("<sip:anna@laptop>", call_id="call-2"), LAPTOP, 0.0)
    known.lost(LAPTOP)
    known.lost(PHONE)
    assert uris(known, 1.0) == ["sip:anna@10.0.0.7:5060"]


# -- order --


def test_an_older_request_of_the_same_call_id_changes_nothing() -> None:
    known = registrar()
    known.register(register(HOME, cseq=5), PHONE, 0.0)
    for cseq in (5, 4):
        assert known.register(register(f"{HOME};expires=0", cseq=cseq), PHONE, 1.0).code == 500
    assert known.register(register("*", cseq=4, fields=(("Expires", "0"),)), PHONE, 1.0).code == 500
    assert uris(known, 1.0) == ["sip:anna@10.0.0.7:5060"]


def test_a_request_of_another_call_id_replaces_whatever_its_cseq() -> None:
    known = registrar()
    known.register(register(HOME, cseq=500), PHONE, 0.0)
    assert known.register(register(f"{HOME};expires=100", call_id="reboot", cseq=1), PHONE, 1.0).code == 200
    assert known.bindings("anna", 2.0)[0].expires_at == 101.0


def test_bindings_change_all_or_none() -> None:
    known = registrar()
    known.register(register(HOME, cseq=5), PHONE, 0.0)
    assert known.register(register("<sip:new@10.0.0.9>", f"{HOME};expires=0", cseq=5), PHONE, 1.0).code == 500
    assert uris(known, 1.0) == ["sip:anna@10.0.0.7:5060"]


# -- limits and faults --


def test_one_contact_more_than_allowed_is_refused_and_no_live_one_is_evicted() -> None:
    known = registrar(max_contacts=2)
    known.register(register("<sip:a@h1>", "<sip:b@h2>"), PHONE, 0.0)
    assert known.register(register("<sip:c@h3>", cseq=2), PHONE, 1.0).code == 403
    assert sorted(uris(known, 1.0)) == ["sip:a@h1", "sip:b@h2"]
    assert known.register(register("<sip:a@h1>", cseq=3), PHONE, 2.0).code == 200


def test_an_expired_contact_makes_room() -> None:
    known = registrar(max_contacts=1)
    known.register(register("<sip:a@h1>;expires=60"), PHONE, 0.0)
    assert known.register(register("<sip:b@h2>", cseq=2), PHONE, 60.0).code == 200


@pytest.mark.parametrize(
    "contact",
    [
        "sip:user@example.com?Route=%3Csip:sip.example.com%3E",
        "<name:John_Smith>",
        "<sip:>",
        "sip",
        "<sip:a@b",
        "tel:+1",
    ],
)
def test_a_contact_that_is_no_sip_address_is_answered_400(contact: str) -> None:
    assert registrar().register(register(contact), PHONE, 0.0).code == 400


def test_a_contact_in_brackets_may_carry_headers() -> None:
    known = registrar()
    assert known.register(register("<sip:user@example.com?Route=%3Csip:s%3E>"), PHONE, 0.0).code == 200
    assert uris(known, 1.0) == ["sip:user@example.com?Route=%3Csip:s%3E"]


def test_an_unknown_user_is_answered_404() -> None:
    known = registrar(allowed=lambda user: user == "bert")
    assert known.register(register(HOME), PHONE, 0.0).code == 404


def test_an_unknown_extension_in_require_is_answered_420() -> None:
    response = registrar().register(register(HOME, fields=(("Require", "path, magic"),)), PHONE, 0.0)
    assert (response.code, response.headers["Unsupported"]) == (420, "magic")


# -- path and instance --


def test_the_path_is_kept_in_order_and_returned() -> None:
    known = registrar()
    paths = [
        ("Path", "<sip:p1.example.com;lr>, <sip:p2.example.com;lr>"),
        ("Path", "<sip:p3.example.com;lr>"),
    ]
    response = known.register(register(HOME, fields=tuple(paths)), PHONE, 0.0)
    expected = ("<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>", "<sip:p3.example.com;lr>")
    assert known.bindings("anna", 1.0)[0].path == expected
    assert tuple(headers(response, "Path")) == expected


def instance(uri: str, urn: str, reg_id: int | None) -> str:
    return f'<{uri}>;+sip.instance="<urn:uuid:{urn}>"' + ("" if reg_id is None else f";reg-id={reg_id}")


@pytest.mark.parametrize("reg_id", [1, None])
def test_a_device_that_changed_its_address_replaces_its_binding(reg_id: int | None) -> None:
    known = registrar()
    known.register(register(instance("sip:anna@10.0.0.7", "a", reg_id)), PHONE, 0.0)
    response = known.register(register(instance("sip:anna@10.9.9.9", "a", reg_id), cseq=2), LAPTOP, 1.0)
    assert uris(known, 1.0) == ["sip:anna@10.9.9.9"]
    assert contacts_of(response)["sip:anna@10.9.9.9"]["+sip.instance"] == "<urn:uuid:a>"


def test_another_flow_of_the_same_device_is_a_binding_of_its_own() -> None:
    known = registrar()
    known.register(register(instance("sip:anna@10.0.0.7", "a", 1)), PHONE, 0.0)
    known.register(register(instance("sip:anna@10.0.0.7", "a", 2), cseq=2), LAPTOP, 1.0)
    known.register(register(instance("sip:anna@10.0.0.7", "b", 1), cseq=3), LAPTOP, 1.0)
    assert len(known.bindings("anna", 1.0)) == 3


# -- authentication --

ANNA = Credentials("anna", "secret")


def proving(known: Registrar, request: Request, credentials: Credentials = ANNA, now: float = 0.0) -> Request:
    challenge = known.register(request, PHONE, now)
    assert challenge.code == 401
    name, value = answer_challenge(challenge, "REGISTER", "sip:example.org", credentials, 1, "cn")
    request.headers.add(name, value)
    return request


def guarded() -> Registrar:
    passwords = {"anna": "secret", "bert": "other"}
    authenticator = Authenticator("example.org", passwords.get, secret_key=b"k", nonce_ttl=60)
    return Registrar(authenticator, clock=WallClock())


def test_a_register_has_to_be_proven() -> None:
    known = guarded()
    request = register(HOME)
    assert known.register(request, PHONE, 0.0).code == 401
    assert uris(known, 0.0) == []
    assert known.register(proving(known, request), PHONE, 0.0).code == 200


def test_a_wrong_password_and_an_unknown_user_get_the_same_challenge() -> None:
    known = guarded()
    answers = []
    for user in ("anna", "zoe"):
        request = proving(known, register(HOME, user=user), Credentials(user, "guess"))
        response = known.register(request, PHONE, 0.0)
        challenges = response.headers.getlist("WWW-Authenticate")
        answers.append((response.code, response.phrase, len(challenges), "stale" in challenges[0]))
    assert answers[0] == answers[1] == (401, "Unauthorized", 2, False)


def test_a_user_may_register_only_his_own_address() -> None:
    known = guarded()
    request = proving(known, register(HOME, user="anna"), Credentials("bert", "other"))
    assert known.register(request, PHONE, 0.0).code == 403
    assert uris(known, 0.0) == []


def test_an_old_nonce_is_challenged_again_as_stale() -> None:
    known = guarded()
    response = known.register(proving(known, register(HOME)), PHONE, 61.0)
    assert response.code == 401
    assert "stale=true" in response.headers["WWW-Authenticate"]


# -- a restart --


def test_bindings_survive_a_restart() -> None:
    clock = WallClock()
    before = Registrar(None, clock=clock)
    before.register(register(f"{HOME};expires=600;q=0.5", fields=(("Path", "<sip:p;lr>"),)), PHONE, 1000.0)
    before.register(register("<sip:bert@laptop>;expires=60", user="bert"), LAPTOP, 1000.0)
    saved = before.snapshot(1000.0)

    clock.time += timedelta(seconds=100)
    after, told = Registrar(None, clock=clock), []
    after.changed = told.append
    after.restore(saved, 5.0, lambda protocol, remote: Flow(protocol, ("192.0.2.10", 5060), remote))

    old: Binding = before.bindings("anna", 1000.0)[0]
    new: Binding = after.bindings("anna", 5.0)[0]
    assert new.expires_at == pytest.approx(505.0)
    assert (new.contact_uri, new.flow, new.path, new.q, new.call_id, new.cseq) == (
        old.contact_uri,
        PHONE,
        old.path,
        0.5,
        "call-1",
        1,
    )
    assert after.bindings("bert", 5.0) == []
    assert after.next_timer() == pytest.approx(505.0)
    assert told == []


def test_a_connection_does_not_survive_a_restart() -> None:
    clock = WallClock()
    before = Registrar(None, clock=clock)
    before.register(register(HOME), LAPTOP, 0.0)
    after = Registrar(None, clock=clock)
    after.restore(before.snapshot(0.0), 0.0, lambda protocol, remote: PHONE)
    assert [binding.flow for binding in after.bindings("anna", 1.0)] == [None]


def test_a_phone_that_registered_here_keeps_its_connection_whatever_the_store_says() -> None:
    here = Registrar(None, clock=WallClock())
    here.register(register(HOME), LAPTOP, 0.0)
    here.restore(here.snapshot(0.0), 0.0)
    assert [binding.flow for binding in here.bindings("anna", 1.0)] == [LAPTOP]


def test_a_snapshot_of_a_user_who_left_is_empty() -> None:
    assert registrar().snapshot(0.0, ["anna"]) == {"anna": []}
