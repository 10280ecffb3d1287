"""Where somebody can be called now: registered contacts first, else what the configuration says.

What goes through a trunk and what does not is decided here and nowhere else: the interlock goes by `Destination.trunk`.
"""

import asyncio

from config.models import Device, Operator, Settings, Trunk
from voice.call import Destination
from voice.sip.bindings import Binding
from voice.sip.core import Target
from voice.sip.digest import Credentials
from voice.sip.registrar import Registrar
from voice.sip.routing import next_hop


class Contacts:
    """Looks up destinations. Cheap: asked for every operator whenever the queue changes."""

    def __init__(self, settings: Settings, registrar: Registrar) -> None:
        self._settings = settings
        self._registrar = registrar

    def of_operator(self, operator: Operator) -> list[Destination]:
        """Every phone that the operator registered, and his fixed address."""
        destinations = self._registered(operator.username)
        if operator.uri:
            destinations.append(direct(operator.uri))
        return destinations

    def of_device(self, device: Device) -> list[Destination]:
        """The device's registered contacts, else its call-back address, else its number behind its trunk."""
        destinations = self._registered(device.username)
        if device.callback:
            trunk = self._settings.trunk(device.trunk) if device.trunk else None
            destinations.append(through(trunk, device.callback) if trunk else direct(device.callback))
        return destinations

    def _registered(self, username: str | None) -> list[Destination]:
        if username is None:
            return []
        now = asyncio.get_running_loop().time()
        return [_bound(binding, username) for binding in self._registrar.bindings(username, now)]


def _bound(binding: Binding, username: str) -> Destination:
    target = Target(binding.contact_uri, flow=binding.flow, route=binding.path)
    return Destination(target, host=binding.received[0], account=username)


def direct(uri: str) -> Destination:
    """A SIP URI, called without a trunk. Raises ValueError for one that names no host."""
    return Destination(Target(uri), host=next_hop(uri).host)


def through(trunk: Trunk, uri: str, *, caller_id: str | None = None) -> Destination:
    """By way of a trunk: its URI is the outbound proxy (RFC 3261 section 8.1.2).

    The user of From is what the trunk insists on (`from_user`), else the number that is to be shown.
    """
    route = f"<{trunk.uri};lr>" if ";lr" not in trunk.uri else f"<{trunk.uri}>"
    return Destination(
        Target(uri, route=(route,)),
        host=next_hop(trunk.uri).host,
        credentials=Credentials(trunk.username, trunk.password) if trunk.username and trunk.password else None,
        from_user=trunk.from_user or caller_id or trunk.username,
        trunk=trunk.id,
    )


def number_uri(number: str, trunk: Trunk) -> str:
    """A telephone number as a trunk expects it: `sip:+31201234567@trunk;user=phone` (RFC 3261 section 19.1.1).

    Numbers without a country are sent as they stand: only the trunk knows its own short numbers. URIs stay.
    """
    if is_uri(number):
        return number
    digits = f"+{number[2:]}" if number.startswith("00") else number
    hop = next_hop(trunk.uri)
    host = f"[{hop.host}]" if ":" in hop.host else hop.host
    return f"sip:{digits}@{host}" + (";user=phone" if digits.startswith("+") else "")


def is_uri(number: str) -> bool:
    """Whether a configured number is a URI: `sip:`, `sips:` or a service URN."""
    return number.lower().startswith(("sip:", "sips:", "urn:"))
