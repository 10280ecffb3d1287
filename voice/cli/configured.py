"""The configuration that a command works with."""

import os
import sys
from argparse import Namespace
from pathlib import Path

from config.last_good import ConfigurationFile
from config.settings import Settings
from voice.errors import ConfigurationError


def configuration_file(options: Namespace) -> ConfigurationFile:
    """The one that `--config` names, else the environment, else none."""
    named = os.environ.get("EARSHOT_CONFIG")
    return ConfigurationFile(options.config or (Path(named) if named else None), os.environ)


def written(options: Namespace) -> Settings:
    """What the file says. Raises `ConfigurationError` that names every mistake."""
    return configuration_file(options).load()


def in_use(options: Namespace) -> Settings:
    """What the file says, or, where that cannot be used, what it said when the service last used it.

    A mistake in the file keeps nobody from seeing and resolving an alarm. Raises `ConfigurationError`.
    """
    return load_or_last_good(configuration_file(options))[0]


def load_or_last_good(file: ConfigurationFile) -> tuple[Settings, bool]:
    """The settings, and whether they are those of the file. Every mistake in it is told on standard error."""
    try:
        return file.load(), True
    except ConfigurationError as error:
        last_good = file.load_last_good()
        if last_good is None:
            raise
        settings, since = last_good
        for line in str(error).splitlines():
            print(f"earshot: {line}", file=sys.stderr)
        print(f"earshot: what it said on {since:%Y-%m-%d %H:%M} UTC is used instead: {file.copy}", file=sys.stderr)
        return settings, False
