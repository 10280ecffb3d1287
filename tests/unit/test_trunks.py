"""Registration with a trunk, and calls by way of it, on the simulated network."""

import asyncio
import random
from pathlib import Path

from config.models import Settings
from voice.incidents.lifecycle import State
from voice.sim.habits import Answers, Habits
from voice.sim.loop import virtual_loop, virtually
from voice.sim.phone import SimPhone
from voice.sim.rtp import SimRtpPorts
from voice.sim.stage import HOST, Stage
from voice.sim.transport import SimTransport
from voice.sip.core import Identity
from voice.sip.digest import Authenticator
from voice.sip.endpoint import Endpoint
from voice.sip.flow import Flow
from voice.sip.message import Request
from voice.sip.registrar import Registrar
from voice.sip.session import InviteSession

PBX = "10.0.0.50"


class Exchange:
    """A provider's exchange that does nothing but keep registrations, with digest."""

    accepted_message_types = ()

    def __init__(self, stage: Stage) -> None:
        loop = virtual_loop()
        secrets = {"earshot-nl": "trunk-secret"}
        authenticator = Authenticator("provider", secrets.get, secret_key=b"k" * 32)
        self.registrar = Registrar(authenticator, clock=loop.clock)
        self.invited: list[Request] = []
        self.endpoint = Endpoint(
            SimTransport(stage.network, PBX),
            identity=Identity(domain="provider"),
            application=self,
            registrar=self.registrar,
            authenticator=authenticator,
            random=random.Random(1),
        )

    def incoming_call(self, session: InviteSession) -> None:
        self.invited.append(session.request)
        session.reject(486)

    def message(self, request: Request, flow: Flow) -> None:
        return None


def settings(folder: Path, **trunk: object) -> Settings:
    return Settings.model_validate(
        {
            "recordings": {"directory": str(folder)},
            "devices": [{"id": "gsm", "numbers": ["+31600"], "callback": "sip:+31600@10.0.0.50", "trunk": "kpn"}],
            "trunks": [
                {"id": "kpn", "uri": f"sip:{PBX}", "username": "earshot-nl", "password": "trunk-secret"} | trunk
            ],
        }
    )


@virtually
async def test_a_trunk_that_wants_it_knows_us_and_is_refreshed_in_time(tmp_path: Path) -> None:
    stage = await Stage.open(settings(tmp_path, register=True, register_expires=60))
    exchange = Exchange(stage)
    await exchange.endpoint.start()
    loop = asyncio.get_running_loop()
    for _ in range(4):
        await asyncio.sleep(50)
        (binding,) = exchange.registrar.bindings("earshot-nl", loop.time())
        assert binding.contact_uri == f"sip:earshot-nl@{HOST}:5060"
        assert stage.service.trunks.unregistered == []


@virtually
async def test_a_wrong_password_leaves_the_trunk_unregistered_and_says_so(tmp_path: Path) -> None:
    stage = await Stage.open(settings(tmp_path, register=True, password="wrong"))
    exchange = Exchange(stage)
    await exchange.endpoint.start()
    await asyncio.sleep(30)
    assert stage.service.trunks.unregistered == ["kpn"]
    assert stage.service.trouble == "not registered with trunk kpn"


@virtually
async def test_when_the_service_stops_the_trunk_forgets_it(tmp_path: Path) -> None:
    stage = await Stage.open(settings(tmp_path, register=True))
    exchange = Exchange(stage)
    await exchange.endpoint.start()
    await asyncio.sleep(10)
    await stage.service.stop()
    assert exchange.registrar.bindings("earshot-nl", asyncio.get_running_loop().time()) == []


@virtually
async def test_a_device_behind_a_trunk_is_called_back_by_way_of_it(tmp_path: Path) -> None:
    stage = await Stage.open(settings(tmp_path))
    exchange = Exchange(stage)
    await exchange.endpoint.start()
    caller = SimPhone(
        "+31600",
        plug=lambda: SimTransport(stage.network, "10.0.0.60"),
        ports=SimRtpPorts(stage.network, "10.0.0.60"),
        server=("UDP", (HOST, 5060)),
        habits=Habits(answers=Answers.NEVER),
        dice=random.Random(2),
    )
    await caller.start()
    call = caller.call("sip:alarm@earshot")
    await call.established()
    call.hang_up()
    await asyncio.sleep(1)
    (incident,) = stage.service.incidents
    assert incident.state is State.OPEN
    assert not await stage.service._call_back(incident, "system")
    (invite,) = exchange.invited
    assert str(invite.uri) == f"sip:+31600@{PBX}"
    assert "earshot-nl" in (invite.headers.get("From") or "")
    assert invite.headers.get("Answer-Mode") == "Auto"
