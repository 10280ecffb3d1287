"""`earshot demo`: the real service on real sockets of this machine, and an alarm played through by simulated phones."""

import asyncio
import random
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from voice.app import Service
from voice.cli.showing import Story as Shown
from voice.cli.showing import aligned, from_here
from voice.logs import set_up_logging
from voice.media.wav import Origin, header
from voice.process import running
from voice.rtp.transport import UdpPorts
from voice.sim.control_room import ControlRoom
from voice.sim.demo_duress import SEES_IT_LATER, CheckInStory
from voice.sim.demo_duress import findings as check_in_findings
from voice.sim.demo_escalation import Cast, Escalation
from voice.sim.demo_escalation import findings as escalation_findings
from voice.sim.demo_findings import findings
from voice.sim.demo_place import HOST, Place, Tale, prepare
from voice.sim.demo_story import Played, Story
from voice.sim.demo_telling import Follower, Telling
from voice.sim.demo_view import Finding, View
from voice.sim.habits import Answers, Habits
from voice.sim.phone import SimPhone
from voice.sim.phone_call import PhoneCall
from voice.sim.speech import clip
from voice.sip.transport import SocketTransport

PICKS_UP_AFTER = 3.0
"""Seconds that the operator lets it ring: late enough that there is something to catch up with."""

PHONE_PORTS = (30000, 31999)

T = TypeVar("T")

Play = Callable[[Place, Service, View], Coroutine[Any, Any, bool]]


def run(tale: Tale = "alarm", *, keep: bool = False) -> int:
    """Play a story of the demo. 0 if everything was as it should be, else 1."""
    place = prepare(datetime.now(), tale)
    view = View()
    with _log(place.folder / "earshot.log"):
        try:
            return asyncio.run(_demo(place, view, keep=keep, play=_TALES[tale]))
        except KeyboardInterrupt:
            view.show()
            view.say("", f"Stopped. What was recorded so far lies in {from_here(place.folder)}")
            raise


async def _demo(place: Place, view: View, *, keep: bool, play: Play) -> int:
    started = time.monotonic()
    async with running(place.settings) as service:
        view.title("Earshot demo: one alarm over real SIP and RTP on this machine")
        view.say(f"The service answers at {HOST}:{place.server[1]}, UDP and TCP.")
        view.say(f"Its data lies in {from_here(place.folder)}", "")
        good = await play(place, service, view)
        view.say("")
        took = f"The demo took {time.monotonic() - started:.0f} s."
        if good:
            view.verdict(f"{took} Everything was as it should be.", good=True)
        else:
            view.verdict(f"{took} Something was not as it should be: see FAILED above.", good=False)
        if keep:
            await _keep(place, service, view)
    return 0 if good else 1


async def _play(place: Place, service: Service, view: View) -> bool:
    badge = _phone(place, "badge-7")
    operator = _phone(place, "olga", Habits(after=PICKS_UP_AFTER))
    await badge.start()
    await operator.start()
    story = Story(service, badge, operator, tell=view.add, zero=view.begin)
    played = await _told(story, (badge, operator), place, view)
    if played is None:
        return False
    found = list(findings(played))
    view.findings(found)
    _where_things_lie(place, played, view)
    return all(finding.holds for finding in found)


async def _play_escalation(place: Place, service: Service, view: View) -> bool:
    """The second story: nobody is at the desk."""
    room = _phone(place, "room", Habits(after=1.0))
    cast = Cast(
        badge=_phone(place, "badge-7"),
        olga=_phone(place, "olga", Habits(answers=Answers.NEVER)),
        manager=_phone(place, "manager", Habits(after=2.0)),
        bas=_phone(place, "bas", Habits(after=3.0)),
        room=ControlRoom(room, service.outside.speech.speaker, presses="2", after=22.0),
    )
    for phone in cast.phones:
        await phone.start()
    story = Escalation(service, cast, tell=view.add, zero=view.begin)
    played = await _told(story, cast.phones, place, view)
    if played is None:
        return False
    incident = f"incident {played.incident.id} --config"
    return _judged(list(escalation_findings(played)), (incident, "check-config"), place, view)


async def _play_check_in(place: Place, service: Service, view: View) -> bool:
    """The third story: a check-in, and one under threat."""
    anna = _phone(place, "anna", Habits(after=1.0))
    olga = _phone(place, "olga", Habits(after=SEES_IT_LATER))
    for phone in (anna, olga):
        await phone.start()
    story = CheckInStory(service, anna, olga, tell=view.add, zero=view.begin)
    played = await _told(story, (anna, olga), place, view)
    if played is None:
        return False
    commands = [f"{command} {played.incident.id} --config" for command in ("play", "incident")]
    return _judged(list(check_in_findings(played)), commands, place, view)


def _judged(found: Sequence[Finding], commands: Sequence[str], place: Place, view: View) -> bool:
    """Show what was found, and by which commands to look for oneself. Whether everything was as it should be."""
    view.findings(found)
    view.say("", "Look for yourself:")
    for command in commands:
        view.say(f"  {_command()} {command} {shlex.quote(from_here(place.configuration))}")
    return all(finding.holds for finding in found)


_TALES: Mapping[Tale, Play] = {"alarm": _play, "escalation": _play_escalation, "check-in": _play_check_in}


async def _told(story: Telling[T], phones: Sequence[SimPhone], place: Place, view: View) -> T | None:
    """Play a story and show it as it goes; None where it stopped."""
    showing = asyncio.get_running_loop().create_task(_show(view))
    try:
        played = await story.play()
    except (TimeoutError, ConnectionError) as error:
        view.show()
        why = str(error) or "nothing more happened"
        view.say("", f"FAILED  The story stopped where {story.doing}: {why}.")
        view.say(f"        The service's log: {from_here(place.folder / 'earshot.log')}")
        return None
    finally:
        showing.cancel()
        for phone in phones:
            await _put_away(phone)
    view.show()
    view.say("")
    return played


async def _put_away(phone: SimPhone) -> None:
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(1):
            await phone.unregister()
    await phone.close()


async def _show(view: View) -> None:
    while True:
        view.show(datetime.now(UTC))
        await asyncio.sleep(0.05)


def _phone(place: Place, user: str, habits: Habits | None = None) -> SimPhone:
    device, operator = place.settings.device(user), place.settings.operator(user)
    account = device or operator
    port = place.ports.get(user, 0)
    return SimPhone(
        user,
        plug=lambda: SocketTransport(udp=[(HOST, port)]),
        ports=UdpPorts(HOST, *PHONE_PORTS),
        server=("UDP", place.server),
        password=account.password if account else None,
        domain=place.settings.sip.realm,
        habits=habits,
        dice=random.SystemRandom(),
    )


def _where_things_lie(place: Place, played: Played, view: View) -> None:
    incident = played.incident.id
    shown = Shown(played.incident, played.timeline, played.legs, played.recordings, linked=())
    view.say("", "Recordings (A-law WAV, 8 kHz: every player takes them):")
    view.say(*shown.recordings_told(place.settings))
    view.say("", "What the two phones heard, written down by them:")
    heard = (("Olga", played.operator), ("the badge", played.badge))
    view.say(*aligned([(name, from_here(_written(place, name, call))) for name, call in heard]))
    earshot, config = _command(), shlex.quote(from_here(place.configuration))
    device = next(leg for leg in played.legs if leg.role == "device")
    view.say("", "Look for yourself:")
    view.say(
        *aligned(
            [
                ("hear it", f"{earshot} play {incident} --config {config}"),
                ("read it", f"{earshot} incident {incident} --config {config}"),
                ("its SIP", f"{earshot} trace {shlex.quote(device.call_id)} --config {config}"),
                ("check it", f"{earshot} verify {incident} --config {config}"),
            ]
        )
    )


def _written(place: Place, name: str, call: PhoneCall) -> Path:
    """What a phone heard in a call, as a file."""
    audio = call.hearing.audio()
    path = place.folder / f"heard-by-{name.split()[-1].lower()}.wav"
    path.write_bytes(header(Origin(datetime.now(UTC), 0), len(audio)) + audio)
    return path


def _command() -> str:
    """How `earshot` was called, so that it can be called like that again."""
    called = Path(sys.argv[0])
    if called.name != "earshot":
        return "earshot"
    return "earshot" if shutil.which("earshot") == str(called.absolute()) else shlex.quote(from_here(called.absolute()))


async def _keep(place: Place, service: Service, view: View) -> None:
    """Leave the service up until Ctrl-C, for softphones; Enter lets the simulated badge call again."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    host, port = place.server
    settings = place.settings
    api = settings.api.listen
    view.say("", "The service stays up until Ctrl-C. It can be reached from this machine only.")
    view.say(
        *aligned(
            [
                ("SIP server", f"{host}:{port}, UDP or TCP"),
                *(
                    (f"operator {o.name}", f"user {o.username}, password {o.password}; rings, or dials `next`")
                    for o in settings.operators
                ),
                *(
                    (f"device {d.id}", f"user {d.username}, password {d.password}; dials any number")
                    for d in settings.devices
                ),
                *([("metrics", f"http://{api[0]}:{api[1]}/metrics and /healthz")] if api else []),
            ]
        )
    )
    badge = _phone(place, "badge-7")
    await badge.start()
    follower = Follower(service, view.add)
    await follower.look()  # what has been told already
    view.forget()
    tasks = [loop.create_task(follower.run()), loop.create_task(_show(view))]
    if sys.stdin.isatty():
        view.say("", "Register a softphone as Olga. Press Enter, and the simulated badge raises an alarm again.", "")
        loop.add_reader(sys.stdin, _pressed, badge, settings.sip.realm, view)
    await stopping.wait()
    if sys.stdin.isatty():
        loop.remove_reader(sys.stdin)
    for task in tasks:
        task.cancel()
    await badge.close()
    view.say("", "Stopped.")


def _pressed(badge: SimPhone, domain: str, view: View) -> None:
    """Enter was pressed: an alarm, if none is on."""
    sys.stdin.readline()
    if not badge.live_calls:
        view.begin(datetime.now(UTC))
        call = badge.call(f"sip:alarm@{domain}")
        for _ in range(10):
            call.say(clip("badge"))


@contextmanager
def _log(path: Path) -> Iterator[None]:
    """The service's own log goes into a file, so that the story can be read."""
    with path.open("w", encoding="utf-8") as file:
        set_up_logging(level="info", json=False, personal_data=False, stream=file)
        yield
