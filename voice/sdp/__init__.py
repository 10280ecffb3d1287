"""Session descriptions (RFC 8866) and the offer/answer model (RFC 3264): bytes in, bytes and agreements out.

Pure. May import `voice.address` and `voice.errors` only; `call.py` is where it meets sip and rtp.
"""
