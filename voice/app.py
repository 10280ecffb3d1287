"""The composition root: the only place that builds sockets, store, disk and clocks, and wires them to the story.

`Service` takes its I/O from outside, so that the same service runs on real sockets (`voice.process`) and, in virtual
time, on the simulated network of `voice.sim`.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from config.models import Operator, Settings
from ivr.cache import CachedSpeaker
from ivr.transcribing import transcriber
from voice.alarm import Desk, call_back
from voice.assembly import EscalationDesk
from voice.call import Calls
from voice.check_in_desk import CheckInDesk
from voice.contacts import Contacts
from voice.directory import Directory, Lookups
from voice.errors import StoreUnavailable
from voice.escalation.events import Resolved
from voice.following import Following, Known
from voice.incidents.lifecycle import State
from voice.interlock import Interlock
from voice.journal import Journal
from voice.legs import Legs
from voice.listening_session import SessionHooks
from voice.live_incidents import LiveIncident, LiveIncidents
from voice.media.clock import MediaClock
from voice.media.recorder import Recorder
from voice.media.room import Room
from voice.memos import Memos
from voice.metrics import Metrics
from voice.operators import Operators
from voice.outside import Outside
from voice.ratelimit import RateLimit
from voice.restart import TakenUp, announce, begin_missing, call_devices_back, mend_recordings, take_up
from voice.sip.core import Identity, Limits, SessionTimerPolicy
from voice.sip.digest import Authenticator
from voice.sip.endpoint import Endpoint
from voice.sip.flow import Flow
from voice.sip.message import Request
from voice.sip.registrar import Registrar
from voice.sip.session import InviteSession
from voice.sip.timers import Timing
from voice.sip.useragent import MessageReply
from voice.store import incidents as rows
from voice.store.nodes import enroll
from voice.switchboard import Switchboard
from voice.trunks import Trunks
from voice.webhooks import HttpPoster, Subscriptions, Webhooks

log = structlog.get_logger(__name__)

MENDING_PATIENCE = 5.0
"""Seconds that operators wait, after a crash, for the recordings to be mended before they are rung."""

TAKE_UP_SECONDS = 1.0
"""Between two looks for a store that was away at the start."""
FAULT_SECONDS = 30.0
"""The same, after a fault that somebody has to mend."""

TRACE_INTERVAL = 0.03
"""Seconds. The SIP trace is written in small pieces: while a thread computes, every answer waits for its turn."""


class Service:
    """Earshot, wired. `start`, then it answers; `stop` ends its legs and writes what is left."""

    accepted_message_types: Sequence[str] = ()

    def __init__(self, settings: Settings, outside: Outside, known: Known | None = None) -> None:
        """`known`: where the settings come from; None: all of them from the file."""
        self.outside = outside
        self.metrics = Metrics()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._store_down = False
        self.webhooks: Webhooks | None = None
        clock, rng = outside.clock, outside.random

        self.directory = Directory(settings)
        self.following = Following(
            known or Known(settings),
            store=outside.store,
            clock=clock,
            use=self._use,
            in_thread=outside.in_thread,
            node=settings.node.name,
        )
        self.journal = Journal(outside.store, on_fault=self._store_changed)
        self.media_clock = MediaClock(on_settle=outside.disk.attend)
        self.recorder = Recorder(settings.recordings.directory, outside.disk, clock)
        self.authenticator = Authenticator(
            settings.sip.realm,
            self.directory.secret,
            secret_key=rng.randbytes(32),
            algorithms=settings.sip.digest_algorithms,
            allow_without_qop=settings.sip.digest_without_qop,
        )
        self.registrar = Registrar(self.authenticator, allowed=self.directory.may_register, clock=clock)
        self.registrar.changed = self._registration_changed
        self.incidents = LiveIncidents(
            self.journal,
            clock,
            outside.identifiers,
            new_room=lambda: Room(lambda: self.media_clock.ticks),
            on_change=self._incident_changed,
            tell=lambda incident, event: self.escalations.post(incident, event),
        )
        self.contacts = Contacts(settings, self.registrar)
        self.endpoint = Endpoint(
            outside.transport,
            identity=Identity(domain=settings.sip.realm, user_agent=settings.sip.user_agent),
            application=self,
            registrar=self.registrar,
            authenticator=self.authenticator,
            trace=outside.trace,
            random=rng,
            session_timer=SessionTimerPolicy(interval=settings.sip.session_expires),
            limits=Limits(body=settings.sip.max_message_bytes),
            timing=Timing(trying=0.0),  # at once: simple devices hang when 200 is the first word that they hear
        )
        self.calls = Calls(
            self.endpoint,
            outside.ports,
            self.media_clock,
            outside.media_host,
            settings.sip.realm,
            Interlock(settings.emergency.armed, settings.emergency.numbers),
        )
        self.memos = Memos(
            outside.store,
            self.journal,
            clock,
            settings.recordings.directory,
            outside.in_thread,
            lasts=timedelta(hours=settings.check_in.memo_hours),
            transcribe=transcriber(settings.check_in.transcriber),
        )
        self.legs = Legs(settings, self.recorder, self.journal, clock, rng)
        self.trunks = Trunks(settings.trunks, self.endpoint, rng)
        self.escalation_desk = EscalationDesk(self, outside, sole=outside.sole)
        self.escalations = self.escalation_desk.escalations
        self.desk = Desk(
            directory=self.directory,
            incidents=self.incidents,
            escalations=self.escalations,
            store=outside.store,
            journal=self.journal,
            calls=self.calls,
            legs=self.legs,
            clock=clock,
            metrics=self.metrics,
            ring_operators=self._wake_operators,
            contacts=self.contacts.of_device,
            spawn=self.spawn,
        )
        self.operators = Operators(
            settings=settings,
            incidents=self.incidents,
            calls=self.calls,
            legs=self.legs,
            phones=self.contacts.of_operator,
            hooks=SessionHooks(
                ask_help=self._ask_help,
                call_back=self._call_back,
                confirm_emergency=self.escalation_desk.emergency.confirm,
                heard=self.heard,
                spawn=self.spawn,
                account=self.escalation_desk.account,
                memo=self.escalation_desk.memo,
            ),
            spawn=self.spawn,
        )
        self.check_in_desk = CheckInDesk(self, outside)
        self.switchboard = Switchboard(
            desk=self.desk,
            operators=self.operators,
            workers=self.check_in_desk.calls,
            registrar=self.registrar,
            authenticator=self.authenticator,
            rate_limit=RateLimit(settings.sip.rate_limit_per_minute),
            spawn=self.spawn,
        )
        self._publish()

    @property
    def settings(self) -> Settings:
        """Those that hold now; what needs a restart is as it was at the start."""
        return self.directory.settings

    # -- life --

    async def start(self) -> None:
        """Take up what an earlier process left, then answer calls. A store that is away keeps nobody from an answer:
        what it holds is taken up once it is back."""
        taken, why = None, self.outside.store.away
        if why is None:
            try:
                taken = await self._left_behind()
            except StoreUnavailable as error:
                why = str(error)
        if taken is None:
            log.error("calls are answered without the store; what it holds is taken up when it is back", why=why)
            self.incidents.begun = set()
            self.journal.store_is_away()
        self.media_clock.start()
        await self.endpoint.start()
        if taken is None:
            self.spawn(self._take_up_later())
        else:
            await self._go_on_with(taken)
            self.spawn(self._bring_back(taken))
        self.spawn(self._keep_house())
        self.spawn(self.trunks.run())
        self.check_in_desk.start()
        self.spawn(self.memos.run())
        self.spawn(self.following.run())
        if isinstance(speaker := self.outside.speech.speaker, CachedSpeaker):
            self.spawn(speaker.tidy())
        if self.outside.subscriptions is not None:
            self.spawn(self._tell_receivers(self.outside.subscriptions))

    async def stop(self) -> None:
        """End every leg, write what is left, close. Incidents that are open stay open."""
        await self.trunks.stop()
        self.check_in_desk.close()
        self.operators.stop()  # first: operators who are let go would be rung anew
        for call in list(self.calls.live):
            call.hang_up("service stops")
        self.switchboard.close()
        await asyncio.sleep(0.05)  # let each leg's story write its end
        try:
            await self.escalations.retire()
        except StoreUnavailable as error:
            log.warning("other nodes must wait for our lease to run out", why=str(error))
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.media_clock.stop()
        await self.endpoint.close()
        await self.outside.in_thread(self.outside.disk.close)
        await asyncio.sleep(0)
        await self.journal.flush(5.0)
        if self.outside.trace is not None:
            self.outside.trace.flush()
        await self.outside.store.close()

    async def vanish(self) -> None:
        """Stop as a killed process does: not a word to anybody, nothing completed. For stories of crashes."""
        self.journal.abandon()
        self.escalations.close()
        self.check_in_desk.close()
        self.switchboard.close(in_order=False)
        await self.endpoint.close()
        for call in list(self.calls.live):
            call.media.rtp.close()
            call.media.rtcp.close()
        self.media_clock.stop()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _left_behind(self) -> TakenUp:
        """What an earlier process left in the store, in memory. Raises `StoreUnavailable`."""
        outside, node = self.outside, self.settings.node
        if outside.sole:
            return await take_up(outside.store, self.desk, node=None)
        enrolling = partial(enroll, node_id=node.name, now=outside.clock.now(), lease_seconds=node.lease_seconds)
        outside.identifiers.take((await outside.store.run(enrolling)).slot)
        return await take_up(outside.store, self.desk, node=node.name)

    async def _take_up_later(self) -> None:
        """The store was away at the start. Its escalations wait for this: they find their incidents in memory."""
        self.spawn(self.operators.run())
        while self.incidents.begun is not None:
            await asyncio.sleep(TAKE_UP_SECONDS)
            if self.journal.backlog:  # what is ours comes first, so that it can be told from the rest
                continue
            try:
                taken = await self._left_behind()
                self.incidents.begun = None
                self.journal.store_is_back()
            except StoreUnavailable:
                pass
            except Exception:  # whatever is wrong with it may be mended while calls are answered
                log.exception("what the store holds cannot be taken up")
                await asyncio.sleep(FAULT_SECONDS)
        log.info("the store is there; what it held is taken up", incidents=len(taken.incidents))
        await self._go_on_with(taken)
        await self._mend(taken)

    async def _go_on_with(self, taken: TakenUp) -> None:
        announce(taken, self.desk)
        try:
            await self.restore_registrations()
        except StoreUnavailable as error:
            log.warning("phones are reached once they have registered again", why=str(error))
        self.spawn(self.escalations.run())

    async def _bring_back(self, taken: TakenUp) -> None:
        """Mend recordings, then ring operators, then call devices back: in this order, none waiting for long."""
        await self._mend(taken)
        await self.operators.run()

    async def _mend(self, taken: TakenUp) -> None:
        if taken.incidents or taken.unfinished.recordings:
            mending = self.spawn(mend_recordings(taken, self.outside.store, self.desk, self.outside.in_thread))
            await asyncio.wait([mending], timeout=MENDING_PATIENCE)
            if not mending.done():
                log.error("recordings of an earlier process are not mended yet")
            begin_missing(taken, self.desk)
            self.spawn(call_devices_back(taken.incidents, self.desk))

    async def _tell_receivers(self, subscriptions: Subscriptions) -> None:
        """Webhooks."""
        outside = self.outside
        async with HttpPoster() as post:
            self.webhooks = Webhooks(subscriptions, outside.store, post, outside.clock, outside.random)
            await self.webhooks.run()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something beside the rest. What it raises is logged, never swallowed."""
        task = asyncio.get_running_loop().create_task(work, name=getattr(work, "__qualname__", None))
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task failed", task=task.get_name(), exc_info=error)

    # -- signalling --

    def incoming_call(self, session: InviteSession) -> None:
        """`Application`: an INVITE that opens a dialog."""
        self.switchboard.incoming_call(session)

    def message(self, request: Request, flow: Flow) -> MessageReply | None:
        """`Application`: a MESSAGE. Nobody takes one yet: answered 415."""
        return None

    def _registration_changed(self, user: str) -> None:
        now = asyncio.get_running_loop().time()
        self.journal.post(partial(rows.save_bindings, bindings=self.registrar.snapshot(now, [user])))
        device = self.directory.device(user)
        if device is not None and device.worker is not None:
            self.check_in_desk.seen(device.worker)
        self._wake_operators()

    async def restore_registrations(self) -> None:
        saved = await self.outside.store.read(rows.load_bindings)
        self.registrar.restore(saved, asyncio.get_running_loop().time(), self.outside.transport.flow)

    async def _keep_house(self) -> None:
        """What is due now and then, beside the hot path: the SIP trace to its files, a look at the disk."""
        loop, trace = asyncio.get_running_loop(), self.outside.trace
        while True:
            await asyncio.sleep(1.0 if trace is None else TRACE_INTERVAL)
            self.outside.disk.attend(loop.time())
            if trace is not None and trace.unwritten:
                await self.outside.in_thread(trace.flush)

    # -- what the parts ask of each other --

    def _wake_operators(self) -> None:
        self.operators.wake()

    def _incident_changed(self, incident: LiveIncident) -> None:
        """A resolved incident lets the device go; any change may start or stop ringing."""
        if incident.state is State.RESOLVED:
            self.escalations.post(incident.id, Resolved(incident.changed_by))
            incident.hang_up("incident resolved")
        self._wake_operators()

    def _ask_help(self, incident: LiveIncident, operator: Operator) -> None:
        incident.wants_help = True
        self._wake_operators()

    async def _call_back(self, incident: LiveIncident, actor: str) -> bool:
        return await call_back(incident, self.desk, asked_by=actor)

    def _use(self, lookups: Lookups) -> None:
        """Other definitions hold from now on."""
        self.directory.use(lookups)
        self.operators.follow(lookups.settings.operators)

    def heard(self, incident: LiveIncident, seconds: float) -> None:
        self.metrics.heard_seconds.observe(seconds)

    def _store_changed(self, down: bool) -> None:
        self._store_down = down

    @property
    def trouble(self) -> str | None:
        """What is wrong in a few words, for whoever watches the process."""
        wrong = []
        if self._store_down or self.incidents.begun is not None:
            wrong.append(f"store unavailable, {self.journal.backlog} writes wait")
        if self.outside.disk.fault:
            wrong.append(f"recordings not written: {self.outside.disk.fault}")
        if self.following.trouble:
            wrong.append(self.following.trouble)
        if faults := self.outside.faults:
            wrong.append(f"not used of what is configured: {len(faults)} file(s), told by check-config")
        wrong += self.trunks.trouble
        return "; ".join(wrong) or None

    def _publish(self) -> None:
        watch = self.metrics.watch
        watch("earshot_open_incidents", "Incidents not resolved", lambda: len(self.incidents))
        watch("earshot_waiting_incidents", "Incidents that ring", lambda: len(self.incidents.waiting()))
        watch("earshot_legs", "Legs with media", lambda: self.media_clock.legs)
        watch("earshot_operators_listening", "Operators on an incident", lambda: self.operators.listening)
        watch("earshot_store_backlog", "Writes that wait for the store", lambda: self.journal.backlog)
        watch("earshot_trunks_down", "Trunks that calls cannot use", lambda: len(self.trunks.down))
        watch("earshot_calls_waiting_for_trunk", "Calls that wait for a trunk", lambda: self.trunks.lines.waiting)
        watch(
            "earshot_webhooks_waiting", "Deliveries not made yet", lambda: self.webhooks.waiting if self.webhooks else 0
        )
        watch(
            "earshot_webhooks_given_up", "Deliveries given up", lambda: self.webhooks.given_up if self.webhooks else 0
        )
        watch("earshot_definition_versions", "Versions of definitions in the store", lambda: self.following.versions)
        watch("earshot_definitions_refused", "Changes that are not used", lambda: self.following.refusals)
        watch("earshot_late_ticks", "Media ticks that came late", lambda: self.media_clock.late_ticks)
