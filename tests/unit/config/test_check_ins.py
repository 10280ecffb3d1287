"""Check-ins, rosters and PINs in the configuration: what is read, what is refused, what is worth a second look."""

import contextlib
from datetime import date, datetime
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from config.advice import advice
from config.models import EVERYBODYS, Settings
from config.recurrence import first, recurrence
from config.settings import load
from voice.errors import ConfigurationError

HASH = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b1dWRWJTmaaJObG0Q8tF0Vx7yk"
TRUNK = '[[trunks]]\nid = "t"\nuri = "sip:192.0.2.2"\n'
OTHER = HASH.replace("RdescudvJ", "SdescudvJ")


def read(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "earshot.toml"
    path.write_text(text)
    return load(path, {})


def mistake(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigurationError) as told:
        read(tmp_path, text)
    return str(told.value).partition("earshot.toml:")[2]


def worker(lines: str = "", more: str = "") -> str:
    return f'[[workers]]\nid = "anna"\nname = "Anna"\n{lines}\n{more}'


def roster(lines: str = 'rrule = "FREQ=DAILY"') -> str:
    return f'[[rosters]]\nid = "early"\nstart = 2026-01-05T07:00:00\nduration = 28800\n{lines}\n'


def advised(settings: Settings) -> list[str]:
    return [line for line in advice(settings) if line.startswith(("workers", "check_ins", "rosters"))]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ('transcriber = ["hear", "it"]', "has no {file} among its arguments"),
        ('hook = "https://app.example.org/x"', "hook_secret"),
        ('hook_secret = "s3cret"', "check_in.hook"),
        ('hook = "ftp://x"\nhook_secret = "s3cret"', "is no URL of a web server"),
        ("memo_hours = 0", "memo_hours"),
    ],
)
def test_what_cannot_be_meant_of_memos_and_hooks_is_refused(tmp_path: Path, lines: str, told: str) -> None:
    said = mistake(tmp_path, f"[check_in]\n{lines}\n")
    assert told in said
    assert "s3cret" not in said


def test_memos_last_half_a_day_unless_it_is_said_otherwise(tmp_path: Path) -> None:
    assert read(tmp_path, "").check_in.memo_hours == 12
    text = '[check_in]\nmemo_hours = 24.0\ntranscriber = ["hear", "{file}"]\nhook = ""\n'
    assert read(tmp_path, text).check_in.transcriber == ("hear", "{file}")


def test_a_hook_that_anybody_can_read_is_pointed_out(tmp_path: Path) -> None:
    for url, is_told in (("http://app.example.org/x", True), ("https://app.example.org/x", False)):
        settings = read(tmp_path, f'[check_in]\nhook = "{url}"\nhook_secret = "s3cret"\n')
        assert any(line.startswith("check_in.hook: over http") for line in advice(settings)) is is_told


def test_everything_can_be_said(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        worker(
            f'numbers = ["+31600000001"]\nlanguage = "nl"\ncode = "4711"\npin = "{HASH}"\nduress_pin = "{OTHER}"\n'
            'duress_keys = "0911"\ncheck_in = "visits"\nroster = ["early"]',
            '[[check_ins]]\nid = "visits"\nconfirm = "pin"\nretries = 90\n[check_in]\nnumbers = ["+31200000001"]\n'
            + TRUNK
            + roster('rrule = "RRULE:FREQ=WEEKLY;BYDAY=MO,WE"\nholidays = [2026-12-25]\ncheck_in = "visits"'),
        ),
    )
    anna, early = settings.workers[0], settings.roster("early")
    assert early is not None
    assert (anna.language, anna.code, anna.duress_keys, anna.roster) == ("nl", "4711", "0911", ("early",))
    assert (early.rrule, early.start) == ("FREQ=WEEKLY;BYDAY=MO,WE", datetime(2026, 1, 5, 7))
    assert early.holidays == (date(2026, 12, 25),)
    assert settings.check_in_of(anna, early).retries == (90.0,)
    assert settings.check_in.spread_seconds == 60.0
    assert advised(settings) == []


def test_a_worker_is_asked_as_his_roster_says_else_as_he_has_it_else_as_everybody(tmp_path: Path) -> None:
    rules = '[[check_ins]]\nid = "a"\n[[check_ins]]\nid = "b"\n'
    settings = read(tmp_path, worker('check_in = "a"', rules + roster('rrule = "FREQ=DAILY"\ncheck_in = "b"')))
    anna, early = settings.workers[0], settings.roster("early")
    assert settings.check_in_of(anna).id == "a"
    assert settings.check_in_of(anna, early).id == "b"
    assert read(tmp_path, worker()).check_in_of(anna.model_copy(update={"check_in": None})) is EVERYBODYS


def test_hashes_and_duress_keys_are_not_shown() -> None:
    settings = Settings.model_validate(
        {"workers": [{"id": "anna", "name": "Anna", "pin": HASH, "duress_pin": OTHER, "duress_keys": "0123"}]}
    )
    shown = repr(settings.workers[0])
    assert "argon2" not in shown
    assert "0123" not in shown


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("pin", '"1234"', "hash-pin"),
        ("pin", '"$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$abcdabcdabcdabcdabcdabcd"', "hash-pin"),
        ("duress_keys", '"9"', "2 to 8 digits"),
        ("duress_keys", '"12"', "the first of which is 0"),
        ("code", '"12x"', "2 to 10 digits"),
        ("check_in", '"none"', "no check-in has the id 'none'"),
        ("roster", '["none"]', "there are no [[rosters]]"),
        ("language", '"es"', "nl"),
        ("duress_pin", f'"{HASH}"', "needs a pin"),
    ],
)
def test_what_a_worker_cannot_have_is_told(tmp_path: Path, key: str, value: str, words: str) -> None:
    told = mistake(tmp_path, worker(f"{key} = {value}"))
    assert f"workers[1].{key}" in told
    assert words in told
    if key in ("pin", "duress_pin", "duress_keys"):
        assert value.strip('"') not in told


def test_pin_and_duress_pin_have_two_hashes(tmp_path: Path) -> None:
    assert "very hash" in mistake(tmp_path, worker(f'pin = "{HASH}"\nduress_pin = "{HASH}"'))


def test_two_workers_have_two_codes(tmp_path: Path) -> None:
    other = '[[workers]]\nid = "bob"\nname = "Bob"\ncode = "11"\n'
    assert "workers[2].code: '11' is taken already" in mistake(tmp_path, worker('code = "11"', other))


@pytest.mark.parametrize("whose", ["worker", "roster"])
def test_whoever_is_asked_for_a_pin_must_have_one(tmp_path: Path, whose: str) -> None:
    rules = '[[check_ins]]\nid = "strict"\nconfirm = "pin"\n'
    if whose == "worker":
        text = worker('check_in = "strict"', rules)
    else:
        text = worker('roster = ["early"]', rules + roster('rrule = "FREQ=DAILY"\ncheck_in = "strict"'))
    assert "workers[1].pin: is needed: check-in 'strict' asks for it" in mistake(tmp_path, text)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("every Monday", "no rule of recurrence"),
        ("FREQ=SECONDLY", "allowed: HOURLY, DAILY"),
        ("FREQ=WEEKLY;BYDAY=XX", "no rule of recurrence"),
        ("FREQ=DAILY;UNTIL=20261231T000000Z", "a local time"),
        ("FREQ=DAILY;NONSENSE=1", "NONSENSE is no part of one"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL=0 is not allowed; allowed: 1 to 1000"),
        ("FREQ=DAILY;INTERVAL=-1", "allowed: 1 to 1000"),
        ("FREQ=HOURLY;BYMINUTE=75", "allowed: 0 to 59"),
        ("FREQ=DAILY;BYHOUR=25", "allowed: 0 to 23"),
        ("FREQ=MONTHLY;BYSETPOS=0;BYDAY=MO", "allowed: 1 to 366"),
        ("FREQ=MONTHLY;BYMONTHDAY=32", "allowed: 1 to 31"),
        ("FREQ=MONTHLY;BYDAY=0MO", "1MO"),
        ("FREQ=DAILY;COUNT=2;COUNT=3", "COUNT is there twice"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20270101", "COUNT and UNTIL"),
        ("FREQ=DAILY;", "no rule of recurrence"),
        ("FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30", "no session would ever begin"),
        ("FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30", "no session would ever begin"),
        ("FREQ=HOURLY;INTERVAL=24;BYHOUR=5", "no"),
        ("FREQ=DAILY;UNTIL=20200101", "no session would ever begin"),
        ("FREQ=HOURLY;BYSETPOS=5", "BYSETPOS is not allowed there"),
        ("FREQ=HOURLY;BYMINUTE=0,5,10,15,20,25,30", "6 in an hour"),
        ("FREQ=DAILY;BYMINUTE=0,10,20,30;BYSECOND=0,30", "6 in an hour"),
    ],
)
def test_what_is_no_recurrence_is_told(tmp_path: Path, rule: str, words: str) -> None:
    told = mistake(tmp_path, roster(f'rrule = "{rule}"'))
    assert "rosters[1].rrule" in told
    assert words in told


@pytest.mark.parametrize(
    "rule",
    ["FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "FREQ=MONTHLY;BYDAY=1MO,-1FR", "FREQ=YEARLY;BYWEEKNO=53", "FREQ=HOURLY"],
)
def test_a_recurrence_may_come_seldom(tmp_path: Path, rule: str) -> None:
    assert read(tmp_path, roster(f'rrule = "{rule}"')).rosters[0].rrule == rule


@given(st.text("FREQINTVALBYDOUSHWKMP=;,:-+0123456789", max_size=60))
@example("FREQ=HOURLY;INTERVAL=999;BYYEARDAY=366;BYWEEKNO=1;BYMONTH=2")
@example("FREQ=DAILY;BYSETPOS=366;BYHOUR=1,2")
@settings(max_examples=300)
def test_whatever_stands_in_a_recurrence_is_followed_or_refused(text: str) -> None:
    for rule in (text, f"FREQ=DAILY;{text}"):
        with contextlib.suppress(ValueError):
            first(recurrence(rule), datetime(2026, 1, 5, 7))


def test_a_session_that_would_be_cut_short_is_told(tmp_path: Path) -> None:
    long = roster('rrule = "FREQ=DAILY"').replace("duration = 28800", "duration = 172800")
    assert "172800" in long
    told = mistake(tmp_path, worker('roster = ["early"]', long))
    assert "rosters[1].duration" in told
    assert "raise its longest" in told


def test_a_roster_with_a_time_zone_in_its_start_is_refused(tmp_path: Path) -> None:
    told = mistake(tmp_path, roster().replace("07:00:00", "07:00:00Z"))
    assert "rosters[1].start" in told


def test_a_session_may_end_without_an_alarm_only_in_writing(tmp_path: Path) -> None:
    rules = '[[check_ins]]\nid = "a"\nforgotten = "end"\n'
    assert "needs an agreement" in mistake(tmp_path, rules)
    assert read(tmp_path, rules + 'agreement = "contract 12, section 3"').check_ins[0].forgotten == "end"


@pytest.mark.parametrize("line", ["interval = 5", "retries = [1]", "grace = -1", "longest = 1", 'confirm = "voice"'])
def test_times_have_limits(tmp_path: Path, line: str) -> None:
    assert line.split(" ")[0] in mistake(tmp_path, f'[[check_ins]]\nid = "a"\n{line}\n')


def test_what_is_worth_a_second_look_is_told(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        worker(
            f'check_in = "a"\npin = "{HASH}"',
            '[[check_ins]]\nid = "a"\ninterval = 300\nwarn_before = 300\n[[check_ins]]\nid = "b"\n'
            '[[workers]]\nid = "bob"\nname = "Bob"\nroster = "late"\nnumbers = ["1"]\n[check_in]\nnumbers = ["2"]\n'
            + TRUNK
            + roster()
            + roster().replace("early", "late"),
        ),
    )
    assert advised(settings) == [
        "check_ins: 'a': warn_before is not less than interval: nobody is warned",
        "check_ins: 'b' is nobody's",
        "rosters: 'early' is nobody's",
        "workers: 'anna': has no numbers: none of his check-ins can be made, and each is missed",
        "workers: 'anna': has a PIN and no duress_pin: if he is forced to enter it, nobody knows",
        "workers: 'bob': has no PIN: he cannot do anything by calling check_in.numbers",
    ]


@pytest.mark.parametrize(
    ("lines", "more", "told"),
    [
        (
            'numbers = ["+31600000001"]\ncheck_in = "a"',
            "",
            "there are no [[trunks]]: none of his check-ins can be made",
        ),
        ('numbers = ["1"]\ncheck_in = "a"\nduress_keys = ""', TRUNK, "has neither duress_keys nor duress_pin"),
        ('numbers = ["1"]\ncheck_in = "a"', TRUNK + '[[customers]]\nid = "c"\nname = "C"\n', "belongs to no customer"),
        (f'pin = "{HASH}"\nduress_pin = "{OTHER}"', "", "has a PIN that nothing asks for: check_in.numbers is empty"),
    ],
)
def test_what_a_worker_lacks_is_told(tmp_path: Path, lines: str, more: str, told: str) -> None:
    rules = '[[check_ins]]\nid = "a"\n'
    found = [line for line in advised(read(tmp_path, worker(lines, rules + more))) if line.startswith("workers")]
    assert len(found) == 1
    assert found[0].startswith(f"workers: 'anna': {told}")


def test_a_worker_who_can_be_called_and_has_a_way_to_call_for_help_lacks_nothing(tmp_path: Path) -> None:
    rules = '[[check_ins]]\nid = "a"\nconfirm = "pin"\n'
    lines = f'numbers = ["1"]\ncheck_in = "a"\npin = "{HASH}"\nduress_pin = "{OTHER}"'
    assert advised(read(tmp_path, worker(lines, rules + TRUNK))) == []


def test_retries_that_take_longer_than_the_interval_are_told(tmp_path: Path) -> None:
    settings = read(tmp_path, worker('check_in = "a"', '[[check_ins]]\nid = "a"\ninterval = 120\nwarn_before = 0\n'))
    assert "check_ins: 'a': a check-in is missed later than an interval after it was due" in advised(settings)[0]
