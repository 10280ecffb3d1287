"""A plan as a Mermaid flow chart (https://mermaid.js.org/syntax/flowchart.html): steps from top to bottom, and the ways
on which a human has it. Pure."""

from collections.abc import Iterator

from config.plans import FrozenPlan, Step
from voice.escalation.explaining import target_name
from voice.escalation.phrases import duration, listed

_SPECIAL = str.maketrans(
    {
        "#": "#35;",  # begins an entity, so it is one itself
        "&": "#amp;",
        '"': "#quot;",
        "<": "#lt;",
        ">": "#gt;",
        "\\": "#92;",
        "`": "#96;",  # "`…`" would be read as Markdown
        "\n": " ",
        "\r": " ",
    }
)


def mermaid(frozen: FrozenPlan) -> str:
    """The whole plan as the text of a chart."""
    return "\n".join(["flowchart TD", *(f"    {line}" for line in _lines(frozen))])


def _lines(frozen: FrozenPlan) -> Iterator[str]:
    plan = frozen.plan
    yield f'alarm(["{_text("Alarm")}"]) --> step1'
    for number, step in enumerate(plan.steps, 1):
        yield f"step{number}{_shape(step, _label(frozen, number, step))}"
        if step.ring or step.emergency or step.link == "proof":
            yield f'step{number} -. "{_text(_taken(step))}" .-> human'
        after = f"step{number + 1}" if number < len(plan.steps) else "last"
        yield f'step{number} -->|"{_text(_goes_on(step))}"| {after}'
    yield from _ending(frozen)


def _ending(frozen: FrozenPlan) -> Iterator[str]:
    plan = frozen.plan
    if plan.at_end == "stop":
        yield f'last[/"{_text(f"Ends without a human, as agreed in “{plan.agreement}”")}"/]'
        yield "style last stroke:#c00,stroke-width:3px"
    else:
        yield f'last(("{_text("Again")}")) -->|"{_text(f"after {duration(plan.lap_pause)}")}"| step1'
    yield f'human(["{_text("A person has the alarm")}"])'
    yield f'human -. "{_text(f"hung up, and not closed in {duration(plan.follow_up)}")}" .-> step1'
    yield "style human stroke:#080,stroke-width:3px"


def _shape(step: Step, text: str) -> str:
    """Calls to people as boxes, messages as flags, emergency calls as hexagons, waits rounded."""
    if step.emergency:
        return f'{{{{"{text}"}}}}'
    if step.message:
        return f'>"{text}"]'
    return f'["{text}"]' if step.ring else f'("{text}")'


def _label(frozen: FrozenPlan, number: int, step: Step) -> str:
    """A few short lines; names are escaped, the breaks between them are ours."""
    return "<br>".join(_text(line) for line in _said(frozen, number, step))


def _said(frozen: FrozenPlan, number: int, step: Step) -> Iterator[str]:
    who = listed([target_name(frozen, target) for target in (step.ring or step.message)])
    if step.ring:
        yield f"{number}. Ring {who}"
        order = {"all": "all at once", "sequence": "one after the other"}[step.order]
        yield f"{order}, {duration(step.seconds)}" if _several(frozen, step) else duration(step.seconds)
        if step.rounds > 1:
            yield f"{step.rounds} rounds"
    elif step.message:
        yield f"{number}. Message to {who}"
        yield listed([{"sms": "text message", "email": "e-mail"}[channel] for channel in step.by])
    elif step.emergency:
        route = frozen.routes.get(step.emergency)
        yield f"{number}. Emergency call"
        yield route.name if route else step.emergency
        yield f"by itself, {duration(step.after)} after the alarm" if step.confirm == "automatic" else "on request"
    else:
        yield f"{number}. Wait"


def _several(frozen: FrozenPlan, step: Step) -> bool:
    return len(step.ring) > 1 or any(target.startswith("team:") for target in step.ring)


def _taken(step: Step) -> str:
    if step.emergency:
        return "confirmed there"
    return "follows the link" if step.message else "takes it"


def _goes_on(step: Step) -> str:
    """When the next step begins."""
    if step.ring:
        return "nobody takes it"
    if step.message:
        return "at once"
    if step.wait is not None:
        return f"after {duration(step.wait)}"
    if step.confirm == "automatic":
        return "not reached"
    return f"nobody asks for it in {duration(step.seconds)}"


def _text(text: str) -> str:
    return text.translate(_SPECIAL)
