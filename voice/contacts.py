"""Where devices and operators can be called now: registered contacts first, else what the configuration says."""

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
            destinations.append(_direct(operator.uri))
        return destinations

    def of_device(self, device: Device) -> list[Destination]:
        """The device's registered contacts, else its call-back address, else its number behind its trunk."""
        destinations = self._registered(device.username)
        if device.callback:
            trunk = self._settings.trunk(device.trunk) if device.trunk else None
            destinations.append(_through(trunk, device.callback) if trunk else _direct(device.callback))
        return destinations

    def _registered(self, username: str | None) -> list[Destination]:
        if username is None:
            return []
        now = asyncio.get_running_loop().time()
        return [_bound(binding) for binding in self._registrar.bindings(username, now)]


def _bound(binding: Binding) -> Destination:
    return Destination(Target(binding.contact_uri, flow=binding.flow, route=binding.path), host=binding.received[0])


def _direct(uri: str) -> Destination:
    return Destination(Target(uri), host=next_hop(uri).host)


def _through(trunk: Trunk, uri: str) -> Destination:
    """By way of a trunk: its URI is the outbound proxy (RFC 3261 section 8.1.2)."""
    route = f"<{trunk.uri};lr>" if ";lr" not in trunk.uri else f"<{trunk.uri}>"
    return Destination(
        Target(uri, route=(route,)),
        host=next_hop(trunk.uri).host,
        credentials=Credentials(trunk.username, trunk.password) if trunk.username and trunk.password else None,
        from_user=trunk.from_user or trunk.username,
    )
