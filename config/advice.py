"""What is allowed in a configuration, and yet worth a second look."""

from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from config.check_ins import CheckInRules
from config.freezing import everybody, freeze
from config.models import Settings, Webhook, Worker
from config.plans import FrozenPlan, Plan, Step


def advice(settings: Settings) -> Iterator[str]:
    """One line for each thing that a careful colleague would point out."""
    yield from _of_calls(settings)
    yield from _of_secrets(settings)
    yield from _of_devices(settings)
    yield from _of_trunks(settings)
    yield from _of_messages(settings)
    yield from _of_check_ins(settings)
    for plan in settings.plans:
        yield from (f"plans: {plan.id!r}: {line}" for line in _of_plan(plan, settings))
    if settings.plans and not settings.escalation.default_plan:
        yield "escalation.default_plan is not set: alarms of whoever has no customer ring operators only"
    for webhook in settings.webhooks:
        yield from _of_webhook(webhook)


def _of_calls(settings: Settings) -> Iterator[str]:
    if not settings.operators:
        whom = "plans ring contacts only" if settings.plans else "nobody is rung"
        yield f"there are no [[operators]]: alarms are answered and recorded, but {whom}"
    if not (settings.devices or settings.sip.trusted_networks):
        yield "there are no [[devices]] and no sip.trusted_networks: no alarm can be told from any call"
    for network in settings.sip.trusted_networks:
        if network.prefixlen == 0:
            yield f"sip.trusted_networks: {network} trusts everybody, who can then claim to be any device"


def _of_secrets(settings: Settings) -> Iterator[str]:
    for table in ("devices", "operators", "trunks"):
        for row in getattr(settings, table):
            if row.password and row.password.startswith("change-me"):
                yield f"{table}: {row.id!r} still has the password of the example"
    for webhook in settings.webhooks:
        if webhook.secret.startswith("change-me"):
            yield f"webhooks: {webhook.id!r} still has the secret of the example"


def _of_devices(settings: Settings) -> Iterator[str]:
    for device in settings.devices:
        if not (device.username or device.callback or device.trunk):
            yield f"devices: {device.id!r} cannot be called back: it has no username, callback or trunk"
        worker = settings.worker(device.worker) if device.worker else None
        if settings.customers and settings.customer_of(device, worker) is None:
            yield f"devices: {device.id!r} belongs to no customer: its alarms follow escalation.default_plan"


def _of_check_ins(settings: Settings) -> Iterator[str]:
    if settings.check_in.hook and not _is_private(settings.check_in.hook):
        yield "check_in.hook: over http: anybody on the way reads when check-ins are due"
    used = {worker.check_in for worker in settings.workers} | {roster.check_in for roster in settings.rosters}
    for rules in settings.check_ins:
        if rules.id not in used:
            yield f"check_ins: {rules.id!r} is nobody's"
        yield from (f"check_ins: {rules.id!r}: {line}" for line in _of_rules(rules))
    rostered = {id for worker in settings.workers for id in worker.roster}
    yield from (f"rosters: {roster.id!r} is nobody's" for roster in settings.rosters if roster.id not in rostered)
    for worker in settings.workers:
        yield from (f"workers: {worker.id!r}: {line}" for line in _of_worker(worker, settings))


def _of_rules(rules: CheckInRules) -> Iterator[str]:
    if 0 < rules.interval <= rules.warn_before:
        yield "warn_before is not less than interval: nobody is warned"
    if rules.interval < rules.earliest_missed:
        yield "a check-in is missed later than an interval after it was due: fewer or shorter retries, or less grace"


def _of_worker(worker: Worker, settings: Settings) -> Iterator[str]:
    is_asked = bool(worker.check_in or worker.roster)
    if is_asked and not worker.numbers:
        yield "has no numbers: none of his check-ins can be made, and each is missed"
    if is_asked and worker.numbers and not settings.trunks:
        yield "there are no [[trunks]]: none of his check-ins can be made, and each is missed"
    if is_asked and settings.customers and not worker.customer:
        yield "belongs to no customer: his missed check-ins follow escalation.default_plan"
    if worker.pin and not worker.duress_pin:
        yield "has a PIN and no duress_pin: if he is forced to enter it, nobody knows"
    if is_asked and not (worker.duress_keys or worker.duress_pin):
        yield "has neither duress_keys nor duress_pin: if he is forced to confirm, nobody knows"
    if settings.check_in.numbers and is_asked and not worker.pin:
        yield "has no PIN: he cannot do anything by calling check_in.numbers"
    if worker.pin and not settings.check_in.numbers and "pin" not in _asked_for(worker, settings):
        yield "has a PIN that nothing asks for: check_in.numbers is empty, so he cannot call to begin a session"


def _asked_for(worker: Worker, settings: Settings) -> set[str]:
    """What he is asked for in his check-ins: "key", "pin"."""
    rosters = map(settings.roster, worker.roster)
    return {settings.check_in_of(worker, roster).confirm for roster in (None, *rosters)}


def _of_trunks(settings: Settings) -> Iterator[str]:
    for armed in settings.emergency.armed:
        yield f"emergency.armed: real emergency numbers can be called over {armed!r}"
    unasked = [trunk.id for trunk in settings.trunks if not trunk.options_seconds]
    if len(settings.trunks) > 1 and unasked:
        yield f"trunks: {', '.join(unasked)}: without options_seconds an outage is noticed only by a call that fails"


def _of_messages(settings: Settings) -> Iterator[str]:
    messages = settings.messages
    if messages.smtp and messages.smtp_tls == "none" and messages.smtp_username and not _is_here(messages.smtp[0]):
        yield 'messages.smtp_tls = "none" sends the password in the clear'
    if messages.link_base and not _is_private(messages.link_base):
        yield "messages.link_base: over http: anybody on the way can follow the link"


def _of_webhook(webhook: Webhook) -> Iterator[str]:
    if not _is_private(webhook.url):
        yield f"webhooks: {webhook.id!r}: over http: anybody on the way reads what happens on incidents"


def _is_private(url: str) -> bool:
    """Whether nobody on the way can read along."""
    parts = urlsplit(url)
    return parts.scheme == "https" or _is_here(parts.hostname or "")


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


# -- plans --


def _of_plan(plan: Plan, settings: Settings) -> Iterator[str]:
    if not _is_used(plan, settings):
        yield "is nobody's plan"
    frozen = freeze(plan, None, settings)
    for number, step in enumerate(plan.steps, 1):
        yield from (f"step {number}: {line}" for line in _of_step(step, frozen, settings))


def _is_used(plan: Plan, settings: Settings) -> bool:
    chosen = {settings.escalation.default_plan}
    for customer in settings.customers:
        chosen |= {customer.plan, *customer.plans.values()}
    return plan.id in chosen


def _of_step(step: Step, frozen: FrozenPlan, settings: Settings) -> Iterator[str]:
    for contact in everybody(frozen, step.ring):
        if not contact.numbers:
            yield f"{contact.id!r} is to be rung and has no numbers"
    if "operators" in step.ring and not settings.operators:
        yield "rings operators, and there are none"
    if step.message:
        yield from _of_message(step, frozen, settings)


def _of_message(step: Step, frozen: FrozenPlan, settings: Settings) -> Iterator[str]:
    if "sms" in step.by and settings.messages.sms == "none":
        yield "sends text messages, and messages.sms is off"
    if "email" in step.by and not settings.messages.smtp:
        yield "sends e-mail, and messages.smtp is not set"
    if step.link != "none" and not settings.messages.link_base:
        yield "sends an acknowledgement link, and messages.link_base is not set"
    for contact in everybody(frozen, step.message):
        if not (("sms" in step.by and contact.text_number) or ("email" in step.by and contact.email)):
            yield f"{contact.id!r} gets no message: he has no address for {' or '.join(step.by)}"
