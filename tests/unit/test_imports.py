"""The direction of imports, and the purity of the cores."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[2]

IMPURE = {
    "asyncio",
    "logging",
    "multiprocessing",
    "select",
    "socket",
    "sqlalchemy",
    "ssl",
    "structlog",
    "subprocess",
    "threading",
    "time",
}
"""What a pure core does without: I/O, threads, logging, and a clock of its own."""

SHELLS = {
    "ivr.cache": "keeps rendered speech on the disk",
    "ivr.command": "runs the speech engine that the configuration names",
    "ivr.espeak": "runs the speech engine",
    "ivr.runner": "leads conversations as time passes",
    "ivr.speech": "renders many prompts at once",
    "ivr.transcribing": "runs the program that the configuration names for transcripts",
    "voice.media.clock": "the media clock stands on the event loop",
    "voice.media.disk": "writes to the disk",
    "voice.media.leg": "reads the clock of the event loop when an RTP session begins",
    "voice.media.segment": "is shared with the thread that writes it",
    "voice.rtp.batch": "reads many packets at once from the socket",
    "voice.rtp.transport": "RTP sockets",
    "voice.sip.connections": "stream connections",
    "voice.sip.endpoint": "the asyncio shell of the core",
    "voice.sip.locality": "asks the system for our address towards a peer",
    "voice.sip.sockets": "opens sockets",
    "voice.sip.stream": "stream connections",
    "voice.sip.tls": "TLS contexts",
    "voice.sip.transport": "the only I/O of signalling",
    "voice.sip.udp": "UDP sockets",
}
"""The few, named places in otherwise pure packages that do I/O."""

PURE_PACKAGES = (
    "voice/incidents",
    "voice/sdp",
    "voice/sip",
    "voice/rtp",
    "voice/media",
    "ivr",
)


def _modules() -> Iterator[Path]:
    for package in PURE_PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def _imports(path: Path) -> set[str]:
    """The top-level packages that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", list(_modules()), ids=_name)
def test_a_core_does_no_io_and_has_no_clock(path: Path) -> None:
    if _name(path) not in SHELLS:
        assert not _imports(path) & IMPURE


def test_every_shell_that_is_named_exists_and_needs_it() -> None:
    for name in SHELLS:
        path = ROOT / (name.replace(".", "/") + ".py")
        assert _imports(path) & IMPURE, f"{name} is pure: take it from the list"


def test_imports_go_in_the_direction_of_the_design(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    code = lint_imports(config_filename="pyproject.toml", no_cache=True)
    assert code == 0, capsys.readouterr().out
