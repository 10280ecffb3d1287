"""The configuration file, and beside it a copy of what it said when it was last in use.

Somebody edits the file and makes a mistake in it. Nothing happens, until the process dies at night and is started
again: then it must answer alarms all the same. So what it starts with is kept, and stands in for a file that cannot
be used, for as long as that takes to mend.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from config.models import Settings
from config.settings import load, parse, read
from voice.errors import ConfigurationError

SUFFIX = ".last-good"


class ConfigurationFile:
    """The file that is named, or none: then the defaults hold, and nothing is kept."""

    def __init__(self, path: Path | None, environment: Mapping[str, str]) -> None:
        self.path = path
        self._environment = environment
        self._text: str | None = None

    @property
    def copy(self) -> Path | None:
        """Where the copy lies: `earshot.toml.last-good`. It has the secrets of the file; only its owner may read it."""
        return None if self.path is None else self.path.with_name(self.path.name + SUFFIX)

    def load(self) -> Settings:
        """What it says now. Raises `ConfigurationError` that names every mistake."""
        if self.path is None:
            return load(None, self._environment)
        text = read(self.path)
        settings = parse(text, str(self.path), self._environment)
        self._text = text
        return settings

    def load_last_good(self) -> tuple[Settings, datetime] | None:
        """What it said when it was last in use, and since when (UTC). None: that is not known, or no use either."""
        if self.copy is None:
            return None
        try:
            settings = load(self.copy, self._environment)
            return settings, datetime.fromtimestamp(self.copy.stat().st_mtime, UTC)
        except (ConfigurationError, OSError):
            return None

    def keep(self) -> str | None:
        """Keep what `load` has read. Gives why that is not possible; None: it is kept."""
        if self.copy is None or self._text is None:
            return None
        new = self.copy.with_name(self.copy.name + ".new")
        try:
            with suppress(FileNotFoundError, UnicodeDecodeError):
                if self.copy.read_text(encoding="utf-8") == self._text:
                    return None
            new.unlink(missing_ok=True)  # of a process that died here
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(self._text)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self.copy)
        except OSError as error:
            with suppress(OSError):
                new.unlink()
            return f"{self.copy}: {error.strerror}"
        return None
