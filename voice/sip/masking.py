"""What a trace must not show: secrets and dialled digits never, personal data where it is switched off."""

import re

_HIDDEN = "***"

_CREDENTIALS = re.compile(r"^((?:proxy-)?authorization[ \t]*:[ \t]*\S+)[ \t].*$", re.IGNORECASE | re.MULTILINE)
_SDP_KEYS = re.compile(r"^(a=crypto:\d+ \S+ inline:|a=ice-pwd:|k=).*$", re.MULTILINE)
_INFO = re.compile(r"\AINFO |^CSeq[ \t]*:[ \t]*\d+[ \t]+INFO\b", re.IGNORECASE | re.MULTILINE)
"""A request, or an answer: some answers carry the body of what they answer."""
_KEYS = re.compile(r"application/(?:dtmf|vnd\.)|telephone-event|signal[ \t]*[=:]", re.IGNORECASE)
_PLAIN_DIGITS = re.compile(r"\A\s*[0-9A-D*#,\s]+\Z", re.IGNORECASE)
_KPML = re.compile(r"^(?:content-type|c)[ \t]*:[ \t]*application/kpml-", re.IGNORECASE | re.MULTILINE)
_TELLS_NO_KEY = re.compile(r"\s*(?:Duration[ \t]*=[ \t]*\d+)?\s*", re.IGNORECASE)
_SIGNAL = re.compile(r"(Signal[ \t]*=[ \t]*)\S+[ \t]*", re.IGNORECASE)

_URI_USER = re.compile(r"\b(sips?:)[^@<>\s\"]+@", re.IGNORECASE)
_TEL = re.compile(r"\b(tel:)[^;<>\s\"]+", re.IGNORECASE)
_QUOTED_NAME = re.compile(r'"(?:[^"\\\r\n]|\\.)*+"(?=[ \t]*<)')
_PLAIN_NAME = re.compile(r"^([A-Za-z-]+[ \t]*:[ \t]*)[^<>\"=;\r\n]+?([ \t]*<(?:sips?|tel):)", re.MULTILINE)
_FREE_TEXT = re.compile(r"^((?:subject|s|geolocation|call-info|organization)[ \t]*:).*$", re.IGNORECASE | re.MULTILINE)


def masked(data: bytes, personal: bool = True, bodies: bool = True) -> str:
    """The message as text with "\\n" line ends and without secrets.

    Credentials, keys of SDP and digits of an INFO are always hidden; without `bodies` also bodies; without
    `personal` also names, user parts of addresses and free text.
    """
    text = data.lstrip(b"\r\n").decode("utf-8", "replace").replace("\r\n", "\n")
    head, blank, body = text.partition("\n\n")
    head = _CREDENTIALS.sub(rf"\1 {_HIDDEN}", head)
    if not personal:
        head = _impersonal(head)
    if not (personal and bodies):
        return head + (f"\n\n[{len(body.encode())} bytes]\n" if body else "\n")
    if _KPML.search(text) or (_INFO.search(head) and (_KEYS.search(text) or _PLAIN_DIGITS.match(body))):
        body = "\n".join(map(_without_key, body.split("\n")))
    return head + blank + _SDP_KEYS.sub(rf"\1{_HIDDEN}", body)


def _without_key(line: str) -> str:
    """A line of a body that names keys: what cannot be read as anything else may be one."""
    if _TELLS_NO_KEY.fullmatch(line):
        return line
    signal = _SIGNAL.fullmatch(line)
    return f"{signal[1]}{_HIDDEN}" if signal else _HIDDEN


def _impersonal(head: str) -> str:
    head = _QUOTED_NAME.sub(f'"{_HIDDEN}"', head)
    head = _PLAIN_NAME.sub(rf"\1{_HIDDEN}\2", head)
    head = _URI_USER.sub(rf"\1{_HIDDEN}@", head)
    head = _TEL.sub(rf"\1{_HIDDEN}", head)
    return _FREE_TEXT.sub(rf"\1 {_HIDDEN}", head)
