"""Texts of everything that is said on the phone: one file a language, `ivr.prompts` reads them."""

from importlib.resources import files

FOLDER = files(__name__)
