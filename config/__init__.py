"""Typed settings: `settings.load` gives them, `models` says what they are, `example.toml` explains each key.

Of `voice` it imports only the vocabulary: `voice.address`, `voice.errors`, `voice.incidents.kinds`.
"""
