"""Which programs serve as a phone, and how one is made that registers with the service."""

from collections.abc import Callable
from pathlib import Path

from .certificates import Certificates
from .peers.baresip import Baresip
from .peers.linphone import Linphone
from .peers.pyvoip import PyVoip
from .service import Service

Phone = Baresip | Linphone | PyVoip
Sound = Callable[..., Path]

OPERATOR_TONE = 600.0
DEVICE_TONES = (400.0, 800.0, 1150.0, 1900.0, 2400.0, 2900.0)
"""What a device says, one after another: which of them is heard tells from which second on."""

SECRETS = {"olga": "oak-and-ash", "otto": "elm-and-yew", "badge": "rock-and-rye"}
OPERATORS = [
    {"id": name, "name": name.title(), "username": name, "password": SECRETS[name]} for name in ("olga", "otto")
]
WORKERS = [{"id": "wim", "name": "Wim de Boer"}]
BADGE = {"id": "badge-7", "username": "badge", "password": SECRETS["badge"], "worker": "wim"}

Settings = dict[str, dict[str, object]]

BOTH: Settings = {"sip": {"digest_algorithms": ["SHA-256", "MD5"]}}
"""For phones that know SHA-256. baresip 1.0 and SIPp 3.6 give up when it is offered at all."""
DIGEST: dict[str, Settings] = {"baresip": {}, "linphone": BOTH, "pyvoip": {}}
"""The settings that each program is tried with: the defaults, or SHA-256 where it is known."""


def phone(
    program: str,
    directory: Path,
    user: str,
    wav: Path,
    service: Service,
    *,
    transport: str = "udp",
    host: str = "127.0.0.1",
    answers: str = "manual",
    certificates: Certificates | None = None,
) -> Phone:
    """A phone of this make that registers as `user`."""
    server = (host, service.tls_port if transport == "tls" else service.port)
    secret = SECRETS[user]
    if program == "pyvoip":
        return PyVoip(directory, user, wav, server=server, password=secret, answers=answers)
    if program == "baresip":
        return Baresip(
            directory,
            user,
            wav,
            server=server,
            password=secret,
            transport=transport,
            answers=answers,
            host=host,
            certificates=certificates,
        )
    return Linphone(
        directory,
        user,
        wav,
        server=server,
        password=secret,
        transport=transport,
        answers=answers,
        host=host,
        authority=certificates.authority if certificates else None,
    )
