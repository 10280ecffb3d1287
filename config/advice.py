"""What is allowed in a configuration, and yet worth a second look."""

from collections.abc import Iterator

from config.models import Settings


def advice(settings: Settings) -> Iterator[str]:
    """One line for each thing that a careful colleague would point out."""
    if not settings.operators:
        yield "there are no [[operators]]: alarms are answered and recorded, but nobody is rung"
    if not (settings.devices or settings.sip.trusted_networks):
        yield "there are no [[devices]] and no sip.trusted_networks: no alarm can be told from any call"
    for network in settings.sip.trusted_networks:
        if network.prefixlen == 0:
            yield f"sip.trusted_networks: {network} trusts everybody, who can then claim to be any device"
    for table in ("devices", "operators"):
        for row in getattr(settings, table):
            if row.password and row.password.startswith("change-me"):
                yield f"{table}: {row.id!r} still has the password of the example"
    for device in settings.devices:
        if not (device.username or device.callback or device.trunk):
            yield f"devices: {device.id!r} cannot be called back: it has no username, callback or trunk"
