"""`earshot check-config` about plans, and `earshot simulate`."""

import json
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from config.models import Settings
from config.settings import load
from voice.cli import planning
from voice.cli.main import main
from voice.errors import ConfigurationError

EXAMPLES = Path(__file__).parents[3] / "config" / "examples"
HOME_CARE = str(EXAMPLES / "home-care.toml")
SECURITY = str(EXAMPLES / "security-company.toml")
AMSTERDAM = ZoneInfo("Europe/Amsterdam")
NOW = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)
"""A Wednesday; half past ten in Amsterdam."""

PLANS = """
[[operators]]
id = "olga"
name = "Olga"
uri = "sip:olga@192.0.2.1"
[[trunks]]
id = "t"
uri = "sip:192.0.2.2"
[[contacts]]
id = "anna"
name = "Anna"
numbers = ["+31600000001"]
[[contacts]]
id = "bob"
name = "Bob [the boss]"
numbers = ["+31600000002"]
[[teams]]
id = "night"
name = "Night"
members = ["anna", "bob"]
rota = "night"
[[rotas]]
id = "night"
[[rotas.shifts]]
members = ["anna"]
days = "mon-sat"
[[plans]]
id = "rest"
[[plans.steps]]
ring = "operators"
seconds = 10.0
[[plans.steps]]
ring = "team:night"
[[plans.steps]]
ring = "contact:bob"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "earshot.toml"
    path.write_text(PLANS + customer("a", "rest") + customer("b", "rest") + customer("c", None))
    return path


def customer(id: str, plan: str | None) -> str:
    return f'[[customers]]\nid = "{id}"\nname = "Customer {id}"\n' + (f'plan = "{plan}"\n' if plan else "")


def told(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    capsys.readouterr()
    assert main(list(arguments)) == code
    out, err = capsys.readouterr()
    assert (not err) if code == 0 else (not out)
    return err if code else out


# -- check-config --


def test_each_plan_is_explained_once_with_those_for_whom_it_holds(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = told(capsys, "check-config", str(file))
    assert out.count("Plan 'rest'") == 1
    assert "  for every alarm but technical and test of Customer a and Customer b\n" in out
    assert "  1. Rings the operators for 10 seconds" in out
    assert "  3. Rings Bob [the boss] for 30 seconds.\n" in out
    assert out.index("is good:") < out.index("Plan 'rest'") < out.index("warning:")


def test_warnings_follow_and_are_no_error(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, "check-config", str(file)).splitlines()
    warnings = [line for line in lines if line.startswith("warning: ")]
    assert warnings == [
        "warning: plan 'rest': rota 'night': nobody is on duty: Sunday 00:00 to Monday 00:00, each week; "
        "all members of team 'night' are rung then; add a shift",
        "warning: customer 'c' has no plan, and there is no escalation.default_plan: its alarms ring operators only",
    ]
    assert lines[-len(warnings) :] == warnings


def test_quiet_leaves_out_the_explanations(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = told(capsys, "check-config", "--quiet", str(file))
    assert "Rings" not in out
    assert "warning: plan 'rest'" in out


def test_a_plan_is_drawn_and_nothing_else_is_printed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = told(capsys, "check-config", str(file), "--draw", "rest")
    assert out.startswith("flowchart TD\n")
    assert "Bob [the boss]" in out
    assert "is good" not in out


def test_a_plan_that_is_not_there_cannot_be_drawn(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = told(capsys, "check-config", str(file), "--draw", "nights", code=2)
    assert line == "earshot: there is no plan 'nights'; plans: operators-only and rest\n"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_only_warning_of_an_example_is_that_its_control_room_is_not_real(path: Path) -> None:
    warnings = list(planning.warnings(load(path, {}), NOW))
    assert warnings
    assert [line for line in warnings if "is this computer, and no control room" not in line] == []


def test_what_many_customers_have_in_common_is_told_once() -> None:
    settings = Settings.model_validate(
        {
            "operators": [{"id": "o", "name": "O", "uri": "sip:o@192.0.2.1"}],
            "customers": [{"id": f"c{n}", "name": f"C{n}", "plan": "p"} for n in range(30)],
            "plans": [{"id": "p", "steps": [{"ring": "operators"}]}],
        }
    )
    assert len(list(planning.warnings(settings, NOW))) == 1
    (owners,) = [line for line in planning.explained(settings) if line.startswith("  for ")]
    assert owners.endswith("of C0, C1, C2, C3, C4, C5, C6 and 23 more")


# -- simulate --


def test_a_simulation_tells_time_and_what_would_happen(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = told(capsys, "simulate", "rest", "--config", str(file), "--from", "2026-03-04T03:00")
    assert out.startswith("Plan 'rest', alarm of Customer a\n")
    assert "Wednesday 2026-03-04 03:00:00 (Europe/Amsterdam). Nothing is called and nothing is sent." in out
    rows = [line.split(maxsplit=2) for line in out.splitlines() if line.startswith(" 03:")]
    assert [(after, " ".join(what.split())) for _, after, what in rows] == [
        ("+0:00", "comes to step 1: rings the operators"),
        ("+0:10", "comes to step 2: rings Anna"),
        ("+0:40", "rings Anna no more: no answer"),
        ("+0:40", "comes to step 3: rings Bob [the boss]"),
        ("+1:10", "rings Bob [the boss] no more: no answer"),
        ("+1:10", "has come to the end of the plan, and starts again in 5 s"),
    ]
    assert out.endswith(
        "After 1 minute 10 seconds the plan starts again from the top, and so on until a person has the alarm.\n"
    )


def test_the_worker_whose_alarm_it_is_is_left_alone(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    worker = '[[workers]]\nid = "w"\nname = "W"\ncustomer = "b"\nnumbers = ["+31600000002"]\n'
    file.write_text(file.read_text() + worker)
    out = told(capsys, "simulate", "rest", "--config", str(file), "--worker", "w")
    assert "alarm of Customer b" in out
    assert "leaves Bob [the boss] out at step 3: is the worker himself" in out
    assert "rings Bob [the boss]" not in out
    line = told(capsys, "simulate", "rest", "--config", str(file), "--worker", "x", code=2)
    assert line == "earshot: there is no worker 'x'; workers: w\n"


def test_the_rota_is_that_of_the_time(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = told(capsys, "simulate", "rest", "--config", str(file), "--from", "Sunday 03:00")
    assert "finds nobody at step 2" not in out  # everybody stands in
    assert "comes to step 2: rings Anna and Bob [the boss]" in out


def test_somebody_can_take_it_and_somebody_be_busy(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = told(
        capsys,
        "simulate",
        "rest",
        "--config",
        str(file),
        "--busy",
        "anna",
        "--taken-by",
        "bob",
        "--from",
        "Monday 03:00",
    )
    assert "rings Anna no more: busy" in out
    assert "Bob [the boss] takes the alarm (pressed the key asked for)" in out
    assert "After 34 seconds a person has the alarm: nobody else is rung." in out


def test_an_emergency_call_is_told_in_red_and_never_made(capsys: pytest.CaptureFixture[str]) -> None:
    out = told(capsys, "simulate", "patrol-and-police", "--config", SECURITY, "--from", "03:00")
    assert "would call Police control room (simulated) now, by itself" in out
    assert "After 10 minutes the control room would be called." in out


def test_an_emergency_call_that_would_be_refused_is_said_to_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "earshot.toml"
    route = '[[emergency_routes]]\nid = "r"\nname = "Police"\nnumber = "112"\n'
    step = '[[plans.steps]]\nemergency = "r"\n'
    path.write_text(PLANS + step + route + customer("a", "rest"))
    arguments = ("simulate", "rest", "--config", str(path))
    refused = "Police (112) is refused: agree the call in writing, then name 't' in emergency.armed"
    assert f"warning: emergency route 'r': {refused}\n" in told(capsys, *arguments)
    assert any(refused in line for line in json.loads(told(capsys, *arguments, "--json"))["warnings"])
    assert "refused" not in told(capsys, *arguments, "--for", "20s"), "it does not come to it"
    path.write_text('[emergency]\narmed = ["t"]\n' + path.read_text())
    assert "refused" not in told(capsys, *arguments)


def test_a_certain_length_is_kept_to(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = told(capsys, "simulate", "rest", "--config", str(file), "--for", "5m")
    assert "lap 3" in out
    assert "After 5 minutes the simulation ends: no person has the alarm, and the plan goes on." in out


def test_for_programs_there_is_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    story = json.loads(
        told(
            capsys, "simulate", "rest", "--config", str(file), "--customer", "b", "--from", "2026-03-04T03:00", "--json"
        )
    )
    assert (story["plan"], story["customer"], story["end"]) == ("rest", "b", "lap")
    assert story["opened_at"] == "2026-03-04T02:00:00.000000Z"
    second = story["moments"][1]
    assert (second["at"], second["after_s"]) == ("2026-03-04T02:00:10.000000Z", 10.0)
    assert second["detail"]["rings"] == ["anna"]
    assert second["what"] == "comes to step 2: rings Anna"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("nights",), "there is no plan 'nights'; plans: operators-only, nurses and try-out"),
        (("nurses", "--customer", "x"), "there is no customer 'x'; customers: home-care"),
        (
            ("nurses", "--busy", "x"),
            "there is no contact 'x'; contacts in plan 'nurses': manager, deputy, marijke, fatima, jan and sofie",
        ),
        (("try-out", "--taken-by", "jan"), "there is no contact 'jan'; there are no contacts in plan 'try-out'"),
        (("nurses", "--from", "0001-01-01T00:00"), "'0001-01-01T00:00' is no time of an alarm; allowed: 1970 to 2199"),
        (("nurses", "--from", "9999-12-31T23:59"), "'9999-12-31T23:59' is no time of an alarm; allowed: 1970 to 2199"),
        (("nurses", "--from", "soon"), "'soon' is no time; allowed: 2026-03-08T03:00, \"Sunday 03:00\", 03:00"),
        (("nurses", "--from", "Moonday 03:00"), "'Moonday 03:00' is no time"),
        (("nurses", "--for", "3 weeks"), "'3 weeks' is no duration; allowed: 90s, 30m, 2h, up to 48 hours"),
        (("nurses", "--for", "49h"), "'49h' is no duration"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    arguments: tuple[str, ...], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    error = told(capsys, "simulate", *arguments, "--config", HOME_CARE, code=2)
    assert error.startswith(f"earshot: {line}")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        (None, "2026-03-04T09:30:00+00:00"),
        ("2026-03-08T03:00", "2026-03-08T02:00:00+00:00"),
        ("2026-03-08 03:00", "2026-03-08T02:00:00+00:00"),
        ("2026-03-08T03:00Z", "2026-03-08T03:00:00+00:00"),
        ("2026-03-29T02:30", "2026-03-29T01:00:00+00:00"),  # which the clock jumps over
        ("Sunday 03:00", "2026-03-08T02:00:00+00:00"),
        ("sun 3:00", "2026-03-08T02:00:00+00:00"),
        ("wednesday 10:30", "2026-03-04T09:30:00+00:00"),
        ("wednesday 10:29", "2026-03-11T09:29:00+00:00"),
        ("11:00", "2026-03-04T10:00:00+00:00"),
        ("03:00", "2026-03-05T02:00:00+00:00"),
    ],
)
def test_a_time_is_one_of_the_customers_clock(text: str | None, moment: str) -> None:
    assert planning._moment(text, AMSTERDAM, NOW).isoformat() == moment


@pytest.mark.parametrize("text", ["T 03:00", "25:00", "2026-13-01", ""])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is no time"):
        planning._moment(text, AMSTERDAM, NOW)
