"""Digest authentication from both sides (RFC 7616, RFC 8760, RFC 2617), against the vectors of the RFCs."""

import pytest

from tests.unit.sip.answers import answer_challenge
from voice.sip.digest import (
    Authenticator,
    Credentials,
    Refused,
    Verified,
    challenge_of,
    digest_response,
    parse_digest,
)
from voice.sip.message import Request, Response, new_request, response_to

ALICE = Credentials("alice", "wonderland")
URI = "sip:alarm.example.org"
KEY = b"a key for tests"


def authenticator(**settings: object) -> Authenticator:
    passwords = {"alice": "wonderland", "jürgen": "gebäck", 'quo"te': "x"}
    return Authenticator("alarm.example.org", passwords.get, secret_key=KEY, **settings)  # type: ignore[arg-type]


def register(*fields: tuple[str, str], uri: str = URI) -> Request:
    required = [
        ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx"),
        ("From", "<sip:alice@alarm.example.org>;tag=1"),
        ("To", "<sip:alice@alarm.example.org>"),
        ("Call-ID", "c"),
        ("CSeq", "1 REGISTER"),
    ]
    return new_request("REGISTER", uri, [*required, *fields])


def challenged(server: Authenticator, now: float = 0.0, stale: bool = False) -> Response:
    return response_to(register(), 401, headers=server.challenge(now, stale))


def answered(
    server: Authenticator,
    credentials: Credentials = ALICE,
    *,
    count: int = 1,
    now: float = 0.0,
    uri: str = URI,
) -> Request:
    return register(answer_challenge(challenged(server, now), "REGISTER", uri, credentials, count, "0a4f113b"))


# -- the vectors --

RFC_7616 = {
    "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
    "uri": "/dir/index.html",
    "qop": "auth",
    "nc": "00000001",
    "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
}


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_example_of_rfc_7616_section_3_9_1(algorithm: str, expected: str) -> None:
    realm = "http-auth@example.org"
    assert digest_response(algorithm, "Mufasa", realm, "Circle of Life", "GET", RFC_7616) == expected


def test_the_example_of_rfc_2617_section_3_5() -> None:
    answer = {
        "nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093",
        "uri": "/dir/index.html",
        "qop": "auth",
        "nc": "00000001",
        "cnonce": "0a4f113b",
    }
    response = digest_response("MD5", "Mufasa", "testrealm@host.com", "Circle Of Life", "GET", answer)
    assert response == "6629fae49393a05397450978507c4ef1"


def test_the_example_of_rfc_7616_section_3_9_2_with_sha_512_256_and_a_name_in_utf_8() -> None:
    answer = {
        "nonce": "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
        "uri": "/doe.json",
        "qop": "auth",
        "nc": "00000001",
        "cnonce": "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
    }
    response = digest_response("SHA-512-256", "Jäsøn Doe", "api@example.org", "Secret, or not?", "GET", answer)
    # Of erratum 4897: the RFC prints a value that is not of its own inputs.
    assert response == "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"


# -- the server --


def test_a_right_answer_proves_the_user() -> None:
    server = authenticator()
    assert server.check(answered(server), 1.0) == Verified("alice")


@pytest.mark.parametrize("algorithm", ["SHA-256", "SHA-512-256", "MD5"])
def test_each_algorithm_is_accepted_where_it_is_offered(algorithm: str) -> None:
    server = authenticator(algorithms=(algorithm,))
    assert server.check(answered(server), 1.0) == Verified("alice")


def test_the_strongest_algorithm_is_offered_first() -> None:
    values = [value for _, value in authenticator().challenge(0.0)]
    assert [parse_digest(value)["algorithm"] for value in values] == ["SHA-256", "MD5"]  # type: ignore[index]


def test_an_algorithm_that_was_not_offered_is_refused() -> None:
    server = authenticator(algorithms=("SHA-256",))
    challenge = challenged(server).headers["WWW-Authenticate"].replace("SHA-256", "MD5")
    response = response_to(register(), 401, headers=[("WWW-Authenticate", challenge)])
    request = register(answer_challenge(response, "REGISTER", URI, ALICE, 1, "c"))
    assert server.check(request, 0.0) == Refused(stale=False, user="alice")


def test_a_request_without_authorization_is_refused_without_a_name() -> None:
    assert authenticator().check(register(), 0.0) == Refused(stale=False, user=None)


def test_an_answer_for_another_realm_is_none_for_ours() -> None:
    server = authenticator()
    other = Authenticator("elsewhere.example", {"alice": "wonderland"}.get, secret_key=KEY)
    assert server.check(answered(other), 0.0) == Refused(stale=False, user=None)


def test_a_wrong_password_and_an_unknown_user_are_refused_alike() -> None:
    server = authenticator()
    wrong = server.check(answered(server, Credentials("alice", "guess")), 0.0)
    unknown = server.check(answered(server, Credentials("mallory", "guess")), 0.0)
    assert wrong == Refused(stale=False, user="alice")
    assert unknown == Refused(stale=False, user="mallory")


def test_an_unknown_user_costs_the_same_hashing_as_a_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    import voice.sip.digest as digest

    calls: list[str] = []
    original = digest.digest_response
    server = authenticator()
    requests = [answered(server, Credentials(name, "guess")) for name in ("alice", "mallory")]

    def counted(algorithm: str, user: str, *rest: object) -> str:
        calls.append(user)
        return original(algorithm, user, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(digest, "digest_response", counted)
    for request in requests:
        server.check(request, 0.0)
    assert calls == ["alice", "mallory"]


def test_an_expired_nonce_is_stale_and_the_new_challenge_says_so() -> None:
    server = authenticator(nonce_ttl=60.0)
    request = answered(server, now=0.0)
    assert server.check(request, 60.5) == Refused(stale=True, user="alice")
    assert challenge_of(challenged(server, 60.5, stale=True)).stale  # type: ignore[union-attr]


def test_an_expired_nonce_with_a_wrong_password_is_not_stale() -> None:
    server = authenticator(nonce_ttl=60.0)
    request = answered(server, Credentials("alice", "guess"))
    assert server.check(request, 61.0) == Refused(stale=False, user="alice")


def test_a_nonce_from_before_a_restart_is_stale() -> None:
    before = Authenticator("alarm.example.org", {"alice": "wonderland"}.get, secret_key=b"another key")
    assert authenticator().check(answered(before), 0.0) == Refused(stale=True, user="alice")


@pytest.mark.parametrize("nonce", ["", "x", "AAAA", "é", "A" * 40, "=" * 8])
def test_a_nonce_that_we_never_made_is_not_accepted(nonce: str) -> None:
    server = authenticator()
    challenge = ("WWW-Authenticate", f'Digest realm="alarm.example.org", nonce="{nonce}", qop="auth"')
    response = response_to(register(), 401, headers=[challenge])
    if challenge_of(response) is None:
        return
    request = register(answer_challenge(response, "REGISTER", URI, ALICE, 1, "c"))
    assert server.check(request, 0.0) == Refused(stale=True, user="alice")


def test_a_nonce_count_is_accepted_once() -> None:
    server = authenticator()
    request = answered(server)
    assert server.check(request, 1.0) == Verified("alice")
    assert server.check(request, 1.1) == Refused(stale=True, user="alice")


def test_a_nonce_serves_again_with_the_next_count() -> None:
    server = authenticator()
    response = challenged(server)
    for count in (1, 2, 3):
        request = register(answer_challenge(response, "REGISTER", URI, ALICE, count, "c"))
        assert server.check(request, 1.0) == Verified("alice")


def test_counts_that_overtake_each_other_are_accepted_within_a_window() -> None:
    server = authenticator()
    response = challenged(server)
    outcomes = {}
    for count in (1, 70, 69, 7, 6, 69):
        request = register(answer_challenge(response, "REGISTER", URI, ALICE, count, "c"))
        outcomes.setdefault(count, []).append(isinstance(server.check(request, 1.0), Verified))
    assert outcomes == {1: [True], 70: [True], 69: [True, False], 7: [True], 6: [False]}


def test_a_wrong_password_does_not_use_up_a_nonce_count() -> None:
    server = authenticator()
    response = challenged(server)
    guess = register(answer_challenge(response, "REGISTER", URI, Credentials("alice", "x"), 1, "c"))
    right = register(answer_challenge(response, "REGISTER", URI, ALICE, 1, "c"))
    assert server.check(guess, 1.0) == Refused(stale=False, user="alice")
    assert server.check(right, 1.0) == Verified("alice")


def test_forgetting_a_nonce_allows_no_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voice.sip.digest._REMEMBERED", 10)
    server = authenticator()
    first = answered(server)
    assert server.check(first, 0.0) == Verified("alice")
    for _ in range(20):
        assert server.check(answered(server), 0.0) == Verified("alice")
    assert server.check(first, 0.0) == Refused(stale=True, user="alice")


def test_an_answer_for_another_uri_is_refused() -> None:
    server = authenticator()
    request = answered(server, uri="sip:other.example.org")
    assert server.check(request, 0.0) == Refused(stale=False, user="alice")


def test_port_parameters_and_case_of_the_host_may_differ() -> None:
    server = authenticator()
    request = answered(server, uri="sip:ALARM.example.org:5060;transport=udp")
    assert server.check(request, 0.0) == Verified("alice")


def test_an_answer_made_for_another_method_is_refused() -> None:
    server = authenticator()
    request = register(answer_challenge(challenged(server), "INVITE", URI, ALICE, 1, "c"))
    assert server.check(request, 0.0) == Refused(stale=False, user="alice")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("qop=auth", "qop=auth-int"),
        ("nc=00000001", "nc=1"),
        ("nc=00000001", "nc=zzzzzzzz"),
        ("nc=00000001", "nc=00000000"),
        ('cnonce="c"', 'cnonce=""'),
        ("username=", "user="),
        ("uri=", "url="),
        ("Digest ", "Digest userhash=true, "),
        ('username="alice"', 'username="alice", username="alice"'),
    ],
)
def test_an_answer_that_is_incomplete_or_asks_for_what_was_not_offered_proves_nothing(old: str, new: str) -> None:
    server = authenticator()
    name, value = answer_challenge(challenged(server), "REGISTER", URI, ALICE, 1, "c")
    assert old in value
    assert not isinstance(server.check(register((name, value.replace(old, new))), 0.0), Verified)


def test_an_answer_without_qop_counts_only_where_it_is_allowed() -> None:
    for allowed in (False, True):
        server = authenticator(allow_without_qop=allowed, algorithms=("MD5",))
        challenge = challenged(server).headers["WWW-Authenticate"].replace(', qop="auth"', "")
        response = response_to(register(), 401, headers=[("WWW-Authenticate", challenge)])
        request = register(answer_challenge(response, "REGISTER", URI, ALICE, 1, "c"))
        assert isinstance(server.check(request, 0.0), Verified) is allowed


@pytest.mark.parametrize("user", ["jürgen", 'quo"te'])
def test_names_in_utf_8_and_with_quotes_are_verified(user: str) -> None:
    server = authenticator()
    password = {"jürgen": "gebäck", 'quo"te': "x"}[user]
    assert server.check(answered(server, Credentials(user, password)), 0.0) == Verified(user)


def test_a_name_in_the_extended_form_is_verified() -> None:
    server = authenticator()
    name, value = answer_challenge(challenged(server), "REGISTER", URI, Credentials("jürgen", "gebäck"), 1, "c")
    request = register((name, value.replace('username="jürgen"', "username*=UTF-8''j%C3%BCrgen")))
    assert server.check(request, 0.0) == Verified("jürgen")


def test_the_credentials_for_our_realm_are_found_among_several() -> None:
    server = authenticator()
    other = ("Authorization", 'Digest realm="x", username="u", nonce="n", uri="sip:x", response="r"')
    ours = answer_challenge(challenged(server), "REGISTER", URI, ALICE, 1, "c")
    assert server.check(register(other, ours), 0.0) == Verified("alice")


def test_an_unknown_algorithm_in_the_configuration_is_an_error() -> None:
    with pytest.raises(ValueError, match="SHA-1"):
        authenticator(algorithms=("SHA-1",))


# -- the client --


def response_with(*values: str, code: int = 401) -> Response:
    name = "WWW-Authenticate" if code == 401 else "Proxy-Authenticate"
    return response_to(register(), code, headers=[(name, value) for value in values])


def test_sha_256_is_preferred_whatever_the_order() -> None:
    md5, sha = 'Digest realm="r", nonce="a", algorithm=MD5', 'Digest realm="r", nonce="b", algorithm=SHA-256'
    for values in ((md5, sha), (sha, md5)):
        assert challenge_of(response_with(*values)).algorithm == "SHA-256"  # type: ignore[union-attr]


def test_a_challenge_without_algorithm_means_md5() -> None:
    assert challenge_of(response_with('Digest realm="r", nonce="a"')).algorithm == "MD5"  # type: ignore[union-attr]


def test_what_cannot_be_answered_is_passed_over() -> None:
    usable = 'Digest realm="r", nonce="a", qop="auth-int,auth"'
    others = [
        'Basic realm="r"',
        'Digest realm="r", nonce="a", algorithm=SHA3-512',
        'Digest realm="r", nonce="a", algorithm=SHA-256, qop="auth-int"',
        'Digest nonce="a"',
        'Digest realm="r"',
        "Digest =,",
    ]
    assert challenge_of(response_with(*others, usable)).algorithm == "MD5"  # type: ignore[union-attr]
    assert challenge_of(response_with(*others)) is None


def test_a_407_is_answered_in_proxy_authorization() -> None:
    response = response_with('Digest realm="r", nonce="a", qop="auth"', code=407)
    name, value = answer_challenge(response, "INVITE", "sip:bob@example.org", ALICE, 1, "c")
    assert name == "Proxy-Authorization"
    assert 'uri="sip:bob@example.org"' in value


def test_opaque_is_returned_and_the_algorithm_named() -> None:
    response = response_with('Digest realm="r", nonce="a", opaque="o,\\"p", algorithm=MD5-sess, qop="auth"')
    parameters = parse_digest(answer_challenge(response, "REGISTER", URI, ALICE, 2, "c")[1])
    assert parameters is not None
    assert parameters["opaque"] == 'o,"p'
    assert parameters["algorithm"] == "MD5-sess"
    assert parameters["nc"] == "00000002"
    assert parameters["response"] == digest_response("MD5-sess", "alice", "r", "wonderland", "REGISTER", parameters)


def test_the_password_is_not_shown_when_credentials_are_printed() -> None:
    assert "wonderland" not in repr(ALICE)
