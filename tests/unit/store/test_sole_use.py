"""A database belongs to one service at a time."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from voice.errors import ConfigurationError
from voice.store.sole_use import sole_use

HOLD = """
import sys, time
from voice.store.sole_use import sole_use
with sole_use(sys.argv[1]):
    print(flush=True)
    time.sleep(60)
"""


def test_a_second_service_is_told_that_the_database_is_in_use(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new/earshot.db"
    with (
        sole_use(url),
        pytest.raises(ConfigurationError, match=r"earshot\.db is in use by another earshot"),
        sole_use(url),
    ):
        pass
    with sole_use(url):
        pass


def test_without_a_disk_for_the_lock_the_service_runs_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file is in the way")
    with structlog.testing.capture_logs() as log, sole_use(f"sqlite:///{tmp_path}/folder/earshot.db"):
        pass
    (told,) = log
    assert told["log_level"] == "error"
    assert "earshot.db.lock: Not a directory" in told["why"] or "File exists" in told["why"]


def test_a_killed_service_does_not_keep_its_successor_out(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/earshot.db"
    with subprocess.Popen([sys.executable, "-c", HOLD, url], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(ConfigurationError), sole_use(url):
            pass
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        with sole_use(url):
            pass
