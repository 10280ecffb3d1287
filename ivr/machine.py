"""Does this sound like an answering machine? Advisory only: it never decides whether a person has taken an alarm."""


class Machine:
    """Listens to what the called side says."""

    def __init__(self) -> None:
        self.suspected: str | None = None
        """Why a machine is suspected; None: it is not."""

    def hear(self, alaw: bytes) -> None:
        """Take in the next piece of audio: A-law, 8 kHz, any length."""
