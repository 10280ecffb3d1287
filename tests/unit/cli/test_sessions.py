"""`earshot sessions`, `session`, `start-session`, `extend-session`, `end-session`: beside a service and without one."""

import asyncio
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from rich.text import Text

import ivr.schedule
from ivr.schedule import begin, decide
from ivr.session import Confirmed, Due, Ended, Event, How, NotConfirmed, Origin, Rules, Session
from voice.check_in.delivery import Hands
from voice.check_in.ledger import Decided, Opening
from voice.check_in.runner import CheckIns
from voice.cli import asking, deciding
from voice.cli.main import main
from voice.cli.sessions import WORDS, said
from voice.clock import SteadyClock, SystemClock
from voice.journal import Journal
from voice.owned.ledger import Fence
from voice.store import Store
from voice.store.sessions import LogEntry, SqlSessionLedger

AT = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)

WORKERS = """
[[check_ins]]
id = "visits"
interval = 1200
longest = 14400

[[workers]]
id = "anna"
name = "Anna Jansen"
numbers = ["+31600000001"]
check_in = "visits"

[[workers]]
id = "eve"
name = "Eve"
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/earshot.db"


@pytest.fixture
def run(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """A command with a configuration, no service running."""
    monkeypatch.setattr(deciding, "PATIENCE", 0.0)
    monkeypatch.setattr("getpass.getuser", lambda: "root")
    monkeypatch.setenv("COLUMNS", "200")
    path = tmp_path / "earshot.toml"
    path.write_text(f'[store]\nurl = "{url}"\n{WORKERS}')

    async def make_store() -> None:
        await Store(url).close()

    asyncio.run(make_store())
    return lambda *arguments: main([*arguments, "--config", str(path)])


@pytest.fixture
def service(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service runs whenever a command waits for it."""

    async def serve(answered: Callable[[], bool]) -> None:
        store, loop = Store(url), asyncio.get_running_loop()
        check_ins = CheckIns(
            ledger=SqlSessionLedger(store, sole=True),
            journal=Journal(store),
            hands=cast(Hands, None),  # no check-in becomes due
            clock=SteadyClock(SystemClock(), loop),
            spawn=loop.create_task,
            node="node",
        )
        running = loop.create_task(check_ins.run())
        async with asyncio.timeout(30.0):
            while not answered():  # noqa: ASYNC110 - the database is all that the command can look at
                await asyncio.sleep(0.01)
        running.cancel()
        check_ins.close()
        await store.close()

    def wait_until(connection: Any, answered: Callable[[], bool]) -> bool:
        def look() -> bool:
            with connection.begin():
                return answered()

        asyncio.run(serve(look))
        return True

    monkeypatch.setattr(asking, "wait_until", wait_until)


def told(url: str, *events: Event) -> Session:
    """A session of Anna in the store, each event half an hour after the one before."""

    async def write() -> Session:
        store = Store(url)
        ledger = SqlSessionLedger(store, sole=True)
        first = begin("0aa11bb22", "anna", Origin.WORKER, Rules(grace=0), now=AT, ends_at=AT + 16 * HALF_HOUR)
        fence, session = Fence("0aa11bb22", "node", 1), first.session
        await store.run(partial(ledger.open, opening=Opening(fence, session, first.notes, AT)))
        for number, event in enumerate(events, 1):
            now = AT + number * HALF_HOUR
            decision = decide(session, event, now)
            decided = Decided(fence, session.decisions, decision.session, decision.notes, now)
            await store.run(partial(ledger.record, decided=decided))
            session = decision.session
        await store.close()
        return session

    return asyncio.run(write())


def flat(text: str) -> str:
    return " ".join(text.split())


# -- asked for --


@pytest.mark.usefixtures("service")
def test_a_session_is_begun_extended_and_ended(run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("start-session", "anna", "--for", "2h", "--every", "30m") == 0
    out, err = capsys.readouterr()
    assert re.match(r"session [0-9a-f]{8} of Anna Jansen has begun and lasts until \S+ \S+; a check-in each 30 ", out)
    assert err == ""
    assert run("start-session", "anna", "--for", "3h") == 0
    assert "was open already; it goes on until" in capsys.readouterr().out
    assert run("extend-session", "anna", "--by", "15m") == 0
    assert re.search(r"of Anna Jansen ends \d{4}-", capsys.readouterr().out)
    assert run("session", "anna", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    began, ends = (datetime.fromisoformat(shown[name]) for name in ("started_at", "ends_at"))
    assert timedelta(hours=3.25) <= ends - began < timedelta(hours=3.5)
    assert (shown["origin"], shown["interval_s"], shown["confirmed_at"]) == ("api", 1800.0, None)
    assert run("end-session", "anna") == 0
    assert "has ended; alarms that are open stay open" in capsys.readouterr().out
    assert run("session", shown["id"][:6], "--log") == 0
    log = capsys.readouterr().out
    assert "begins, by the office" in log
    assert "ends: shell:root" in log


def test_without_a_service_the_request_waits_and_the_same_key_asks_once(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert run("start-session", "anna", "--for", "1h", "--key", "order 7") == 0
        assert capsys.readouterr().err.endswith(": left for the service, which does not answer: is it running?\n")
    assert run("sessions", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)) == 1


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("start-session", "zoe", "--for", "1h"), "there is no worker 'zoe' in the configuration"),
        (("start-session", "eve", "--for", "1h"), "worker 'eve' has no telephone number"),
        (("start-session", "anna", "--for", "5h"), "no session of 'anna' lasts longer than 4 hours"),
        (("start-session", "anna", "--for", "soon"), "'soon' is no duration; allowed: 90s, 30m, 2h"),
        (("start-session", "anna", "--for", "1h", "--every", "5s"), "a check-in each 5 seconds cannot be"),
        (("start-session", "anna"), "--for"),
        (("extend-session", "anna"), "there is no session 'anna', and no worker of this name has had one"),
        (("end-session", "0aa"), "there is no session '0aa'"),
        (("session", "anna"), "there is no session 'anna'"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    arguments: tuple[str, ...], error: str, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = run(*arguments)
    except SystemExit as ended:
        code = int(ended.code or 0)
    assert code == 2
    err = capsys.readouterr().err
    assert error in err
    assert err.count("\n") == 1


def test_a_session_that_has_ended_is_neither_extended_nor_ended_again(
    run: Callable[..., int], url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told(url, Ended())
    for command in ("extend-session", "end-session"):
        assert run(command, "anna") == 2
        assert capsys.readouterr().err == "earshot: session 0aa11bb22 of anna has ended already\n"


# -- shown --


def test_open_sessions_are_listed_and_with_all_those_that_ended(
    run: Callable[..., int], url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("sessions") == 0
    assert run("sessions", "--all") == 0
    assert capsys.readouterr().out == "No session is open.\nNo sessions.\n"
    told(url, Confirmed(How.KEY), Ended())
    assert run("sessions") == 0
    assert capsys.readouterr().out == "No session is open.\n"
    assert run("sessions", "--all") == 0
    assert "0aa11bb2 Anna Jansen has ended" in flat(capsys.readouterr().out)


def test_a_missed_check_in_stands_out(run: Callable[..., int], url: str, capsys: pytest.CaptureFixture[str]) -> None:
    told(url, Due(), NotConfirmed("1.1", "no answer"), Due(), NotConfirmed("1.2"), Due(), NotConfirmed("1.3"))
    assert run("sessions") == 0
    assert "missed 1 check-in; waits for the next check-in" in flat(capsys.readouterr().out)
    assert run("session", "anna", "--log") == 0
    log = flat(capsys.readouterr().out)
    assert "call 1.1 is not confirmed: no answer" in log
    assert "MISSED, not confirmed: due 2026-03-01" in log
    assert "he has not been heard since it began" in log


def test_the_table_fits_a_terminal_and_is_not_folded_for_a_file(
    run: Callable[..., int], url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told(url, Due(), NotConfirmed("1.1", "no answer"), Due(), NotConfirmed("1.2"), Due(), NotConfirmed("1.3"))
    assert run("sessions") == 0
    assert "missed 1 check-in; waits for the next check-in" in capsys.readouterr().out
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    assert run("sessions") == 0
    table = Text.from_ansi(capsys.readouterr().out).plain.splitlines()
    assert max(map(len, table)) <= 80
    assert any("Anna" in line and "0aa11bb2" in line for line in table)
    assert {"missed", "check-in;", "waits"} <= set(" ".join(table).split())


COMMANDS = [("sessions",), ("sessions", "--json"), ("session", "anna", "--log"), ("session", "anna", "--log", "--json")]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("attempt", [None, "1.1"])
def test_no_screen_tells_duress_from_any_other_confirmation(
    command: tuple[str, ...],
    attempt: str | None,
    run: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = []
    for confirmed in (How.KEY, How.PIN, How.DURESS):
        (tmp_path / "earshot.db").unlink()
        told(f"sqlite:///{tmp_path}/earshot.db", Due(), Confirmed(confirmed, attempt))
        assert run(*command) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1] == shown[2]
    assert "duress" not in shown[0]
    if command[0] == "session":
        assert run(*command, "--evidence") == 0
        assert "duress" in capsys.readouterr().out


def test_times_are_those_of_the_clock_on_the_wall(
    run: Callable[..., int], url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told(url, Confirmed(How.DEVICE))
    assert run("session", "anna", "--log") == 0
    local = (AT + HALF_HOUR).astimezone()
    assert f"last confirmed {local:%Y-%m-%d %H:%M:%S} by device" in (shown := flat(capsys.readouterr().out))
    assert f"2 {local:%Y-%m-%d %H:%M:%S} 1 confirms by device" in shown


def test_only_the_evidence_tells_that_a_new_pin_was_the_duress_pin() -> None:
    entries = [
        LogEntry("one", n, AT, "pin_changed", {"round": 1, "how": how}) for n, how in enumerate(("pin", "duress"))
    ]
    changed, kept = (said(entry, evidence=False) for entry in entries)
    assert changed == kept == "the worker is told that his PIN is changed"
    changed, kept = (said(entry, evidence=True) for entry in entries)
    assert "duress PIN as the new one: nothing is changed" in kept
    assert "duress" not in changed


def test_everything_that_the_schedule_writes_has_words() -> None:
    source = Path(ivr.schedule.__file__).read_text(encoding="utf-8")
    written = set(re.findall(r'note\("(\w+)"', source)) | {"reminded", "warned", "log_gap"}
    assert len(written) > 10
    assert written == set(WORDS)


def test_an_entry_of_a_newer_earshot_is_shown_as_it_is() -> None:
    assert said(LogEntry("one", 1, AT, "sung", {"song": 5}), evidence=False) == 'sung {"song": 5}'
