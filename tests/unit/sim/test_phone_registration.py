"""A simulated phone registers, with digest, and is called through the registrar's bindings."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random

import pytest

from voice.sim.loop import virtual_loop, virtually
from voice.sim.network import Network
from voice.sim.phone import SimPhone
from voice.sim.rtp import SimRtpPorts
from voice.sim.transport import SimTransport
from voice.sip.digest import Authenticator
from voice.sip.endpoint import Endpoint
from voice.sip.flow import Flow
from voice.sip.message import Request
from voice.sip.registrar import Registrar
from voice.sip.session import EndCause, InviteSession, SessionEvent
from voice.sip.useragent import Identity, Target

SERVER, PHONE, OUTSIDE = "10.0.0.1", "10.0.0.2", "198.51.100.7"


class NoCalls:
    """An application that takes no calls; the server here only registers and dials."""

    accepted_message_types: Sequence[str] = ()

    def incoming_call(self, session: InviteSession) -> None:
        session.reject(486)

    def message(self, request: Request, flow: Flow) -> None:
        return None


@asynccontextmanager
async def registered_phone(
    network: Network, protocol: str = "UDP", password: str = "secret"
) -> AsyncIterator[tuple[SimPhone, Registrar, Endpoint]]:
    authenticator = Authenticator("earshot", {"olga": "secret"}.get, secret_key=b"k" * 32)
    registrar = Registrar(authenticator, clock=virtual_loop().clock)
    server = Endpoint(
        SimTransport(network, SERVER),
        identity=Identity(domain=SERVER),
        application=NoCalls(),
        registrar=registrar,
        random=Random(1),
    )
    await server.start()
    phone = SimPhone(
        "olga",
        plug=lambda: SimTransport(network, PHONE),
        ports=SimRtpPorts(network, PHONE),
        server=(protocol, (SERVER, 5060)),
        password=password,
    )
    await phone.start()
    try:
        yield phone, registrar, server
    finally:
        await phone.close()
        await server.close()


@pytest.mark.parametrize("protocol", ["UDP", "TCP"])
@pytest.mark.parametrize("behind_nat", [False, True])
@virtually
async def test_a_registered_phone_is_called_on_the_flow_by_which_it_registered(protocol: str, behind_nat: bool) -> None:
    network = Network(virtual_loop())
    if behind_nat:
        network.nat(PHONE, OUTSIDE)
    async with registered_phone(network, protocol) as (phone, registrar, server):
        assert (await phone.register()).code == 200
        [binding] = registrar.bindings("olga", virtual_loop().time())
        assert binding.flow is not None
        assert binding.flow.remote[0] == (OUTSIDE if behind_nat else PHONE)
        events: list[SessionEvent] = []
        session = server.dial(Target(binding.contact_uri, flow=binding.flow), body=None, handler=events.append)
        call = await phone.called()
        assert call.offered is None
        await asyncio.sleep(0.1)
        session.bye()
        assert (await call.over()).cause is EndCause.CANCELLED


@virtually
async def test_a_wrong_password_does_not_register() -> None:
    async with registered_phone(Network(virtual_loop()), password="wrong") as (phone, registrar, _):
        assert (await phone.register()).code == 401
        assert phone.registered_until is None
        assert registrar.bindings("olga", virtual_loop().time()) == []


@virtually
async def test_a_registration_is_renewed_in_time_and_taken_back() -> None:
    async with registered_phone(Network(virtual_loop())) as (phone, registrar, _):
        await phone.register(expires=60)
        await asyncio.sleep(600)
        assert len(registrar.bindings("olga", virtual_loop().time())) == 1
        assert (await phone.unregister()).code == 200
        assert registrar.bindings("olga", virtual_loop().time()) == []
        await asyncio.sleep(600)
        assert registrar.bindings("olga", virtual_loop().time()) == []


@virtually
async def test_a_dead_phone_is_not_renewed_and_its_registration_expires() -> None:
    async with registered_phone(Network(virtual_loop())) as (phone, registrar, _):
        await phone.register(expires=60)
        await phone.die()
        await asyncio.sleep(61)
        assert registrar.bindings("olga", virtual_loop().time()) == []
        with pytest.raises(ConnectionError):
            await phone.register()
