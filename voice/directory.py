"""Who is calling: devices, workers, operators and trunks of the settings, found by what a call says of itself.

Pure. The order of proof is `domain.md`'s: authenticated user, then the source of a live registration, then
P-Asserted-Identity (RFC 3325, believed only from a trusted network), then From.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from config.check_ins import Button
from config.models import Device, Operator, Settings, Worker
from voice.address import parse_ip
from voice.escalation.sparing import own_lines
from voice.incidents.kinds import Kind
from voice.numbers import normal_number

Proof = Literal["digest", "registration", "asserted", "from", "none"]


@dataclass(frozen=True, slots=True)
class Claims:
    """What an INVITE says about its caller. Users are the user parts of SIP or tel URIs, lower case."""

    source: str
    """Host that the request came from."""
    from_user: str
    from_uri: str
    asserted: tuple[str, ...] = ()
    """Users of P-Asserted-Identity."""
    verified: str | None = None
    """User name that digest proved."""
    registered: str | None = None
    """User whose live registration came over the same flow."""
    dialled: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller as far as he is known. `device` is None for an unknown one."""

    device: Device | None
    worker: Worker | None
    proof: Proof
    claimed: str
    """The number or user that the call names; personal data."""


class Lookups:
    """Tables over settings. Nothing in them changes, so that another thread may build them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.devices = {d.username.lower(): d for d in settings.devices if d.username}
        self.operators = {o.username.lower(): o for o in settings.operators if o.username}
        self.workers = {w.id: w for w in settings.workers}
        self.numbers: dict[str, Device] = {}
        own = {d.worker: d for d in reversed(settings.devices) if d.worker}
        for worker in settings.workers:
            for number in worker.numbers:
                if worker.id in own:
                    self.numbers[normal_number(number)] = own[worker.id]
        for device in settings.devices:
            for number in device.numbers:
                self.numbers[normal_number(number)] = device
        self.telephones = {normal_number(number): w for w in settings.workers for number in w.numbers}
        self.worn: dict[str, list[Device]] = {}
        for device in settings.devices:
            if device.worker:
                self.worn.setdefault(device.worker, []).append(device)
        self.check_in_numbers = {normal_number(number) for number in settings.check_in.numbers}
        self.secrets = {d.username: d.password for d in settings.devices if d.username and d.password}
        self.secrets |= {o.username: o.password for o in settings.operators if o.username and o.password}


class Directory:
    """The settings that hold now, and who is who by them. Whoever keeps the directory follows what is changed."""

    def __init__(self, settings: Settings) -> None:
        self._now = Lookups(settings)

    def use(self, lookups: Lookups) -> None:
        """From now on these hold, all at once."""
        self._now = lookups

    @property
    def settings(self) -> Settings:
        """Those that hold now. An incident that is open keeps what it has taken of earlier ones."""
        return self._now.settings

    def secret(self, username: str) -> str | None:
        """The digest password of a device or an operator."""
        return self._now.secrets.get(username)

    def may_register(self, username: str) -> bool:
        """Whether a user of this name exists and can prove itself."""
        return username in self._now.secrets

    def operator(self, username: str) -> Operator | None:
        return self._now.operators.get(username.lower())

    def device(self, username: str) -> Device | None:
        return self._now.devices.get(username.lower())

    def trusts(self, host: str) -> bool:
        """Whether a host lies in a trusted network, or in a network of a trunk."""
        try:
            address = parse_ip(host.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None) or address
        networks = [
            *self.settings.sip.trusted_networks,
            *(n for t in self.settings.trunks for n in t.networks),
        ]
        return any(mapped in network for network in networks if network.version == mapped.version)

    def identify(self, claims: Claims) -> Caller:
        """Find device and worker. The first claim that names a known device wins, strongest proof first."""
        trusted = self.trusts(claims.source)
        for proof, names in self._by_strength(claims, trusted):
            for name in names:
                device = self._named(name)
                if device is not None:
                    worker = self._now.workers.get(device.worker) if device.worker else None
                    return Caller(device, worker, proof, name)
        claimed = next((name for _, names in self._by_strength(claims, trusted) for name in names if name), "")
        return Caller(None, None, "none", claimed)

    def _named(self, name: str) -> Device | None:
        return self.device(name) or self._now.numbers.get(normal_number(name))

    def own_lines(self, worker: Worker | None, device: Device | None, claimed: str = "") -> tuple[str, ...]:
        """What leads to whoever is in danger. A claim is enough to spare somebody, where nothing better is known."""
        if worker is None and device is None and claimed:
            device, worker = self._named(claimed), self._now.telephones.get(normal_number(claimed))
        if worker is None and device is not None and device.worker:
            worker = self._now.workers.get(device.worker)
        return own_lines(worker, device, self._now.worn.get(worker.id, ()) if worker else ())

    @staticmethod
    def _by_strength(claims: Claims, trusted: bool) -> Iterable[tuple[Proof, tuple[str, ...]]]:
        if claims.verified:
            yield "digest", (claims.verified,)
        if claims.registered:
            yield "registration", (claims.registered,)
        if trusted:
            yield "asserted", claims.asserted
        yield "from", (claims.from_user,)

    def is_for_workers(self, claims: Claims) -> bool:
        """Whether a worker calls a number for check-ins. A device that does so raises an alarm: it must never speak."""
        dialled = normal_number(claims.dialled)
        names = (claims.from_user, claims.verified or "", claims.registered or "")
        return dialled in self._now.check_in_numbers and not any(name and self.device(name) for name in names)

    def button(self, claims: Claims, caller: Caller) -> Button | None:
        """What a device's button does to the session of its worker. A claim alone does nothing: then it is an alarm."""
        proven = caller.proof in ("digest", "registration", "asserted") or self.trusts(claims.source)
        button = self.settings.check_in.buttons.get(claims.dialled)
        return button if proven and caller.device is not None and caller.worker is not None else None

    def kind(self, dialled: str, caller: Caller) -> Kind:
        """`unidentified` for an unknown caller; else the kind of the dialled number; else the device's own."""
        if caller.device is None:
            return Kind.UNIDENTIFIED
        return self.settings.alarms.numbers.get(dialled) or caller.device.kind
