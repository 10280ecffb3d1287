"""Telling a random story: its people act on the simulated network, then everything is well again and worked off.

In the second part the network is calm, store and disk are back, and every operator answers, listens and resolves.
So each story ends with no incident open, or the service has left somebody without help.
"""

import asyncio
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import structlog.testing

from config.models import Settings
from voice.sim.evidence import VOICES, Account, Evidence, Told
from voice.sim.habits import Answers
from voice.sim.link import Link
from voice.sim.loop import run_virtual, virtual_loop
from voice.sim.morals import judge
from voice.sim.phone import SimPhone
from voice.sim.phone_call import PhoneCall
from voice.sim.speech import marked_frames
from voice.sim.stage import HOST, FailingFiles, Stage
from voice.sim.story import LENGTH, Act, Deed, Device, Operator, Story
from voice.sim.wire import Packet
from voice.store import incidents as rows

WORKED_OFF = 60.0
"""Seconds within which willing operators resolve everything, once all is well."""


def tell(story: Story) -> Told:
    """Tell a story from beginning to end."""
    with tempfile.TemporaryDirectory(prefix="story-") as directory, structlog.testing.capture_logs() as log:
        evidence = Evidence(story, log)
        broken: list[str] = []
        try:
            run_virtual(Telling(evidence, Path(directory)).tell(), seed=story.seed, limit=600.0)
        except Exception as error:  # noqa: BLE001 - whatever it is, it broke the story, and the seed tells it again
            broken.append(f"{type(error).__name__}: {error}")
        return Told(evidence, broken + list(judge(evidence)))


class _SentHere(list[Packet]):
    """Keeps what reached the service only."""

    def append(self, packet: Packet) -> None:
        if packet.destination[0] == HOST and packet.arrives:
            super().append(packet)


class Telling:
    """One story while it is told."""

    def __init__(self, evidence: Evidence, directory: Path) -> None:
        self._evidence = evidence
        self._story = evidence.story
        self._directory = directory
        self._files = FailingFiles()
        self._all_is_well = False
        self._said: dict[str, int] = {}
        self._hosts: dict[str, str] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._happening: list[asyncio.Task[Any]] = []

    async def tell(self) -> None:
        """From the first alarm until everything is worked off."""
        evidence, loop = self._evidence, virtual_loop()
        evidence.epoch = loop.time() - loop.clock.now().timestamp()
        self._stage = await Stage.open(_settings(self._story, self._directory), files=self._files)
        self._network = self._stage.network
        evidence.phones = self._stage.phones
        evidence.lives.append((loop.time(), float("inf")))
        await self._switch_on()
        self._network.default_link(self._story.link)
        self._network.media_captured = evidence.media = _SentHere()
        evidence.start = loop.time()
        for act in self._story.acts:
            await asyncio.sleep(max(evidence.start + act.at - loop.time(), 0.0))
            self._do(act)
        await asyncio.sleep(max(evidence.start + LENGTH - loop.time(), 0.0))
        await self._work_off()
        await self._close()

    # -- who is there --

    async def _switch_on(self) -> None:
        for number, device in enumerate(self._story.devices):
            host = f"10.1.0.{number + 1}"
            if device.behind_nat:
                self._network.nat(host, f"198.51.100.{number + 1}")
            password = device.name if device.password and device.known else None
            registered = device.registered and password is not None
            await self._phone(device, host, password, registered)
        for number, operator in enumerate(self._story.operators):
            await self._phone(operator, f"10.2.0.{number + 1}", operator.name, registered=True)
            self._spawn(self._answer(operator))

    async def _phone(self, role: Device | Operator, host: str, password: str | None, registered: bool) -> None:
        evidence = self._evidence
        self._hosts[role.name] = host
        evidence.first_numbers[role.name] = 1 + VOICES * len(evidence.first_numbers)
        await self._stage.phone(
            role.name, host, password=password, habits=role.habits, register=registered, protocol=role.protocol
        )

    async def _answer(self, operator: Operator) -> None:
        phone = self._stage.phones[operator.name]
        while True:
            self._spawn(self._attend(operator, await phone.called()))

    async def _attend(self, operator: Operator, call: PhoneCall) -> None:
        """What the operator does on one call; once all is well he resolves it."""
        with suppress(ConnectionError):
            await call.established()
            for key in operator.keys:
                await asyncio.sleep(operator.gap)
                if self._all_is_well or call.is_over:
                    break
                call.press(key, operator.by)
                if key == "1":
                    call.say(self._speech(operator.name, 0.5))
            while not call.is_over:
                await asyncio.sleep(0.5)
                if self._all_is_well and not call.is_over:
                    call.press("#", "rfc4733")
                    await asyncio.sleep(0.5)
                    call.press("1", "rfc4733")
                    await asyncio.sleep(1.5)

    def _speech(self, name: str, seconds: float) -> Iterator[bytes]:
        first, frames = self._said.get(name, 0), round(seconds * 50)
        self._said[name] = first + frames
        return marked_frames(frames, self._evidence.first_numbers[name] + first)

    # -- what happens --

    def _do(self, act: Act) -> None:
        phone = self._stage.phones.get(act.who)
        match act.deed:
            case Deed.CALL if phone is not None:
                self._call(phone)
            case Deed.HANG_UP if phone is not None:
                for call in phone.live_calls[:1]:
                    call.hang_up()
            case Deed.REBOOT if phone is not None:
                self._happening.append(self._spawn(self._reboot(phone, act.seconds, calls_again=True)))
            case Deed.DIE if phone is not None:
                self._happening.append(self._spawn(self._reboot(phone, act.seconds, calls_again=False)))
            case Deed.CUT_OFF if phone is not None:
                self._network.partition(self._hosts[act.who], virtual_loop().time() + act.seconds)
            case Deed.CRASH:
                self._happening.append(self._spawn(self._crash(act.seconds)))
            case Deed.STORE:
                self._happening.append(self._spawn(self._fail_store(act.seconds)))
            case Deed.DISK:
                self._happening.append(self._spawn(self._fill_disk(act.seconds)))

    def _call(self, phone: SimPhone) -> None:
        if phone.is_on:
            phone.call("sip:alarm@earshot").say(self._speech(phone.user, 30.0))

    async def _reboot(self, phone: SimPhone, seconds: float, *, calls_again: bool) -> None:
        registered = phone.registered_until is not None
        if not phone.is_on:
            return
        await phone.reboot(seconds)
        if calls_again:
            self._call(phone)
        with suppress(ConnectionError):  # dead again meanwhile
            while registered and (await phone.register()).code != 200:  # noqa: ASYNC110 - it waits for the network
                await asyncio.sleep(1.0)

    async def _crash(self, down: float) -> None:
        loop, lives = virtual_loop(), self._evidence.lives
        lives[-1] = lives[-1][0], loop.time()
        self._note_refusals()
        await self._stage.kill()
        await asyncio.sleep(down)
        await self._stage.restart()
        lives.append((loop.time(), float("inf")))

    async def _fail_store(self, seconds: float) -> None:
        self._stage.store.fail_with(OSError("the disk of the database is gone"))
        await asyncio.sleep(seconds)
        self._stage.store.fail_with(None)

    async def _fill_disk(self, seconds: float) -> None:
        self._files.full = True
        await asyncio.sleep(seconds)
        self._files.full = False

    # -- the end --

    async def _work_off(self) -> None:
        """All is well: what is open is resolved by people, or the service has failed somebody."""
        await asyncio.gather(*self._happening)
        loop = virtual_loop()
        self._network.default_link(Link())
        for host in self._hosts.values():
            self._network.heal(host)
        for operator in self._story.operators:
            phone = self._stage.phones[operator.name]
            phone.habits = replace(phone.habits, answers=Answers.YES, after=0.2)
        for device in self._story.devices[::2]:
            for call in self._stage.phones[device.name].live_calls:
                call.hang_up()
        self._all_is_well = True
        await asyncio.sleep(1.0)  # what is on the way arrives
        patience = loop.time() + WORKED_OFF
        while loop.time() < patience and not await self._nothing_is_open():  # noqa: ASYNC110 - nobody tells them
            await asyncio.sleep(0.5)

    async def _nothing_is_open(self) -> bool:
        """Nothing is, and nothing comes any more of a challenge that a device was given."""
        challenged = self._stage.service.switchboard.expecting
        open_ones = await self._stage.store.read(rows.open_incidents)
        return not (challenged or open_ones or self._stage.service.journal.backlog)

    async def _close(self) -> None:
        evidence, service = self._evidence, self._stage.service
        for phone in self._stage.phones.values():
            for call in phone.live_calls:
                call.hang_up()
        await asyncio.sleep(1.0)
        evidence.lives[-1] = evidence.lives[-1][0], virtual_loop().time() - 0.05
        evidence.backlog = service.journal.backlog
        self._note_refusals()
        read = self._stage.store.read
        for row in await read(rows.incidents):
            of_it: list[Any] = [
                await read(partial(what, incident_id=row.id)) for what in (rows.timeline, rows.legs, rows.recordings)
            ]
            evidence.accounts.append(Account(row, *of_it))
        evidence.signalling = self._network.captured
        for task in self._tasks:
            task.cancel()
        await service.stop()

    def _note_refusals(self) -> None:
        self._evidence.refused += self._stage.service.journal.refused

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _settings(story: Story, directory: Path) -> Settings:
    known = [device for device in story.devices if device.known]
    return Settings.model_validate(
        {
            "recordings": {"directory": str(directory)},
            "alarms": {"ring": story.ring, "ring_seconds": 5.0, "callback_seconds": 1.0},
            "workers": [{"id": id, "name": id} for id in sorted({device.worker for device in known})],
            "devices": [
                {
                    "id": device.name,
                    "username": device.name,
                    "password": device.name if device.password else "",
                    "worker": device.worker,
                    "discreet": device.discreet.value,
                }
                for device in known
            ],
            "operators": [
                {"id": o.name, "name": o.name, "username": o.name, "password": o.name} for o in story.operators
            ],
        }
    )
