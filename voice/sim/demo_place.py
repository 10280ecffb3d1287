"""Where a demo lives: a folder of its own with a configuration like any other, on free ports of this machine."""

import secrets
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from config.settings import Settings, load
from voice.address import Address

HOST = "127.0.0.1"
_LETTERS = "abcdefghjkmnpqrstuvwxyz"

_TOML = """\
# The demo of {started}. `earshot serve --config` takes this file as well.

[sip]
udp = "{host}:{sip}"
tcp = "{host}:{sip}"
trace_directory = "{folder}/trace"

[rtp]
address = "{host}"

[store]
url = "sqlite:///{folder}/earshot.db"

[recordings]
directory = "{folder}/recordings"

[api]
listen = "{host}:{api}"

[[workers]]
id = "anna"
name = "Anna Jansen"

[[devices]]
id = "badge-7"
username = "badge-7"
password = "{badge_password}"
worker = "anna"

[[operators]]
id = "olga"
name = "Olga de Vries"
username = "olga"
password = "{operator_password}"
"""


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of one demo, and its settings."""

    folder: Path
    settings: Settings
    ports: Mapping[str, int] = field(default_factory=dict)
    """Of the telephones that are called at an address of their own."""

    @property
    def configuration(self) -> Path:
        return self.folder / "earshot.toml"

    @property
    def server(self) -> Address:
        """Where phones find the service."""
        return self.settings.sip.udp[0]


_ESCALATION = """
[speech]
directory = "{folder}/speech"

[messages]
file = "{folder}/messages.jsonl"

[[customers]]
id = "east"
name = "Home Care East"
language = "en"
plan = "nights"
callback_number = "+31200000100"
close_word = "TULP"
duress_word = "ROOS"
address = "Kerkstraat 1, Amsterdam"
latitude = 52.3647
longitude = 4.8895
uncertainty_m = 15.0

[[plans]]
id = "nights"
[[plans.steps]]
ring = "operators"
seconds = 5.0
[[plans.steps]]
ring = ["contact:manager", "contact:bas"]
seconds = 30.0
[[plans.steps]]
emergency = "control-room"
seconds = 30.0

[[contacts]]
id = "manager"
name = "Mies Manager"
numbers = "sip:manager@{host}:{manager}"

[[contacts]]
id = "bas"
name = "Bas Bakker"
numbers = "sip:bas@{host}:{bas}"

[[emergency_routes]]
id = "control-room"
name = "the simulated control room"
number = "sip:room@{host}:{room}"
language = "en"
"""

_CHECK_IN = """
[speech]
directory = "{folder}/speech"

[[customers]]
id = "east"
name = "Home Care East"
language = "en"
"""

_ANNA = 'name = "Anna Jansen"\n'

CALLED = ("manager", "bas", "room", "anna")
"""Who is called at an address of his own."""

Tale = Literal["alarm", "escalation", "check-in"]


def prepare(now: datetime, tale: Tale = "alarm") -> Place:
    """A fresh folder under ./earshot-data, or a temporary one where that cannot be made, with a configuration."""
    folder = _folder(now)
    ports = {name: _free_port() for name in CALLED}
    match tale:
        case "alarm":
            text = _TOML
        case "escalation":
            text = _TOML.replace(_ANNA, _ANNA + 'customer = "east"\n') + _ESCALATION
        case "check-in":
            called = 'customer = "east"\nlanguage = "en"\nnumbers = ["sip:anna@{host}:{anna}"]\n'
            text = _TOML.replace(_ANNA, _ANNA + called) + _CHECK_IN
    text = text.format(
        started=f"{now:%Y-%m-%d %H:%M:%S}",
        host=HOST,
        sip=_free_port(),
        api=_free_port(),
        folder=folder,
        badge_password=_password(),
        operator_password=_password(),
        **ports,
    )
    path = folder / "earshot.toml"
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    return Place(folder, load(path), ports)


def _folder(now: datetime) -> Path:
    parent = Path("earshot-data").absolute()
    try:
        parent.mkdir(exist_ok=True)
        return _fresh(parent / f"demo-{now:%Y%m%d-%H%M%S}")
    except OSError:
        return Path(tempfile.mkdtemp(prefix="earshot-demo-"))


def _fresh(wanted: Path) -> Path:
    """`wanted`, or the next name that is free."""
    number, folder = 1, wanted
    while True:
        try:
            folder.mkdir(mode=0o700)
            return folder
        except FileExistsError:
            number += 1
            folder = wanted.with_name(f"{wanted.name}-{number}")


def _free_port() -> int:
    """A port that is free for UDP and for TCP."""
    while True:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        ):
            tcp.bind((HOST, 0))
            port = int(tcp.getsockname()[1])
            try:
                udp.bind((HOST, port))
            except OSError:
                continue
            return port


def _password() -> str:
    """Eight letters that are easy to type into a phone."""
    return "".join(secrets.choice(_LETTERS) for _ in range(8))
