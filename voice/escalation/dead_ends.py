"""Where a call of a plan would go nowhere: numbers that nothing calls, control rooms behind the interlock, help that is
not told where to go. No call is made, and nothing is asked: it goes by the configuration alone."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from ipaddress import ip_address

from config.freezing import everybody
from config.models import Device, Settings, Worker
from config.plans import Contact, Customer, EmergencyRoute, FrozenPlan
from voice.contacts import is_uri, number_uri
from voice.errors import EarshotError
from voice.escalation.explaining import called
from voice.escalation.phrases import listed
from voice.escalation.sparing import is_own, lines, own_lines, reach
from voice.escalation.targets import OPERATORS
from voice.interlock import Interlock
from voice.sip.routing import next_hop


def of_contacts(frozen: FrozenPlan, settings: Settings) -> Iterator[str]:
    """What is wrong with the numbers of those whom the plan rings."""
    rung = everybody(frozen, [target for step in frozen.plan.steps for target in step.ring])
    trunks = frozen.customer.trunks if frozen.customer else ()
    for contact in rung:
        for number in contact.numbers:
            yield from (f"{contact.id!r}: {line}" for line in _of_number(number, trunks, settings))
    yield from _shared(rung)
    targets = [target for step in frozen.plan.steps for target in (*step.ring, *step.message)]
    yield from _in_danger(frozen, everybody(frozen, targets), settings)


def _of_number(number: str, trunks: Sequence[str], settings: Settings) -> Iterator[str]:
    ways = _ways(number, trunks, settings)
    if not ways:
        yield f"{number} cannot be called, for there are no [[trunks]]: add one"
    elif all(_refused(number, way, settings) for way in ways):
        yield f"{number} is taken for an emergency number and refused: write a person's own number, with its country"


def _shared(rung: Iterable[Contact]) -> Iterator[str]:
    """One telephone that is to ring for two people."""
    owners: dict[str, list[str]] = defaultdict(list)
    for contact in rung:
        for number in contact.numbers:
            owners[number].append(contact.id)
    for number, ids in owners.items():
        if len(ids) > 1:
            yield f"{listed([repr(id) for id in ids])} have the number {number}: it is called once for each of them"


def _in_danger(frozen: FrozenPlan, meant: Sequence[Contact], settings: Settings) -> Iterator[str]:
    """Who is rung or written to, and may be the one who calls for help: then his telephones are left alone."""
    customer = frozen.customer
    worn: dict[str | None, list[Device]] = defaultdict(list)
    for device in settings.devices:
        worn[device.worker].append(device)
    for worker in settings.workers:
        if _follows(worker, customer, worn[worker.id]):
            yield from _left_alone(frozen, meant, f"worker {worker.id!r}", own_lines(worker, None, worn[worker.id]))
    for device in (device for device in settings.devices if _is_alone(device, customer, settings)):
        yield from _left_alone(frozen, meant, f"device {device.id!r}", own_lines(None, device))


def _left_alone(frozen: FrozenPlan, meant: Sequence[Contact], whose: str, own: tuple[str, ...]) -> Iterator[str]:
    """What the alarms of one worker leave out, and whether anybody is left."""
    spared = [(contact, line) for contact in meant for line in lines(contact) if is_own(line, own)]
    for contact, line in spared:
        what = {contact.email: "e-mail address", contact.sms: "sms number"}.get(line, "number")
        nothing = reach(contact, own).nothing
        left_out = repr(contact.id) if nothing else line
        yield (
            f"{contact.id!r} has the {what} {line} of {whose}: in an alarm of {whose} {left_out} is neither rung nor "
            "written to, for that would betray the worker"
        )
    rings = [target for step in frozen.plan.steps for target in step.ring]
    if spared and OPERATORS not in rings and not any(reach(c, own).numbers for c in everybody(frozen, rings)):
        yield f"an alarm of {whose} rings nobody, for those who would be rung are the worker himself: add somebody else"


def _follows(worker: Worker, customer: Customer | None, worn: Iterable[Device]) -> bool:
    """Whether an alarm of his may follow this customer's plan: his own, else that of a device of his."""
    whose = [worker.customer] if worker.customer else [None, *(device.customer for device in worn)]
    return (customer.id if customer else None) in whose


def of_routes(frozen: FrozenPlan, settings: Settings) -> Iterator[str]:
    """What is wrong with the calls to control rooms."""
    for route in frozen.routes.values():
        yield from (f"emergency route {route.id!r}: {line}" for line in _of_route(route, settings))
    if not frozen.routes:
        return
    yield from _unlocated(frozen.customer, settings)
    customer = frozen.customer
    if customer and not (customer.callback_number or customer.caller_id):
        yield f"customer {customer.id!r} has no callback_number: the control room cannot be told whom to call back"


def _of_route(route: EmergencyRoute, settings: Settings) -> Iterator[str]:
    ways = _ways(route.number, route.trunks, settings)
    refused = [way for way in ways if _refused(route.number, way, settings)]
    if not ways:
        yield f"{route.number} cannot be called, for there are no [[trunks]]: add one"
    elif ways == [None] and refused:
        yield f"{called(route)} is an emergency number, and is never called without a trunk: write the number alone"
    elif refused == ways:
        wanted = listed([repr(way) for way in ways], last="or")
        yield f"{called(route)} is refused: agree the call in writing, then name {wanted} in emergency.armed"
    elif refused:
        over = listed([repr(way) for way in refused])
        yield f"{called(route)} is refused over {over}: emergency.armed does not name it"
    if ways == [None] and _is_here(route.number):
        yield f"{called(route)} is this computer, and no control room: fine for trying out, and for nothing else"


def _unlocated(customer: Customer | None, settings: Settings) -> Iterator[str]:
    """Those of whom the control room would not be told where they are: a worker's own place, else his customer's."""
    if customer is not None and _placed(customer):
        return
    nowhere = [worker.name for worker in settings.workers if _is_of(worker, customer) and not _placed(worker)]
    nowhere += [f"device {device.id}" for device in settings.devices if _is_alone(device, customer, settings)]
    if nowhere:
        where = f"customer {customer.id!r}, or each worker," if customer else "each worker"
        yield (
            f"the control room would not be told where to go: nothing says where {listed(nowhere, last='or')} is; "
            f"give {where} an address or a position"
        )


def _is_of(row: Worker | Device, customer: Customer | None) -> bool:
    return row.customer == (customer.id if customer else None)


def _is_alone(device: Device, customer: Customer | None, settings: Settings) -> bool:
    """Whether nobody wears it of whom more is known."""
    worker = settings.worker(device.worker) if device.worker else None
    return worker is None and _is_of(device, customer)


def _placed(row: Customer | Worker) -> bool:
    return bool(row.address) or row.latitude is not None


def _ways(number: str, trunks: Sequence[str], settings: Settings) -> list[str | None]:
    """The trunks through which a number may be called; None: a SIP address, directly."""
    if number.lower().startswith(("sip:", "sips:")):
        return [None]
    return list(trunks) or [trunk.id for trunk in settings.trunks]


def _refused(number: str, way: str | None, settings: Settings) -> bool:
    trunk = settings.trunk(way) if way else None
    uri = number_uri(number, trunk) if trunk and not is_uri(number) else number
    try:
        _interlock(settings.emergency.armed, settings.emergency.numbers).permit(uri, way)
    except EarshotError:
        return True
    return False


@cache
def _interlock(armed: tuple[str, ...], numbers: tuple[str, ...]) -> Interlock:
    return Interlock(armed, numbers)


def _is_here(uri: str) -> bool:
    try:
        host = next_hop(uri).host
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
