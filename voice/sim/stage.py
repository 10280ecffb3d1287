"""A whole service on the simulated network, in virtual time: the stage on which stories are told.

    async def story() -> None:
        stage = await Stage.open(settings)
        badge = await stage.phone("badge-7", "10.0.0.7")
        ...

    run_virtual(story(), seed=7)

The service is the real one, wired by `voice.app` to what is simulated here.
"""

import asyncio
import errno
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from config.models import Settings
from voice.app import Service
from voice.incidents.identifiers import Identifiers
from voice.media.disk import InlineDisk
from voice.media.segment import FileSystem, SystemFiles
from voice.outside import Outside
from voice.sim.exchange import SimExchange
from voice.sim.habits import Habits
from voice.sim.link import Link
from voice.sim.loop import VirtualLoop, virtual_loop
from voice.sim.messages import SimMessages
from voice.sim.network import Network
from voice.sim.phone import SimPhone
from voice.sim.rtp import SimRtpPorts
from voice.sim.spoken import SimSpeaker
from voice.sim.transport import SimTransport
from voice.speaking import open_speech
from voice.store.store import Store

HOST = "10.0.0.1"
SIP_PORT = 5060


class UnsyncedFiles(SystemFiles):
    """Real files that never wait for the disk itself: no story loses its power."""

    def fdatasync(self, descriptor: int) -> None:
        return


class FailingFiles(UnsyncedFiles):
    """A disk that can be full."""

    full = False

    def create(self, path: Path) -> int:
        self._refuse()
        return super().create(path)

    def pwrite(self, descriptor: int, data: bytes, offset: int) -> int:
        self._refuse()
        return super().pwrite(descriptor, data, offset)

    def _refuse(self) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")


class Stage:
    """One service, its store and its disk, and the phones around it."""

    def __init__(
        self,
        settings: Settings,
        loop: VirtualLoop,
        network: Network,
        *,
        store: Store | None = None,
        files: FileSystem | None = None,
        rtp_ports: tuple[int, int] = (20_000, 29_999),
    ) -> None:
        """The store is in memory unless one is given; recordings are real files unless `files` says otherwise."""
        self.settings = settings
        self.network = network
        self.store = store or Store.inline()
        self.files = files or UnsyncedFiles()
        self.phones: dict[str, SimPhone] = {}
        # One for all lives of the service: as the real ports, those of a dead process are not met again soon.
        self._ports = SimRtpPorts(network, HOST, first=rtp_ports[0], last=rtp_ports[1])
        self._loop = loop
        self.disk = InlineDisk(loop.time, files=self.files)
        self.speaker = SimSpeaker()
        self.messages = SimMessages()
        self.service = self._new_service()

    @classmethod
    async def open(
        cls,
        settings: Settings,
        *,
        seed: int | None = None,
        link: Link | None = None,
        store: Store | None = None,
        files: FileSystem | None = None,
        rtp_ports: tuple[int, int] = (20_000, 29_999),
    ) -> "Stage":
        """Start the service on a fresh network. Within `run_virtual` only."""
        loop = virtual_loop()
        network = Network(loop, seed=seed, link=link)
        stage = cls(settings, loop, network, store=store, files=files, rtp_ports=rtp_ports)
        await stage.service.start()
        return stage

    def _new_service(self) -> Service:
        return Service(
            self.settings,
            Outside(
                transport=SimTransport(self.network, HOST),
                ports=lambda remote: self._ports,
                media_host=lambda bound, remote: HOST,
                store=self.store,
                disk=self.disk,
                clock=self._loop.clock,
                random=random.Random(self._loop.random.random()),
                in_thread=_in_place,
                identifiers=Identifiers(random.Random(self._loop.random.random())),
                speech=open_speech(self.settings.speech, self.speaker),
                channels={"sms": self.messages, "email": self.messages},
            ),
        )

    async def phone(
        self,
        user: str,
        host: str,
        *,
        password: str | None = None,
        habits: Habits | None = None,
        register: bool = False,
        protocol: str = "UDP",
    ) -> SimPhone:
        """Put a phone on the network and switch it on."""
        phone = SimPhone(
            user,
            plug=lambda: SimTransport(self.network, host),
            ports=SimRtpPorts(self.network, host),
            server=(protocol, (HOST, SIP_PORT)),
            password=password,
            domain=self.settings.sip.realm,
            habits=habits,
            dice=random.Random(f"{self._loop.seed}-{user}"),
        )
        self.phones[user] = phone
        await phone.start()
        if register:
            response = await phone.register()
            if response.code != 200:
                raise ConnectionError(f"{user} was not registered: {response.code} {response.phrase}")
        return phone

    async def exchange(self, host: str) -> SimExchange:
        """Put a provider with telephone lines on the network."""
        exchange = SimExchange(
            plug=lambda: SimTransport(self.network, host),
            ports=SimRtpPorts(self.network, host),
            server=("UDP", (HOST, SIP_PORT)),
            domain=self.settings.sip.realm,
            dice=random.Random(f"{self._loop.seed}-{host}"),
        )
        await exchange.start()
        return exchange

    async def crash(self, *, down: float = 1.0) -> None:
        """`kill -9` and start again: everything in memory is gone, the store and the files stay."""
        await self.kill()
        await asyncio.sleep(down)
        await self.restart()

    async def kill(self) -> None:
        """`kill -9`: not another word, not another byte."""
        self.disk.abandon()
        await self.service.vanish()

    async def restart(self) -> None:
        """Start the service again, on what the last one left in the store and on the disk."""
        self.disk = InlineDisk(self._loop.time, files=self.files)
        self.service = self._new_service()
        await self.service.start()


async def _in_place(work: Callable[[], Any]) -> Any:
    return work()
