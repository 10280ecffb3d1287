"""Dialogues as something to read: in words, and as a Mermaid flow chart."""

from collections.abc import Iterator, Mapping

from ivr.accept import ACCEPT
from ivr.briefing import BRIEFING
from ivr.menu import Dialogue, Ending, Question
from ivr.prompts import Prompts
from ivr.taker import TAKER

DIALOGUES: Mapping[str, Dialogue] = {dialogue.name: dialogue for dialogue in (ACCEPT, BRIEFING, TAKER)}


def in_words(dialogue: Dialogue, prompts: Prompts, language: str) -> Iterator[str]:
    """Line by line: what is said, what keys do, where silence leads."""
    yield f"{dialogue.name}: {dialogue.purpose}"
    for name, step in dialogue.steps.items():
        yield ""
        yield f"{name}{' (the start)' if name == dialogue.start else ''}"
        said = step.says if isinstance(step, Ending) else step.announces + step.asks
        for prompt in said:
            yield f"  says      {_text(prompts, language, prompt)}"
        yield from _answers(step) if isinstance(step, Question) else (f"  ends      {_ending(step)}",)


def _text(prompts: Prompts, language: str, prompt: str) -> str:
    return " ".join(prompts.written(language, prompt).split())


def _answers(step: Question) -> Iterator[str]:
    for key, choice in step.keys.items():
        says = f", says {' / '.join(choice.says)}" if choice.says else ""
        yield f"  {key:9} {choice.to}{says}"
    if step.digits is not None:
        yield f"  digits    {step.digits.to}, up to {step.digits.maximum}, then {step.digits.terminator}"
    yield f"  silence   {step.silence}, after {step.waits:g} s, {_times(step.repeats)}"
    yield f"  wrong key {step.given_up or step.silence}, at the {_nth(step.mistakes)} one"
    if step.machine is not None:
        yield f"  machine   {step.machine}, after fewer repeats"


def _ending(step: Ending) -> str:
    return f"{step.outcome}, {'hangs up' if step.hang_up else 'the call goes on'}"


def _times(repeats: int) -> str:
    return {0: "not repeated", 1: "repeated once", 2: "repeated twice"}.get(repeats, f"repeated {repeats} times")


def _nth(number: int) -> str:
    return {1: "first", 2: "second", 3: "third", 4: "fourth"}.get(number, f"{number}th")


def mermaid(dialogue: Dialogue) -> str:
    """A flow chart: questions, endings, and what leads from one to the next."""
    lines = ["flowchart TD", f"    begin(( )) --> {dialogue.start}"]
    for name, step in dialogue.steps.items():
        if isinstance(step, Ending):
            lines.append(f'    {name}(["{_ending(step)}"])')
            continue
        said = "<br>".join((name, *step.announces, *step.asks))
        lines.append(f'    {name}["{said}"]')
        lines += [f'    {name} -->|"{label}"| {to}' for to, label in _arrows(step).items()]
    return "\n".join(lines)


def _arrows(step: Question) -> dict[str, str]:
    """All ways that lead to one step as one arrow."""
    ways: dict[str, list[str]] = {}
    for key, choice in step.keys.items():
        ways.setdefault(choice.to, []).append(key.replace("#", "#35;"))
    if step.digits is not None:
        ways.setdefault(step.digits.to, []).append("digits")
    ways.setdefault(step.silence, []).append("silence")
    ways.setdefault(step.given_up or step.silence, []).append("wrong keys")
    if step.machine is not None:
        ways.setdefault(step.machine, []).append("machine suspected")
    return {to: ", ".join(labels) for to, labels in ways.items()}
