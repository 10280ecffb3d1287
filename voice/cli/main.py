"""The commands of `earshot` and their options.

A mistake of the user is told in one line on standard error, with exit code 2. Exit code 1 means that `verify`
found something changed. A traceback is a bug.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NoReturn

from ivr.charts import DIALOGUES
from ivr.prompts import LANGUAGES
from voice.cli import asking, call_me, commands, deciding, pins, planning, sessions, speaking
from voice.cli.commands import SettingsOf
from voice.cli.configured import in_use, written
from voice.errors import EarshotError
from voice.incidents.lifecycle import Reason, State

EXIT_MISTAKE = 2
EXIT_INTERRUPTED = 130

EXAMPLES = """\
examples:
  earshot demo                            a whole alarm on this machine, with simulated phones
  earshot check-config earshot.toml       what is wrong with a configuration, with line and key
  earshot simulate night --from "Sunday 03:00"    what a plan would do then, without a call being made
  earshot serve --config earshot.toml     answer alarms
  earshot incidents --state open          what waits for somebody
  earshot incident 1k3x9a0q --follow      what happens with an alarm, as it happens
  earshot resolve 1k3x9a0q false --note "she is at home"
  earshot play 1k3x9a0q                   hear what the device sent
  earshot play 1k3x9a0q --export a.wav    the same as a file for any player
  earshot verify 1k3x9a0q                 is its timeline as it was written?
  earshot sessions                        who is asked whether he is well, and when next
  earshot start-session anna --for 2h --every 30m    have Anna asked, from now on
  earshot session anna --log              what happened in her session
  earshot say --language nl accept.take key=4     hear a prompt of the telephone dialogues
  earshot call-me --to sip:anna@192.168.1.20      be asked whether you are well, on your own softphone
  earshot hash-pin                        make of a PIN what the configuration keeps of it

Incidents and sessions can be named by the first or last few characters of their name, a session by its worker.
EARSHOT_CONFIG names a configuration too; EARSHOT_SIP__UDP and the like set single keys.
"""


class Parser(argparse.ArgumentParser):
    """Tells a mistake in one line, as everything else here does."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_MISTAKE, f"{self.prog}: {message} (see `{self.prog} --help`)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    parser = _parser()
    options, more = parser.parse_known_args(arguments)
    if more and ("values" not in options or any(word.startswith("-") for word in more)):
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    if more:  # of `say PROMPT --language nl NAME=VALUE`: argparse takes values before an option, or none
        options.values += more
    try:
        return int(options.run(options))
    except EarshotError as error:
        return _told(str(error))
    except BrokenPipeError:  # `earshot incidents | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _told(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _told(message: str) -> int:
    for line in message.splitlines():
        print(f"earshot: {line}", file=sys.stderr)
    return EXIT_MISTAKE


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rows; allowed: 1 and more")
    return int(text)


def _reason(text: str) -> Reason:
    if text not in list(Reason):
        raise argparse.ArgumentTypeError(f"{text!r} is no reason; allowed: {', '.join(Reason)}")
    return Reason(text)


def _words(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError('is empty: say how you know, such as "she answered her telephone"')
    return text


def _parser() -> Parser:
    parser = Parser(
        prog="earshot",
        description="Answers the alarm calls of lone workers, records them, lets operators listen silently.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"earshot {_version()}")
    parser.set_defaults(run=partial(_help, parser))
    several = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=Parser)

    def add(
        name: str, summary: str, run: commands.Command, *, configured: bool = True, settings: SettingsOf = in_use
    ) -> Parser:
        command = several.add_parser(name, help=summary, description=summary[:1].upper() + summary[1:] + ".")
        if configured:
            command.add_argument("--config", type=Path, metavar="FILE", help="the configuration (TOML)")
        command.set_defaults(run=lambda options: run(options, settings))
        return command

    add("serve", "answer alarms until stopped", commands.serve)

    checked = add("check-config", "say what is wrong with a configuration", commands.check_config, configured=False)
    checked.add_argument("file", type=Path, metavar="FILE")
    checked.add_argument("--quiet", action="store_true", help="do not explain the plans")
    checked.add_argument("--draw", metavar="PLAN", help="print this plan as a Mermaid flow chart, and nothing else")

    told = "show what a plan would do, without a call being made"
    played_through = add("simulate", told, planning.simulate, settings=written)
    played_through.add_argument("plan", metavar="PLAN", help="its id")
    played_through.add_argument("--from", dest="since", metavar="TIME", help='such as "Sunday 03:00" (now)')
    played_through.add_argument("--customer", metavar="ID", help="whose alarm it is; the first who has this plan")
    played_through.add_argument("--worker", metavar="ID", help="who is in danger: telephones of his own are left alone")
    played_through.add_argument("--taken-by", metavar="CONTACT", help="who takes the alarm when his telephone rings")
    played_through.add_argument("--busy", action="append", default=[], metavar="CONTACT", help="whose line is busy")
    played_through.add_argument("--for", dest="lasting", metavar="DURATION", help="such as 20m (30m, or one lap)")
    played_through.add_argument("--json", action="store_true", help="for programs")

    listed = add("incidents", "list incidents, newest first", commands.incidents)
    listed.add_argument("--state", type=State, choices=list(State), metavar="STATE", help=", ".join(State))
    listed.add_argument("--limit", type=_positive, default=50, metavar="N", help="how many at most (50)")
    listed.add_argument("--json", action="store_true", help="for programs")

    shown = add("incident", "show what happened in an incident", commands.incident)
    shown.add_argument("incident", metavar="ID")
    shown.add_argument("--json", action="store_true", help="for programs; `verify` reads it back")
    shown.add_argument("--follow", action="store_true", help="go on until it is resolved")

    resolved = add("resolve", "end an incident, with a reason", deciding.resolve)
    resolved.add_argument("incident", metavar="ID")
    resolved.add_argument("reason", type=_reason, metavar="REASON", help=", ".join(Reason))
    resolved.add_argument("--note", default="", metavar="TEXT", help="how it was resolved, for the timeline")

    reopened = add("reopen", "open a resolved incident again: its plan starts from the top", deciding.reopen)
    reopened.add_argument("incident", metavar="ID")

    said_safe = add("safe", "note that the worker is safe; somebody still has to resolve it", deciding.safe)
    said_safe.add_argument("incident", metavar="ID")
    said_safe.add_argument("--proof", type=_words, required=True, metavar="TEXT", help="how you know, for the timeline")

    played = add("play", "play what the device of an incident sent", commands.play)
    played.add_argument("incident", metavar="ID")
    played.add_argument("--export", type=Path, metavar="FILE.wav", help="write a PCM WAV file instead of playing")
    played.add_argument("--memo", action="store_true", help="what the worker had said before the alarm, instead")

    traced = add("trace", "show the signalling of a call as a ladder", commands.trace)
    traced.add_argument("call_id", metavar="CALL-ID")

    verified = add("verify", "check that a timeline is as it was written", commands.verify)
    verified.add_argument("incident", metavar="ID|FILE.json", help="an incident, or what `incident ID --json` printed")

    timed = add("sessions", "list the check-ins that are under way, the next one first", sessions.sessions)
    timed.add_argument("--all", action="store_true", help="also sessions that have ended, newest first")
    timed.add_argument("--limit", type=_positive, default=50, metavar="N", help="with --all: how many at most (50)")
    timed.add_argument("--json", action="store_true", help="for programs")

    one = add("session", "show how a session of check-ins stands", sessions.session)
    one.add_argument("session", metavar="WORKER|ID", help="a worker's open session, or else his latest; or one by name")
    one.add_argument("--log", action="store_true", help="all that happened in it; this cannot be altered afterwards")
    one.add_argument("--json", action="store_true", help="for programs")
    one.add_argument(
        "--evidence",
        action="store_true",
        help="tell a confirmation under duress from another one: for investigators, never on a screen that others see",
    )

    started = add("start-session", "have a worker asked whether he is well, from now on", asking.start)
    started.add_argument("worker", metavar="WORKER", help="his id in the configuration")
    started.add_argument("--for", dest="lasting", required=True, metavar="DURATION", help="how long, such as 2h")
    started.add_argument("--every", metavar="DURATION", help="time between check-ins, such as 30m (by his rules)")
    started.add_argument("--key", metavar="TEXT", help="a name of yours: the same command again starts nothing new")

    longer = add("extend-session", "let a session end later; the next check-in stays as it is", asking.extend)
    longer.add_argument("session", metavar="WORKER|ID")
    longer.add_argument("--by", metavar="DURATION", help="such as 15m (by its rules)")
    longer.add_argument("--key", metavar="TEXT", help="a name of yours: the same command again changes nothing")

    over = add("end-session", "end a session: the worker is asked no more", asking.end)
    over.add_argument("session", metavar="WORKER|ID")

    said = add("say", "say a prompt as it is heard on the telephone; without one, list them", speaking.say)
    said.add_argument("prompt", nargs="?", metavar="PROMPT", help="such as accept.take")
    said.add_argument("values", nargs="*", metavar="NAME=VALUE", help="what the prompt needs, such as key=4")
    said.add_argument("--language", choices=LANGUAGES, default="en", help="en if not said otherwise")
    said.add_argument("--timezone", default="Europe/Amsterdam", metavar="ZONE", help="in which times are said")
    said.add_argument("--wav", type=Path, metavar="FILE", help="write a PCM WAV file instead of playing")

    charted = add("dialogue", "show a conversation on the telephone", speaking.dialogue)
    charted.add_argument("name", choices=sorted(DIALOGUES), metavar="NAME", help=", ".join(sorted(DIALOGUES)))
    charted.add_argument("--graph", action="store_true", help="as a Mermaid flow chart")
    charted.add_argument("--language", choices=LANGUAGES, default="en", help="en if not said otherwise")

    call_me.describe(add("call-me", "call a softphone and lead a check-in with it, for practice", call_me.call_me))

    add("hash-pin", "make of a PIN what the configuration keeps of it", pins.hash_pin, configured=False)

    shown_off = add("demo", "play a whole alarm with simulated phones", commands.demo, configured=False)
    tales = shown_off.add_mutually_exclusive_group()
    tales.add_argument(
        "--escalation",
        action="store_const",
        dest="tale",
        const="escalation",
        default="alarm",
        help="the second story: nobody is at the desk, so the plan goes on",
    )
    tales.add_argument(
        "--check-in",
        action="store_const",
        dest="tale",
        const="check-in",
        help="the third story: a check-in, and one under threat that sounds the same",
    )
    shown_off.add_argument("--keep", action="store_true", help="leave the service up afterwards")
    return parser


def _help(parser: Parser, options: argparse.Namespace) -> int:
    parser.print_help()
    return 0


def _version() -> str:
    try:
        return version("earshot")
    except PackageNotFoundError:
        return "(not installed)"
