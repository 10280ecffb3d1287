"""Speech that was rendered ahead by `deploy/render-prompts`: `ivr.archive` reads it."""

from importlib.resources import files

FOLDER = files(__name__)
