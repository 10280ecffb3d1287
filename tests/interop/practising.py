"""`earshot call-me` as somebody starts it who wants to be called by Earshot, beside the softphone that it calls."""

import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .program import Program
from .service import ROOT


class CallMe(Program):
    """One check-in for practice. `speech`: where spoken texts are kept for the next time."""

    def __init__(self, directory: Path, uri: str, *options: str, speech: Path | None = None) -> None:
        super().__init__(f"call-me-{len(list(directory.glob('call-me-*')))}", directory)
        self.uri, self.options = uri, options
        self.speech = speech or self.directory / "speech"

    def command(self) -> Sequence[str]:
        return [sys.executable, "-u", "-m", "voice", "call-me", "--to", self.uri, *self.options]

    def environment(self) -> Mapping[str, str]:
        return {"PYTHONPATH": str(ROOT), "EARSHOT_CONFIG": "", "EARSHOT_SPEECH__DIRECTORY": str(self.speech)}

    def wait_for_confirming(self) -> str:
        """What is to be keyed by whoever is well, as it says before it calls."""
        return self.wait_for(r"you are well +(?:press|key in) (\d+)")[1]

    def wait_for_duress(self) -> str:
        """The same for whoever is forced."""
        return self.wait_for(r"under duress +(?:press|key in) ([\d ]+\d)")[1].replace(" ", "")

    def wait_for_words(self, words: str) -> None:
        """Until the telephone is told this."""
        self.wait_for(f'you hear: "[^"]*{words}')

    def signalled(self, sign: signal.Signals) -> None:
        """SIGINT is Ctrl-C."""
        if self.process is not None:
            self.process.send_signal(sign)
