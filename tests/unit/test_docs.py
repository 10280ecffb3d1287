"""The documentation names what is there: files, commands, make targets, keys of the configuration."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from config.models import Settings
from config.settings import load
from voice.cli.main import main

ROOT = Path(__file__).parents[2]
DOCUMENTS = (
    "README.md",
    "CHANGELOG.md",
    "tests/interop/README.md",
    *sorted(f"docs/{path.name}" for path in ROOT.glob("docs/*.md")),
)
FILES = frozenset(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*", *(f"{folder}/**/*" for folder in ("voice", "ivr", "config", "tests", "benchmarks", "docs")))
    for path in ROOT.glob(pattern)
    if path.is_file()
)

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_QUOTED = re.compile(r"`([^`\n]+)`")
_FILE = re.compile(r"[\w./-]+\.(?:py|md|toml|xml)")
_LINK = re.compile(r"\]\(([^)#:]+)\)")
_PLACE = re.compile(r"`([\w/]+\.py)` \((?:the table )?`(\w+)`")
_KEY = re.compile(r"\[([a-z_.]+)\](?: ([a-z_]+))?")


def text(document: str) -> str:
    return (ROOT / document).read_text()


def quoted(document: str) -> Iterator[str]:
    """What stands between backticks in the prose."""
    yield from _QUOTED.findall(_FENCE.sub("", text(document)))


def everywhere(pattern: str) -> list[str]:
    return sorted({found for document in DOCUMENTS for found in re.findall(pattern, text(document), re.MULTILINE)})


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_that_is_named_exists(document: str) -> None:
    """By its path, or by the end of it: `sip/flow.py` is clear enough to a reader."""
    named = {name for name in quoted(document) if _FILE.fullmatch(name)}
    assert [name for name in sorted(named) if not any(f"/{file}".endswith(f"/{name}") for file in FILES)] == []


@pytest.mark.parametrize(("file", "name"), _PLACE.findall(text("docs/architecture.md")))
def test_every_name_that_is_to_be_found_in_a_file_is_there(file: str, name: str) -> None:
    found = [path for path in FILES if path.startswith("voice/") and path.endswith(f"/{file}")]
    assert any(re.search(rf"\b{name}\b", text(path)) for path in found)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_to_a_file(document: str) -> None:
    folder = (ROOT / document).parent
    assert [link for link in _LINK.findall(text(document)) if not (folder / link).exists()] == []


@pytest.mark.parametrize("command", everywhere(r"\bearshot ([a-z][a-z-]+)"))
def test_every_command_that_is_named_exists(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"earshot {command}" in capsys.readouterr().out


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", text("Makefile"), re.MULTILINE))
    assert set(everywhere(r"(?:^|`)make ([a-z]+)")) <= targets


def test_every_module_that_is_run_exists() -> None:
    modules = everywhere(r"python -m ((?:benchmarks|voice)[\w.]*)")
    assert modules
    assert [name for name in modules if f"{name.replace('.', '/')}.py" not in FILES] == []


@pytest.mark.parametrize(
    ("section", "key"),
    sorted({_KEY.fullmatch(q).groups("") for q in quoted("README.md") if _KEY.fullmatch(q)}),  # type: ignore[union-attr]
)
def test_every_key_of_the_configuration_that_is_named_exists(section: str, key: str) -> None:
    model: type[BaseModel] | None = Settings
    for name in filter(None, (*section.split("."), key)):
        assert model is not None, f"[{section}] {key}"
        known = {field.alias or own: field for own, field in model.model_fields.items()}
        assert name in known
        kind = known[name].annotation
        model = kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def test_the_configuration_of_the_readme_is_one(tmp_path: Path) -> None:
    (example,) = (body for kind, body in _FENCE.findall(text("README.md")) if kind == "toml")
    path = tmp_path / "my.toml"
    path.write_text(example)
    settings = load(path, {})
    assert [device.id for device in settings.devices] == ["badge-7"]
