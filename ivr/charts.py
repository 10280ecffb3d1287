"""Dialogues as something to read: in words, and as a Mermaid flow chart."""

from collections.abc import Iterator, Mapping

from ivr.accept import ACCEPT
from ivr.briefing import BRIEFING
from ivr.checkin import CHECK_IN, CHECK_IN_PIN
from ivr.inbound import INBOUND, SIGN_IN
from ivr.menu import AGAIN, RECORDED, TONE, Act, Choice, Dialogue, Ending, Question, Recording, Step, language_of
from ivr.prompts import Prompts
from ivr.taker import TAKER

DIALOGUES: Mapping[str, Dialogue] = {
    dialogue.name: dialogue for dialogue in (ACCEPT, BRIEFING, CHECK_IN, CHECK_IN_PIN, INBOUND, SIGN_IN, TAKER)
}


_SOUNDS = {TONE: "(a tone)", RECORDED: "(what was recorded)"}


def in_words(dialogue: Dialogue, prompts: Prompts, language: str) -> Iterator[str]:
    """Line by line: what is said, what keys do, where silence leads."""
    yield f"{dialogue.name}: {dialogue.purpose}"
    if _refuses(dialogue):
        yield "once an entry was refused the call goes on, whatever the ending"
    for name, step in dialogue.steps.items():
        yield ""
        yield f"{name}{' (the start)' if name == dialogue.start else ''}"
        yield from (f"  says      {_text(prompts, language, prompt)}" for prompt in _said(step))
        yield from _answers(step)


def _refuses(dialogue: Dialogue) -> bool:
    acts = [step for step in dialogue.steps.values() if isinstance(step, Act)]
    return any(choice.to == AGAIN for act in acts for choice in act.ways.values())


def _said(step: Step) -> tuple[str, ...]:
    match step:
        case Ending():
            return step.says
        case Recording():
            return step.announces
        case Question():
            return step.announces + step.asks
        case Act():
            return ()


def _text(prompts: Prompts, language: str, prompt: str) -> str:
    if prompt in _SOUNDS:
        return _SOUNDS[prompt]
    return " ".join(prompts.written(*language_of(prompt, language)).split())


def _answers(step: Step) -> Iterator[str]:
    match step:
        case Question():
            yield from _keys(step)
        case Act():
            yield f"  does      {step.does}"
            yield from (f"  {way:9} {_choice(choice)}" for way, choice in step.ways.items())
        case Recording():
            yield f"  records   {step.to}, after {step.ends}, at most {step.longest:g} s"
            yield f"  silence   {step.nothing}"
        case Ending():
            yield f"  ends      {_ending(step)}"


def _choice(choice: Choice) -> str:
    return f"{choice.to}, says {' / '.join(choice.says)}" if choice.says else choice.to


def _keys(step: Question) -> Iterator[str]:
    for key, choice in step.keys.items():
        yield f"  {key:9} {_choice(choice)}"
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
    lines = ["flowchart TD", f"    Begin(( )) --> {_node(dialogue.start)}"]
    for name, step in dialogue.steps.items():
        lines.append(_box(name, step))
        lines += [f'    {_node(name)} -->|"{label}"| {_node(to)}' for to, label in _arrows(dialogue, name).items()]
    return "\n".join(lines)


def _node(name: str) -> str:
    """Capitalised: Mermaid takes a lower-case `end` for its own, and a chart with such a node is none."""
    return name.capitalize()


def _box(name: str, step: Step) -> str:
    node = _node(name)
    match step:
        case Ending():
            return f'    {node}(["{_ending(step)}"])'
        case Act():
            return f"    {node}[[{step.does}]]"
        case _:
            said = "<br>".join((name, *(prompt.strip("{}") for prompt in _said(step))))
            return f'    {node}["{said}"]'


def _arrows(dialogue: Dialogue, name: str) -> dict[str, str]:
    """All ways that lead to one step as one arrow."""
    ways: dict[str, list[str]] = {}
    for to, label in _ways(dialogue.steps[name]):
        for step in _asking(dialogue, name) if to == AGAIN else (to,):
            ways.setdefault(step, []).append(label)
    return {to: ", ".join(labels) for to, labels in ways.items()}


def _asking(dialogue: Dialogue, act: str) -> Iterator[str]:
    """The questions whose answer a step judges."""
    return (name for name, step in dialogue.steps.items() if any(to == act for to, _ in _ways(step)))


def _ways(step: Step) -> Iterator[tuple[str, str]]:
    match step:
        case Act():
            yield from ((choice.to, way) for way, choice in step.ways.items())
        case Recording():
            yield step.to, "spoken"
            yield step.nothing, "nothing heard"
        case Question():
            yield from ((choice.to, key.replace("#", "#35;")) for key, choice in step.keys.items())
            if step.digits is not None:
                yield step.digits.to, "digits"
            yield step.silence, "silence"
            yield step.given_up or step.silence, "wrong keys"
            if step.machine is not None:
                yield step.machine, "machine suspected"
