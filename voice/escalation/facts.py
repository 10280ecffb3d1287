"""What is known of an alarm when it opens: for the voice that asks for help, for messages, for the control room."""

from config.models import Device, Worker
from config.plans import Customer
from voice.escalation.state import Facts
from voice.incidents.kinds import Kind


def facts_of(
    kind: Kind,
    *,
    device: Device | None,
    worker: Worker | None,
    customer: Customer | None,
    own_lines: tuple[str, ...] = (),
) -> Facts:
    """The worker's own place, else his customer's. A position of a device comes later, as an event.

    `own_lines`: what leads to the worker (`Directory.own_lines`).
    """
    place: Worker | Customer | None = worker if worker is not None and _placed(worker) else customer
    return Facts(
        kind=kind.value,
        priority=kind.priority,
        worker=worker.name if worker else "",
        device=device.id if device else "",
        address=place.address if place else "",
        latitude=place.latitude if place else None,
        longitude=place.longitude if place else None,
        uncertainty_m=place.uncertainty_m if place else None,
        own_lines=own_lines,
    )


def nobody_reached(facts: Facts) -> str:
    """What an operator's phone shows for the technical alarm that tells of it. Never written to a log."""
    who = facts.worker or facts.device or "unknown caller"
    return f"nobody reached: {who}, {facts.kind.replace('_', ' ')}"


def _placed(worker: Worker) -> bool:
    return bool(worker.address) or worker.latitude is not None
