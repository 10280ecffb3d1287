"""`earshot call-me`: a check-in against one's own softphone, to hear what workers hear. Its options and its help."""

import argparse
from collections.abc import Callable

from config.settings import Settings
from ivr.prompts import LANGUAGES

EPILOG = """\
The call is for practice: nothing is recorded, no alarm is raised, nobody else is called. It goes straight to the
address, without a trunk, and speaks A-law or mu-law (G.711). Emergency numbers are refused.

exit codes:
  0  confirmed
  2  it could not be tried: no such address or host, an emergency number, a mistake in the configuration
  3  duress: a silent alarm would have been raised
  4  not confirmed
  5  nobody answered, or the telephone refused the call

examples:
  earshot call-me --to sip:anna@192.168.1.20
  earshot call-me --to sip:127.0.0.1:5070 --language nl --pin
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Give a parser the options of the command."""
    parser.epilog, parser.formatter_class = EPILOG, argparse.RawDescriptionHelpFormatter
    parser.add_argument("--to", required=True, metavar="sip:…", help="the telephone, such as sip:anna@192.168.1.20")
    parser.add_argument("--language", choices=LANGUAGES, help="the worker's, else the customer's, else en")
    parser.add_argument("--worker", metavar="NAME", help="who is called: one of the configuration, or any name")
    parser.add_argument("--customer", metavar="NAME", help="on whose behalf: one of the configuration, or any name")
    parser.add_argument(
        "--pin", nargs="?", const="", metavar="PIN", help="ask for a PIN and not for a key: this one, or one made up"
    )
    parser.add_argument("--rings", type=_seconds, default=30.0, metavar="SECONDS", help="how long it rings (30)")


def call_me(options: argparse.Namespace, settings_of: Callable[[argparse.Namespace], Settings]) -> int:
    from voice.cli.practising import run  # half of the service, which no other command needs

    return run(options, settings_of)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 1 <= seconds <= 300:
        raise argparse.ArgumentTypeError("1 to 300 seconds")
    return seconds
