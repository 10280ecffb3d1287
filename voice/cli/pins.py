"""`earshot hash-pin`: what the configuration keeps of a PIN."""

import sys
from argparse import Namespace
from collections.abc import Callable
from getpass import getpass

from config.settings import Settings
from voice.check_in.pins import hashed, unsuitable
from voice.errors import ConfigurationError


def hash_pin(options: Namespace, settings_of: Callable[[Namespace], Settings]) -> int:
    """Ask for a PIN, twice where somebody sits at the keyboard, and print its hash. It is neither shown nor kept."""
    if sys.stdin.isatty():
        pin = getpass("PIN: ")
        if getpass("again: ") != pin:
            raise ConfigurationError("the two are not the same")
    else:
        pin = sys.stdin.readline().rstrip("\r\n")
    if why := unsuitable(pin):
        raise ConfigurationError(f"this PIN will not do: {why}")
    print(hashed(pin))
    return 0
