"""What can be configured: one frozen model per table of the TOML file. `example.toml` explains every key.

Unknown keys are errors everywhere. Numbers and booleans are taken as they are written: `"5"` is no number.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    Strict,
    model_validator,
)
from pydantic_core import PydanticCustomError

from config.values import (
    Network,
    PortRange,
    parse_address,
    parse_addresses,
    parse_host,
    parse_network,
    parse_ports,
    parse_sip_uri,
)
from voice.address import Address
from voice.incidents.kinds import Kind


def _optional(parse: Callable[[object], object]) -> BeforeValidator:
    """An empty string means: not set."""
    return BeforeValidator(lambda value: None if value in ("", None) else parse(value))


def _text(value: object) -> object:
    return value


def _matching(pattern: str, allowed: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if compiled.fullmatch(value) is None:
            raise ValueError(f"{value!r} does not fit; allowed: {allowed}")
        return value

    return AfterValidator(check)


def _kind(value: object) -> Kind:
    try:
        return Kind(str(value))
    except ValueError:
        raise ValueError(f"{value!r} is no kind of alarm; allowed: {', '.join(Kind)}") from None


def _expand(path: Path) -> Path:
    return path.expanduser().absolute()


Addresses = Annotated[tuple[Address, ...], PlainValidator(parse_addresses)]
OptionalAddress = Annotated[
    Address | None, _optional(lambda value: value if isinstance(value, tuple) else parse_address(value))
]
Host = Annotated[str | None, _optional(parse_host)]
Networks = tuple[Annotated[Network, PlainValidator(parse_network)], ...]
SipUri = Annotated[str, PlainValidator(parse_sip_uri)]
OptionalSipUri = Annotated[str | None, _optional(parse_sip_uri)]
OptionalPath = Annotated[Path | None, _optional(_text)]
Folder = Annotated[Path, AfterValidator(_expand)]
AlarmKind = Annotated[Kind, BeforeValidator(_kind)]
Ports = Annotated[PortRange, PlainValidator(parse_ports)]
Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict()]
Flag = Annotated[bool, Strict()]
Reference = Annotated[str | None, _optional(_text)]
Secret = Annotated[str | None, _optional(_text), Field(repr=False)]
Name = Annotated[str, _matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "1 to 64 letters, digits, '.', '_', '-'")]
UserPart = Annotated[
    str, _matching(r"[A-Za-z0-9._~+!*'()&=$,;?/%-]{1,128}", "the user part of a SIP URI, such as 'badge-7'")
]
User = Annotated[UserPart | None, _optional(_text)]
Numbers = tuple[
    Annotated[str, _matching(r"\+?[A-Za-z0-9*#._-]{1,64}", "a telephone number such as '+31612345678'")], ...
]
StoreUrl = Annotated[str, _matching(r"sqlite:///.+", "sqlite:///relative/path or sqlite:////absolute/path")]
Codec = Literal["PCMA", "PCMU"]
DigestAlgorithm = Literal["SHA-256", "MD5"]


class Table(BaseModel):
    """A table of the file: frozen, and without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Sip(Table):
    """`[sip]`: where signalling is received, and how peers are treated."""

    udp: Addresses = (("0.0.0.0", 5060),)
    tcp: Addresses = (("0.0.0.0", 5060),)
    tls: Addresses = ()
    certificate: OptionalPath = None
    private_key: OptionalPath = None
    ca: OptionalPath = None
    realm: str = Field("earshot", min_length=1)
    digest_algorithms: tuple[DigestAlgorithm, ...] = Field(("MD5",), min_length=1)
    digest_without_qop: Flag = True
    public_address: Host = None
    trusted_networks: Networks = ()
    user_agent: str = Field("Earshot", min_length=1)
    rate_limit_per_minute: Whole = Field(120, ge=0)
    max_message_bytes: Whole = Field(65535, ge=2048, le=1_048_576)
    session_expires: Whole = Field(1800, ge=90)
    trace: Flag = True
    trace_directory: OptionalPath = Path("earshot-data/trace")
    trace_bodies: Flag = False

    @model_validator(mode="after")
    def _tls_has_a_certificate(self) -> Self:
        if self.tls and not (self.certificate and self.private_key):
            raise PydanticCustomError("sip", "tls needs certificate and private_key (two PEM files)", {"key": "tls"})
        if not (self.udp or self.tcp or self.tls):
            raise PydanticCustomError("sip", "udp, tcp and tls are all off: nothing could call", {"key": "udp"})
        return self


class Rtp(Table):
    """`[rtp]`: where audio is received."""

    address: Annotated[str, PlainValidator(parse_host)] = "0.0.0.0"
    public_address: Host = None
    ports: Ports = PortRange(20000, 23999)


class Store(Table):
    """`[store]`: the database."""

    url: StoreUrl = "sqlite:///earshot-data/earshot.db"


class Recordings(Table):
    """`[recordings]`: where audio is kept."""

    directory: Folder = Path("earshot-data/recordings")
    memory_limit_mb: Whole = Field(256, ge=16)


class Api(Table):
    """`[api]`: health and metrics over HTTP."""

    listen: OptionalAddress = ("127.0.0.1", 8060)


class Alarms(Table):
    """`[alarms]`: how an alarm is taken up."""

    numbers: Mapping[str, AlarmKind] = Field(default_factory=dict)
    ring: Literal["all", "longest_idle"] = "all"
    ring_seconds: Number = Field(30.0, ge=3, le=600)
    catch_up_speed: Number = Field(1.5, ge=1.0, le=3.0)
    callback_seconds: Number = Field(3.0, ge=0, le=600)
    no_audio_seconds: Number = Field(3.0, ge=0.5, le=60)


class Log(Table):
    """`[log]`: what the service says about itself."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    json_lines: Flag = Field(False, alias="json")
    personal_data: Flag = False


class Worker(Table):
    """`[[workers]]`: a person who works alone."""

    id: Name
    name: str = Field(min_length=1)
    numbers: Numbers = ()


class Device(Table):
    """`[[devices]]`: a badge, watch, app or phone that raises alarms."""

    id: Name
    username: User = None
    password: Secret = None
    worker: Reference = None
    numbers: Numbers = ()
    kind: AlarmKind = Kind.PANIC
    discreet: Literal["silence", "keepalive", "recvonly"] = "silence"
    callback: OptionalSipUri = None
    challenge: Flag = True
    trunk: Reference = None

    @model_validator(mode="after")
    def _can_be_recognised(self) -> Self:
        if self.password and not self.username:
            raise PydanticCustomError("device", "a password needs a username", {"key": "password"})
        if not (self.username or self.numbers):
            raise PydanticCustomError("device", "needs a username or numbers, or it is never recognised", {"key": "id"})
        return self


class Operator(Table):
    """`[[operators]]`: a person who answers alarms; registers with `username`, or is rung at `uri`."""

    id: Name
    name: str = Field(min_length=1)
    username: User = None
    password: Secret = None
    uri: OptionalSipUri = None

    @model_validator(mode="after")
    def _can_be_rung(self) -> Self:
        if not (self.username or self.uri):
            raise PydanticCustomError(
                "operator", "needs a username (registers) or a uri (is rung there)", {"key": "id"}
            )
        if bool(self.username) != bool(self.password):
            raise PydanticCustomError("operator", "username and password belong together", {"key": "username"})
        return self


class Trunk(Table):
    """`[[trunks]]`: a provider or telephone exchange that calls come from and go to."""

    id: Name
    uri: SipUri
    username: User = None
    password: Secret = None
    register_: Flag = Field(False, alias="register")
    register_expires: Whole = Field(600, ge=60, le=86400)
    networks: Networks = ()
    codecs: tuple[Codec, ...] = Field(("PCMA", "PCMU"), min_length=1)
    from_user: User = None

    @model_validator(mode="after")
    def _registers_with_a_name(self) -> Self:
        if self.register_ and not (self.username and self.password):
            raise PydanticCustomError("trunk", "register needs username and password", {"key": "register"})
        return self


Named = TypeVar("Named", Device, Worker, Operator, Trunk)


class Settings(Table):
    """Everything that can be configured. Built by `config.settings.load`."""

    sip: Sip = Field(default_factory=Sip)
    rtp: Rtp = Field(default_factory=Rtp)
    store: Store = Field(default_factory=Store)
    recordings: Recordings = Field(default_factory=Recordings)
    api: Api = Field(default_factory=Api)
    alarms: Alarms = Field(default_factory=Alarms)
    log: Log = Field(default_factory=Log)
    devices: tuple[Device, ...] = ()
    workers: tuple[Worker, ...] = ()
    operators: tuple[Operator, ...] = ()
    trunks: tuple[Trunk, ...] = ()

    def device(self, id: str) -> Device | None:
        return _by_id(self.devices, id)

    def worker(self, id: str) -> Worker | None:
        return _by_id(self.workers, id)

    def operator(self, id: str) -> Operator | None:
        return _by_id(self.operators, id)

    def trunk(self, id: str) -> Trunk | None:
        return _by_id(self.trunks, id)


def _by_id(rows: Iterable[Named], id: str) -> Named | None:
    return next((row for row in rows if row.id == id), None)
