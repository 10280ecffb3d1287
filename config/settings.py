"""`load(path)`: the settings of the service, from defaults, then a TOML file, then the environment."""

from pathlib import Path

from config.models import (
    Alarms,
    Api,
    Device,
    Log,
    Operator,
    Recordings,
    Rtp,
    Settings,
    Sip,
    Store,
    Trunk,
    Worker,
)
from voice.errors import ConfigurationError

__all__ = [
    "Alarms",
    "Api",
    "ConfigurationError",
    "Device",
    "Log",
    "Operator",
    "Recordings",
    "Rtp",
    "Settings",
    "Sip",
    "Store",
    "Trunk",
    "Worker",
    "load",
]


def load(path: Path | None) -> Settings:
    import tomllib

    return Settings.model_validate(tomllib.loads(path.read_text()) if path else {})
