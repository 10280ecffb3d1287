"""The page behind an acknowledgement link: one heading, one sentence, one button; no script, no tracking. Pure."""

from base64 import b64encode
from hashlib import sha256
from html import escape
from http import HTTPStatus
from typing import get_args

from config.plans import Language
from voice.http import Answer
from voice.messages.wording import Reader, words
from voice.store.acknowledgements import Acknowledgement

_STYLE = (
    "body{font:1.25rem/1.5 system-ui,sans-serif;max-width:32rem;margin:2rem auto;padding:0 1rem;"
    "color:#111;background:#fff}"
    "button{font:inherit;width:100%;padding:1rem;border:0;border-radius:.5rem;color:#fff;background:#0b57d0}"
    "button:focus-visible{outline:.25rem solid #111;outline-offset:.25rem}"
)
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()

_HEADERS = (
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "no-referrer"),  # the address is the key
    ("X-Robots-Tag", "noindex"),
    ("X-Content-Type-Options", "nosniff"),
    (
        "Content-Security-Policy",
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'",
    ),
)


def ask(link: Acknowledgement, reader: Reader) -> Answer:
    """What the link does, and the button that does it; for a link that was used, that it was."""
    said = words(reader.language).page
    if link.used_at is not None:
        return _page(link, reader, said["used"].format(time=reader.time(link.used_at)))
    button = f'<form method="post"><button type="submit">{escape(said[f"button_{_way(link)}"])}</button></form>'
    return _page(link, reader, said[_sentence("ask", link)], button)


def done(link: Acknowledgement, reader: Reader) -> Answer:
    """What was done."""
    return _page(link, reader, words(reader.language).page[_sentence("done", link)])


def gone() -> Answer:
    """For a link that is wrong or whose incident is over: which of the two is not said, nor in whose language."""
    lines = [words(language).page["gone"] for language in get_args(Language)]
    return _plain(HTTPStatus.NOT_FOUND, lines)


def unavailable() -> Answer:
    """The store is away: what was asked is not done."""
    lines = [words(language).page["unavailable"] for language in get_args(Language)]
    answer = _plain(HTTPStatus.SERVICE_UNAVAILABLE, lines)
    return Answer(answer.status, answer.body, (*answer.headers, ("Retry-After", "5")))


def not_allowed() -> Answer:
    answer = _plain(HTTPStatus.METHOD_NOT_ALLOWED, [HTTPStatus.METHOD_NOT_ALLOWED.phrase])
    return Answer(answer.status, answer.body, (*answer.headers, ("Allow", "GET, HEAD, POST")))


def _way(link: Acknowledgement) -> str:
    return "proof" if link.counts else "information"


def _sentence(what: str, link: Acknowledgement) -> str:
    """Nobody is told that others are called, when somebody has the alarm."""
    return f"{what}_{_way(link)}" + ("_taken" if link.taken else "")


def _plain(status: HTTPStatus, lines: list[str]) -> Answer:
    body = "".join(f"{line}\n" for line in lines).encode()
    return Answer(status, body, (("Content-Type", "text/plain; charset=utf-8"), *_HEADERS))


def _page(link: Acknowledgement, reader: Reader, sentence: str, form: str = "") -> Answer:
    said = words(reader.language).page
    title = escape(said["title"].format(incident=link.incident_id))
    since = escape(said["since"].format(time=reader.time(link.opened_at)))
    html = (
        f'<!doctype html>\n<html lang="{reader.language}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{title}</title>\n<style>{_STYLE}</style>\n'
        f'</head>\n<body>\n<main>\n<h1>{title}</h1>\n<p>{since}</p>\n<p role="status">{escape(sentence)}</p>\n{form}\n'
        "</main>\n</body>\n</html>\n"
    )
    return Answer(HTTPStatus.OK, html.encode(), (("Content-Type", "text/html; charset=utf-8"), *_HEADERS))
