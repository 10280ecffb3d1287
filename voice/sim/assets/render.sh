#!/bin/sh
# Renders the spoken clips in this folder. Needs espeak-ng and sox (Debian); the product needs neither, it reads
# the WAV files. The clips are output of espeak-ng, which its licence (GPL-3) does not cover; they are released
# with the product under the product's own licence.
set -eu
cd "$(dirname "$0")"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# say NAME VOICE WORDS-PER-MINUTE PITCH TEXT: telephone band, silence at both ends cut off, peak at -3 dB.
say() {
    espeak-ng -v "$2" -s "$3" -p "$4" -w "$scratch/full.wav" "$5"
    sox -R "$scratch/full.wav" -r 8000 -c 1 -b 16 "$scratch/$1.wav" \
        sinc 250-3500 silence 1 0.02 0.5% reverse silence 1 0.02 0.5% reverse gain -n -3
}

sox -R -n -r 8000 -c 1 -b 16 "$scratch/pause.wav" trim 0 0.4
say badge-1 en-gb+f3 145 55 "Please step back."
say badge-2 en-gb+f3 155 58 "I am in the car park, level two, by the lifts."
say badge-3 en-gb+f3 155 65 "Do not come any closer. Somebody help me."
say operator en-gb+m3 155 40 "This is the control room. We hear you. Help is on its way."
sox "$scratch/badge-1.wav" "$scratch/pause.wav" "$scratch/badge-2.wav" "$scratch/pause.wav" \
    "$scratch/badge-3.wav" "$scratch/pause.wav" -R -e a-law badge.wav
sox "$scratch/operator.wav" -R -e a-law operator.wav
