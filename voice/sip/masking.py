"""What a trace must not show: secrets and dialled digits never, personal data where it is switched off."""

import re

_HIDDEN = "***"

_CREDENTIALS = re.compile(r"^((?:proxy-)?authorization[ \t]*:[ \t]*\S+)[ \t].*$", re.IGNORECASE | re.MULTILINE)
_SDP_KEYS = re.compile(r"^(a=crypto:\d+ \S+ inline:|a=ice-pwd:|k=).*$", re.MULTILINE)
_INFO = re.compile(r"\AINFO ")
_DTMF = re.compile(r"application/(dtmf|vnd\.)", re.IGNORECASE)
_SIGNAL = re.compile(r"^(signal[ \t]*=[ \t]*).*$", re.IGNORECASE | re.MULTILINE)
_PLAIN_DIGITS = re.compile(r"\A\s*[0-9A-D*#,\s]+\Z", re.IGNORECASE)

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
    head, blank, body = data.decode("utf-8", "replace").replace("\r\n", "\n").partition("\n\n")
    head = _CREDENTIALS.sub(rf"\1 {_HIDDEN}", head)
    if not personal:
        head = _impersonal(head)
    if not (personal and bodies):
        return head + (f"\n\n[{len(body.encode())} bytes]\n" if body else "\n")
    if _INFO.match(head) and (_DTMF.search(head) or _SIGNAL.search(body) or _PLAIN_DIGITS.match(body)):
        body = _SIGNAL.sub(rf"\1{_HIDDEN}", body) if _SIGNAL.search(body) else _HIDDEN
    return head + blank + _SDP_KEYS.sub(rf"\1{_HIDDEN}", body)


def _impersonal(head: str) -> str:
    head = _QUOTED_NAME.sub(f'"{_HIDDEN}"', head)
    head = _PLAIN_NAME.sub(rf"\1{_HIDDEN}\2", head)
    head = _URI_USER.sub(rf"\1{_HIDDEN}@", head)
    head = _TEL.sub(rf"\1{_HIDDEN}", head)
    return _FREE_TEXT.sub(rf"\1 {_HIDDEN}", head)
