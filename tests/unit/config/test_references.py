"""Names between tables: each must be the id of a row that is there, and is told with its line."""

from pathlib import Path

import pytest

from config.settings import load
from voice.errors import ConfigurationError

ROWS = """
[[customers]]
id = "care"
name = "Care"
[[contacts]]
id = "bert"
name = "Bert"
numbers = "+31600000002"
[[teams]]
id = "on-call"
name = "On call"
members = "bert"
[[rotas]]
id = "nights"
[[plans]]
id = "standard"
steps = [{ ring = "operators" }]
[[emergency_routes]]
id = "room"
name = "Room"
number = "sip:room@127.0.0.1"
[[trunks]]
id = "provider"
uri = "sip:192.0.2.1"
[[webhooks]]
id = "planner"
url = "https://planner.example.org"
secret = "x"
"""
LINES = len(ROWS.splitlines())


def mistakes(tmp_path: Path, text: str) -> list[str]:
    """What `load` says of a file with this text, without the file's name."""
    path = tmp_path / "e.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(path, {})
    return str(caught.value).replace(f"{path}:", "").split("\n")


def test_the_rows_alone_are_good(tmp_path: Path) -> None:
    path = tmp_path / "e.toml"
    path.write_text(ROWS)
    assert load(path, {}).plan_for(None, (load(path, {}).devices and None) or "panic").id == "operators-only"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "mistake"),
    [
        ('[escalation]\ndefault_plan = "x"', "2: escalation.default_plan: no plan has the id 'x'; allowed: standard"),
        ('[emergency]\n\narmed = ["provider", "x"]', "3: emergency.armed: no trunk has the id 'x'; allowed: provider"),
        (
            '[[workers]]\nid = "a"\nname = "A"\ncustomer = "x"',
            "4: workers[1].customer: no customer has the id 'x'; allowed: care",
        ),
        (
            '[[devices]]\nid = "a"\nusername = "a"\ncustomer = "x"',
            "4: devices[1].customer: no customer has the id 'x'; allowed: care",
        ),
        (
            '[[customers]]\nid = "a"\nname = "A"\nplan = "x"',
            "4: customers[2].plan: no plan has the id 'x'; allowed: standard",
        ),
        (
            '[[customers]]\nid = "a"\nname = "A"\n[customers.plans]\ngas = "standard"\ntest = "x"',
            "6: customers[2].plans.test: no plan has the id 'x'; allowed: standard",
        ),
        (
            '[[customers]]\nid = "a"\nname = "A"\ntrunks = ["x"]',
            "4: customers[2].trunks: no trunk has the id 'x'; allowed: provider",
        ),
        (
            '[[teams]]\nid = "a"\nname = "A"\nmembers = ["bert", "x"]',
            "4: teams[2].members: no contact has the id 'x'; allowed: bert",
        ),
        (
            '[[teams]]\nid = "a"\nname = "A"\nrota = "x"',
            "4: teams[2].rota: no rota has the id 'x'; allowed: nights",
        ),
        (
            '[[rotas]]\nid = "a"\n[[rotas.shifts]]\nmembers = "bert"\n[[rotas.shifts]]\nmembers = "x"',
            "6: rotas[2].shifts[2].members: no contact has the id 'x'; allowed: bert",
        ),
        (
            '[[rotas]]\nid = "a"\n[[rotas.overrides]]\nfrom = 2026-01-01\nto = 2026-01-02\nmembers = "x"',
            "6: rotas[2].overrides[1].members: no contact has the id 'x'; allowed: bert",
        ),
        (
            '[[rotas]]\nid = "a"\n[[rotas.overrides]]\nfrom = 2026-01-01\nto = 2026-01-02\nreplaces = ["bert", "x"]',
            "6: rotas[2].overrides[1].replaces: no contact has the id 'x'; allowed: bert",
        ),
        (
            '[[plans]]\nid = "a"\n[[plans.steps]]\nring = "operators"\n[[plans.steps]]\nring = ["team:x"]',
            "6: plans[2].steps[2].ring: no team has the id 'x'; allowed: on-call",
        ),
        (
            '[[plans]]\nid = "a"\n[[plans.steps]]\nmessage = ["team:on-call", "contact:x"]',
            "4: plans[2].steps[1].message: no contact has the id 'x'; allowed: bert",
        ),
        (
            '[[plans]]\nid = "a"\n[[plans.steps]]\nemergency = "x"',
            "4: plans[2].steps[1].emergency: no emergency route has the id 'x'; allowed: room",
        ),
        (
            '[[emergency_routes]]\nid = "a"\nname = "A"\nnumber = "112"\ntrunks = "x"',
            "5: emergency_routes[2].trunks: no trunk has the id 'x'; allowed: provider",
        ),
        ('[[customers]]\nid = "care"\nname = "A"', "2: customers[2].id: 'care' is taken already by customers[1]"),
        (
            '[[contacts]]\nid = "bert"\nname = "A"\nsms = "112"',
            "2: contacts[2].id: 'bert' is taken already by contacts[1]",
        ),
        ('[[rotas]]\nid = "nights"', "2: rotas[2].id: 'nights' is taken already by rotas[1]"),
        (
            '[[plans]]\nid = "standard"\n[[plans.steps]]\nwait = 5',
            "2: plans[2].id: 'standard' is taken already by plans[1]",
        ),
        (
            '[[webhooks]]\nid = "planner"\nurl = "http://127.0.0.1"\nsecret = "x"',
            "2: webhooks[2].id: 'planner' is taken already by webhooks[1]",
        ),
    ],
)  # fmt: skip
def test_a_name_that_nothing_has_or_that_stands_twice_is_told_with_its_line(
    tmp_path: Path, rows: str, mistake: str
) -> None:
    line, rest = mistake.split(":", 1)
    assert mistakes(tmp_path, ROWS + rows) == [f"{int(line) + LINES}:{rest}"]


def test_an_array_that_is_written_in_one_value_is_told_with_the_line_of_its_key(tmp_path: Path) -> None:
    text = '[[plans]]\nid = "a"\nsteps = [\n  { ring = "operators" },\n  { ring = "team:x" },\n]'
    assert mistakes(tmp_path, text) == ["3: plans[1].steps[2].ring: no team has the id 'x'; there are no [[teams]]"]


def test_of_many_names_that_are_allowed_the_first_are_told(tmp_path: Path) -> None:
    contacts = "".join(f'[[contacts]]\nid = "c{n}"\nname = "C"\nsms = "+3160000{n:04}"\n' for n in range(40))
    (line,) = mistakes(tmp_path, contacts + '[[teams]]\nid = "t"\nname = "T"\nmembers = "x"')
    assert line.endswith(
        "no contact has the id 'x'; allowed: " + ", ".join(f"c{n}" for n in range(12)) + ", and 28 more"
    )
