"""TLS for SIP (RFC 3261 section 26.3): contexts from files, with errors that name the file and the fault."""

import ssl
from pathlib import Path

from voice.errors import ConfigurationError


def server_context(certificate: Path, key: Path | None = None, client_ca: Path | None = None) -> ssl.SSLContext:
    """Context of a listener. `certificate` is PEM with the chain, `key` PEM (else it is in `certificate`).

    With `client_ca` every client has to prove itself by a certificate of that authority (mutual TLS).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for file in filter(None, (certificate, key)):
        _readable(file)
    try:
        context.load_cert_chain(certificate, key)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigurationError(
            f"{certificate}: no certificate with a matching private key in PEM form ({_why(error)})"
        ) from error
    if client_ca is not None:
        _load_authority(context, client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(authority: Path | None = None) -> ssl.SSLContext:
    """Context for connections that we open; verifies against `authority` (PEM), else the system's store."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if authority is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        _load_authority(context, authority)
    return context


def _load_authority(context: ssl.SSLContext, file: Path) -> None:
    _readable(file)
    try:
        context.load_verify_locations(file)
    except ssl.SSLError as error:
        raise ConfigurationError(f"{file}: no certificate in PEM form ({_why(error)})") from error


def _readable(file: Path) -> None:
    try:
        file.open("rb").close()
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}") from error


def _why(error: Exception) -> str:
    return getattr(error, "reason", None) or str(error)
