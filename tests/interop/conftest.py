"""Fixtures of the interop tests: programs, sounds and certificates, and every log of a test that failed."""

import os
from collections.abc import Callable, Generator
from pathlib import Path

import numpy as np
import pytest

from .certificates import Certificates, make_certificates
from .program import Program, installed, tail
from .sounds import ladder, silence, write_wav


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*programs): peers that have to be installed for this test")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.interop)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A peer that is missing skips its tests on somebody's own machine, and fails them in CI."""
    missing = [name for mark in item.iter_markers("needs") for name in mark.args if not installed(name)]
    if missing:
        why = f"not installed: {', '.join(missing)}"
        if os.environ.get("CI"):
            pytest.fail(why, pytrace=False)
        pytest.skip(why)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        given = getattr(item, "funcargs", {})
        folders = [value for value in given.values() if isinstance(value, Path)]
        logs = [value.log for value in given.values() if isinstance(value, Program)]
        for log in logs + [log for folder in folders for log in sorted(folder.glob("*/*.log"))]:
            if log.name != "core.log":
                report.sections.append((log.stem, tail(log)))
    return report


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`sound(400, 800, seconds=2)`: a WAV with these tones one after another, then silence."""
    folder = tmp_path_factory.mktemp("sounds")

    def make(*frequencies: float, seconds: float = 30) -> Path:
        # Silence follows, for minutes: baresip hangs up when its file ends.
        samples = np.concatenate([ladder(frequencies, seconds), silence(120)])
        return write_wav(folder / f"{'-'.join(f'{f:g}' for f in frequencies)}-{seconds:g}.wav", samples)

    return make
