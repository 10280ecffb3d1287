"""Sounds that stand in for speech when there is none: a dialogue is never mute."""


def pattern(key: str | None = None) -> bytes:
    """An attention sound; with a key, then as many beeps as its digit says. A-law, 8 kHz."""
    raise NotImplementedError
