"""What can be configured: one frozen model per table of the TOML file. `example.toml` explains every key.

Unknown keys are errors everywhere. Numbers and booleans are taken as they are written: `"5"` is no number.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from socket import gethostname
from typing import Annotated, Any, Literal, Protocol, Self, TypeVar

from pydantic import BeforeValidator, Field, PlainValidator, model_validator
from pydantic_core import PydanticCustomError

from config.check_ins import CheckIn, CheckInRules, DuressKeys, PinHash, Roster, ShortCode
from config.fields import (
    UNSET,
    Addresses,
    AlarmKind,
    Codec,
    DigestAlgorithm,
    Flag,
    Folder,
    Host,
    Latitude,
    Longitude,
    Metres,
    Name,
    Networks,
    Number,
    Numbers,
    OptionalAddress,
    OptionalPath,
    OptionalSipUri,
    OptionalWebUrl,
    PhoneNumber,
    Ports,
    Reference,
    References,
    Secret,
    Server,
    SipUri,
    StoreUrl,
    Table,
    Telephones,
    User,
    WebUrl,
    Whole,
    one_or_more,
    whole_position,
)
from config.freezing import freeze
from config.plans import (
    OPERATORS_ONLY,
    Contact,
    Customer,
    EmergencyRoute,
    FrozenPlan,
    OptionalLanguage,
    Plan,
    Rota,
    Team,
)
from config.values import PortRange, parse_host
from voice.incidents.kinds import Kind


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


class Escalation(Table):
    """`[escalation]`: what happens with alarms of whoever has no plan of his own."""

    default_plan: Reference = None
    """None: operators, until one takes it."""


class Emergency(Table):
    """`[emergency]`: the interlock between this service and real emergency numbers."""

    armed: References = ()
    """Trunks over which emergency numbers may be called. Over all others they are refused."""
    numbers: Annotated[tuple[PhoneNumber, ...], BeforeValidator(one_or_more)] = ()
    """Emergency numbers beside those that are known by country."""


class Node(Table):
    """`[node]`: this process among others on one database."""

    id: Annotated[Name | None, UNSET] = None
    """None: the name of the host."""
    lease_seconds: Number = Field(3.0, ge=1, le=60)
    """How long after its last sign of life another node takes over its incidents."""

    @property
    def name(self) -> str:
        return self.id or gethostname()


class Speech(Table):
    """`[speech]`: what people hear on the telephone."""

    engine: Literal["espeak-ng", "command", "none"] = "espeak-ng"
    """What speaks names, places and everything else that was not rendered ahead."""
    command: Annotated[tuple[str, ...], BeforeValidator(one_or_more)] = ()
    """With engine "command": the program and its arguments (docs/prompts.md)."""
    rendered: bool = True
    """Whether what was rendered ahead is played; false: everything is spoken by the engine, in one voice."""
    directory: Folder = Path("earshot-data/speech")
    """Where spoken texts are kept for the next time."""
    prompts: OptionalPath = None
    """A folder of recordings that are played instead."""

    @model_validator(mode="after")
    def _knows_its_command(self) -> Self:
        if (self.engine == "command") != bool(self.command):
            raise ValueError('speech.command belongs to speech.engine = "command", and that to it')
        return self


class Messages(Table):
    """`[messages]`: text messages and e-mail beside calls."""

    sms: Literal["file", "none"] = "file"
    file: Folder = Path("earshot-data/messages.jsonl")
    """Where `sms = "file"` writes them."""
    smtp: Server = None
    """The mail server; None: no e-mail goes out."""
    smtp_username: str = ""
    smtp_password: Secret = None
    smtp_tls: Literal["starttls", "tls", "none"] = "starttls"
    sender: str = ""
    """Of e-mails: an address, or a name and an address in angle brackets."""
    link_base: OptionalWebUrl = None
    """Where acknowledgement links lead to; None: messages carry none."""

    @model_validator(mode="after")
    def _mail_has_a_sender(self) -> Self:
        if self.smtp and "@" not in self.sender:
            raise PydanticCustomError(
                "messages", "smtp needs a sender, such as 'alarms@example.org'", {"key": "sender"}
            )
        if self.smtp_password and not self.smtp_username:
            raise PydanticCustomError("messages", "a password needs smtp_username", {"key": "smtp_password"})
        return self


class Webhook(Table):
    """`[[webhooks]]`: another system that is told what happens on incidents."""

    id: Name
    url: WebUrl = Field(repr=False)
    """May hold a secret of its own."""
    secret: str = Field(min_length=1, repr=False)
    """With which each delivery is signed."""
    events: Annotated[tuple[str, ...], BeforeValidator(one_or_more)] = ()
    """Kinds of timeline entries; empty: all."""


class Worker(Table):
    """`[[workers]]`: a person who works alone."""

    id: Name
    name: str = Field(min_length=1)
    numbers: Telephones = ()
    customer: Reference = None
    address: str = ""
    """Where he works when no device tells better. Empty, and no position: the customer's."""
    latitude: Latitude = None
    longitude: Longitude = None
    uncertainty_m: Metres = None
    """How far from the position he may be."""
    language: OptionalLanguage = None
    """What he hears on the telephone; None: the customer's."""
    code: ShortCode = None
    """With it he says who he is, when he calls from a strange number."""
    pin: PinHash = None
    duress_pin: PinHash = None
    """Is taken for his PIN by whoever listens, and raises a silent alarm."""
    duress_keys: DuressKeys = "00"
    """The same where a key is asked for; None: none."""
    check_in: Reference = None
    """How he is asked whether he is well; None: as `CheckInRules` has it."""
    roster: References = ()
    """When his sessions begin by themselves."""

    @model_validator(mode="after")
    def _has_a_whole_position(self) -> Self:
        whole_position(self, "worker")
        return self

    @model_validator(mode="after")
    def _has_a_pin_that_duress_can_stand_in_for(self) -> Self:
        if self.duress_pin and not self.pin:
            raise PydanticCustomError("worker", "a duress_pin needs a pin", {"key": "duress_pin"})
        if self.duress_pin and self.duress_pin == self.pin:
            raise PydanticCustomError("worker", "is the very hash of pin", {"key": "duress_pin"})
        return self


class Device(Table):
    """`[[devices]]`: a badge, watch, app or phone that raises alarms."""

    id: Name
    username: User = None
    password: Secret = None
    worker: Reference = None
    customer: Reference = None
    """Whose it is; not needed for a device with a worker who has a customer."""
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
    max_calls: Whole = Field(0, ge=0, le=10_000)
    """Calls of ours at one time; 0: no limit."""
    calls_per_second: Number = Field(0.0, ge=0, le=1000)
    """How fast calls of ours begin; 0: no limit."""
    options_seconds: Number = Field(0.0, ge=0, le=3600)
    """How often its health is asked for (OPTIONS); 0: never."""

    @model_validator(mode="after")
    def _registers_with_a_name(self) -> Self:
        if self.register_ and not (self.username and self.password):
            raise PydanticCustomError("trunk", "register needs username and password", {"key": "register"})
        return self


class Row(Protocol):
    """A row of a table that others refer to."""

    @property
    def id(self) -> str: ...


Named = TypeVar("Named", bound=Row)

SPECIAL_KINDS = frozenset({Kind.TEST, Kind.TECHNICAL})
"""Nobody is in danger: a customer's `plan` and the default one do not hold for them, only what `plans` says."""


EVERYBODYS = CheckInRules(id="everybody")
"""The check-ins of a worker who has none of his own."""


class Settings(Table):
    """Everything that can be configured. Built by `config.settings.load`."""

    sip: Sip = Field(default_factory=Sip)
    rtp: Rtp = Field(default_factory=Rtp)
    store: Store = Field(default_factory=Store)
    recordings: Recordings = Field(default_factory=Recordings)
    api: Api = Field(default_factory=Api)
    alarms: Alarms = Field(default_factory=Alarms)
    escalation: Escalation = Field(default_factory=Escalation)
    emergency: Emergency = Field(default_factory=Emergency)
    node: Node = Field(default_factory=Node)
    speech: Speech = Field(default_factory=Speech)
    messages: Messages = Field(default_factory=Messages)
    check_in: CheckIn = Field(default_factory=CheckIn)
    log: Log = Field(default_factory=Log)
    devices: tuple[Device, ...] = ()
    workers: tuple[Worker, ...] = ()
    operators: tuple[Operator, ...] = ()
    trunks: tuple[Trunk, ...] = ()
    customers: tuple[Customer, ...] = ()
    contacts: tuple[Contact, ...] = ()
    teams: tuple[Team, ...] = ()
    rotas: tuple[Rota, ...] = ()
    plans: tuple[Plan, ...] = ()
    emergency_routes: tuple[EmergencyRoute, ...] = ()
    check_ins: tuple[CheckInRules, ...] = ()
    rosters: tuple[Roster, ...] = ()
    webhooks: tuple[Webhook, ...] = ()

    def device(self, id: str) -> Device | None:
        return _by_id(self.devices, id)

    def worker(self, id: str) -> Worker | None:
        return _by_id(self.workers, id)

    def operator(self, id: str) -> Operator | None:
        return _by_id(self.operators, id)

    def trunk(self, id: str) -> Trunk | None:
        return _by_id(self.trunks, id)

    def customer(self, id: str) -> Customer | None:
        return _by_id(self.customers, id)

    def contact(self, id: str) -> Contact | None:
        return _by_id(self.contacts, id)

    def roster(self, id: str) -> Roster | None:
        return _by_id(self.rosters, id)

    def check_in_of(self, worker: Worker, roster: Roster | None = None) -> CheckInRules:
        """How a worker is asked: as his roster says, else as he himself has it, else as everybody."""
        named = (roster.check_in if roster else None) or worker.check_in
        return (_by_id(self.check_ins, named) if named else None) or EVERYBODYS

    def customer_of(self, device: Device | None, worker: Worker | None) -> Customer | None:
        """Whose plan an alarm follows: the worker's customer, else the device's."""
        id = (worker.customer if worker else None) or (device.customer if device else None)
        return self.customer(id) if id else None

    def plan_for(self, customer_id: str | None, kind: Kind) -> Plan:
        """By the kind of alarm, else the customer's, else the default, else operators until one takes it."""
        customer = self.customer(customer_id) if customer_id else None
        chosen = customer.plans.get(kind) if customer else None
        if chosen is None and kind not in SPECIAL_KINDS:
            chosen = (customer.plan if customer else None) or self.escalation.default_plan
        return (_by_id(self.plans, chosen) if chosen else None) or OPERATORS_ONLY

    def frozen_plan(self, customer_id: str | None, kind: Kind) -> FrozenPlan:
        """Everything that the escalation of an alarm may need. Asked again: the very same object."""
        plan = self.plan_for(customer_id, kind)
        customer = self.customer(customer_id) if customer_id else None
        key = (customer.id if customer else None, plan.id)
        if key not in self.frozen_plans:
            self.frozen_plans[key] = freeze(plan, customer, self)
        return self.frozen_plans[key]

    @cached_property
    def frozen_plans(self) -> dict[tuple[str | None, str], FrozenPlan]:
        """Those that were asked for, by customer and plan."""
        return {}

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, which freezes plans of its own: its rows may be others."""
        copied = super().model_copy(update=update, deep=deep)
        copied.__dict__.pop("frozen_plans", None)
        return copied


def _by_id(rows: Iterable[Named], id: str) -> Named | None:
    return next((row for row in rows if row.id == id), None)
