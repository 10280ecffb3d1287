"""What is allowed, and yet worth a second look."""

from typing import Any

import pytest

from config.advice import advice
from config.models import Settings

QUIET: dict[str, Any] = {
    "operators": [{"id": "o", "name": "O", "uri": "sip:o@192.0.2.1"}],
    "devices": [{"id": "d", "username": "d"}],
}
CONTACTS = [
    {"id": "phone", "name": "P", "numbers": ["+31600000002"]},
    {"id": "mail", "name": "M", "email": "m@example.org"},
    {"id": "sip", "name": "S", "numbers": ["sip:s@example.org"]},
]
DEFAULT = {"escalation": {"default_plan": "p"}}
TRUNK = {"id": "t", "uri": "sip:192.0.2.2"}


def given(**tables: Any) -> list[str]:
    return list(advice(Settings.model_validate(QUIET | tables)))


def plan(*steps: dict[str, Any], **tables: Any) -> list[str]:
    return given(**DEFAULT, contacts=CONTACTS, plans=[{"id": "p", "steps": steps}], **tables)


def test_a_quiet_configuration_gets_none() -> None:
    assert given() == []


@pytest.mark.parametrize(
    ("tables", "line"),
    [
        ({"operators": []}, "there are no [[operators]]: alarms are answered and recorded, but nobody is rung"),
        ({"devices": []}, "there are no [[devices]] and no sip.trusted_networks: no alarm can be told from any call"),
        (
            {"sip": {"trusted_networks": ["0.0.0.0/0"]}},
            "sip.trusted_networks: 0.0.0.0/0 trusts everybody, who can then claim to be any device",
        ),
        (
            {"devices": [{"id": "d", "username": "d", "password": "change-me-d"}]},
            "devices: 'd' still has the password of the example",
        ),
        (
            {"webhooks": [{"id": "w", "url": "https://example.org", "secret": "change-me"}]},
            "webhooks: 'w' still has the secret of the example",
        ),
        (
            {"devices": [{"id": "d", "numbers": ["1"]}]},
            "devices: 'd' cannot be called back: it has no username, callback or trunk",
        ),
        (
            {"customers": [{"id": "c", "name": "C"}]},
            "devices: 'd' belongs to no customer: its alarms follow escalation.default_plan",
        ),
        (
            {"emergency": {"armed": ["t"]}, "trunks": [TRUNK]},
            "emergency.armed: real emergency numbers can be called over 't'",
        ),
        (
            {"trunks": [TRUNK, TRUNK | {"id": "u", "options_seconds": 30.0}]},
            "trunks: t: without options_seconds an outage is noticed only by a call that fails",
        ),
        (
            {"messages": {"smtp": "mail.example.org:25", "sender": "a@example.org", "smtp_tls": "none",
                          "smtp_username": "u", "smtp_password": "p"}},
            'messages.smtp_tls = "none" sends the password in the clear',
        ),
        (
            {"messages": {"link_base": "http://example.org"}},
            "messages.link_base: over http: anybody on the way can follow the link",
        ),
        (
            {"webhooks": [{"id": "w", "url": "http://example.org", "secret": "x"}]},
            "webhooks: 'w': over http: anybody on the way reads what happens on incidents",
        ),
        (
            {"plans": [{"id": "p", "steps": [{"ring": "operators"}]}],
             "customers": [{"id": "c", "name": "C", "plan": "p"}],
             "devices": [{"id": "d", "username": "d", "customer": "c"}]},
            "escalation.default_plan is not set: alarms of whoever has no customer ring operators only",
        ),
        (
            {**DEFAULT, "plans": [{"id": name, "steps": [{"ring": "operators"}]} for name in "pq"]},
            "plans: 'q': is nobody's plan",
        ),
        (
            {**DEFAULT, "plans": [{"id": "p", "steps": [{"ring": "operators"}, {"ring": "team:t"}]}],
             "contacts": CONTACTS, "teams": [{"id": "t", "name": "T", "members": ["phone", "mail"]}]},
            "plans: 'p': step 2: 'mail' is to be rung and has no numbers",
        ),
    ],
)  # fmt: skip
def test_what_a_careful_colleague_would_point_out(tables: dict[str, Any], line: str) -> None:
    assert given(**tables) == [line]


@pytest.mark.parametrize("url", ["https://example.org", "http://127.0.0.1:8080/x", "http://localhost", "http://[::1]/"])
def test_what_nobody_on_the_way_can_read_is_no_matter(url: str) -> None:
    assert given(webhooks=[{"id": "w", "url": url, "secret": "x"}]) == []


def test_a_step_that_rings_operators_needs_some() -> None:
    assert "plans: 'p': step 1: rings operators, and there are none" in plan({"ring": "operators"}, operators=[])


@pytest.mark.parametrize(
    ("step", "line"),
    [
        ({"message": "contact:mail", "by": ["email"]}, "sends e-mail, and messages.smtp is not set"),
        (
            {"message": "contact:phone", "link": "information"},
            "sends an acknowledgement link, and messages.link_base is not set",
        ),
        ({"message": "contact:mail"}, "'mail' gets no message: he has no address for sms"),
        ({"message": "contact:sip"}, "'sip' gets no message: he has no address for sms"),
    ],
)
def test_a_message_needs_a_way_to_its_reader(step: dict[str, Any], line: str) -> None:
    assert plan(step) == [f"plans: 'p': step 1: {line}"]


def test_text_messages_need_something_that_sends_them() -> None:
    lines = plan({"message": "contact:phone"}, messages={"sms": "none"})
    assert lines == ["plans: 'p': step 1: sends text messages, and messages.sms is off"]
