"""Renders what config/prompts says and config/speech has not; drops what is not said any more."""

import argparse
import os
import wave
from pathlib import Path

import numpy as np

from config.prompts import FOLDER as PROMPTS
from ivr import archive
from ivr.blocks import blocks
from ivr.prompts import LANGUAGES, Prompts
from ivr.sound import Samples, levelled, limited, telephone, trimmed
from rendering.edges import without_tail
from rendering.kokoro import RATE, Kokoro
from rendering.measure import measure
from rendering.spoken import VOICES, VoiceOf

HOME = Path(os.environ["RENDERING"])
SPEECH = Path("config/speech")


def main() -> None:
    options = _options()
    prompts = Prompts.load(PROMPTS)
    for language in options.language or LANGUAGES:
        if options.measure:
            measure(language, Kokoro(HOME), HOME)
        elif options.wideband is not None:
            wideband(prompts, language, options.wideband)
        else:
            render(prompts, language, anew=options.all)


def render(prompts: Prompts, language: str, *, anew: bool) -> None:
    """Keeps what there is and is still said, unless `anew`. Writes now and then: it can be stopped at any time."""
    voice, engine = VOICES[language], Kokoro(HOME)
    old = archive.read(SPEECH, language)
    wanted = blocks(prompts, language)
    clips = {} if anew else {text: old.packed(text) for text in old.pieces if text in wanted}
    missing = [text for text in wanted if text not in clips]
    for number, text in enumerate(missing, 1):
        clips[text] = archive.packed(without_tail(telephone(engine.say(text, voice), RATE)))
        print(language, number, "of", len(missing), repr(text), flush=True)
        if number % 40 == 0:
            archive.write(SPEECH, language, clips, _about(voice))
    archive.write(SPEECH, language, clips, _about(voice))
    print(f"{language}: {len(clips)} pieces, {sum(map(len, clips.values())) / 4000:.0f} s")


def _about(voice: VoiceOf) -> dict[str, object]:
    return {
        "engine": "Kokoro-82M int8 (Apache-2.0), phonemes by espeak-ng",
        "voice": " + ".join(voice.styles),
        "speed": voice.speed,
        "made_by": "deploy/render-prompts",
    }


def wideband(prompts: Prompts, language: str, folder: Path) -> None:
    """WAV files at 16 kHz, for a wideband codec: too large to be kept with the source."""
    engine = Kokoro(HOME)
    (folder / language).mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(blocks(prompts, language)):
        samples = limited(levelled(trimmed(_at_16_khz(engine.say(text, VOICES[language])))))
        with wave.open(str(folder / language / f"{number:04}.wav"), "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes(np.rint(samples * 32767).astype("<i2").tobytes())
        with (folder / language / "index.tsv").open("a", encoding="utf-8") as index:
            index.write(f"{number:04}.wav\t{text}\n")


def _at_16_khz(samples: Samples) -> Samples:
    """Two thirds of the samples: twice as many, low-pass at 7.4 kHz, every third."""
    taps = np.sinc(np.arange(-72, 73) / 3 * 0.925) * np.kaiser(145, 8)
    twice = np.zeros(2 * len(samples), np.float32)
    twice[::2] = samples
    found: Samples = np.convolve(twice, 2 * taps / taps.sum(), "same")[::3].astype(np.float32)
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="render-prompts", description=__doc__)
    parser.add_argument("--language", action="append", choices=LANGUAGES, help="only this one (may be repeated)")
    parser.add_argument("--all", action="store_true", help="render what there is already, too")
    parser.add_argument("--wideband", type=Path, metavar="FOLDER", help="write 16 kHz WAV files there instead")
    parser.add_argument("--measure", action="store_true", help="measure voices with a speech recogniser instead")
    return parser.parse_args()


main()
