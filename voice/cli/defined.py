"""The settings as a running service has them: those of the file, and what the store defines besides."""

from argparse import Namespace
from collections.abc import Callable

from config.settings import Settings
from voice.errors import ConfigurationError, StoreUnavailable
from voice.store.definitions import beside, merge
from voice.store.reading import reading


def everything(options: Namespace, settings_of: Callable[[Namespace], Settings]) -> Settings:
    """Without a store that can be read: what the file says. Whoever needs the store itself tells why it cannot be."""
    settings = settings_of(options)
    try:
        with reading(settings.store.url) as connection, connection.begin():
            return merge(settings, beside(connection, settings).definitions)
    except (ConfigurationError, StoreUnavailable):
        return settings
