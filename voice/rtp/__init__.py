"""Real-time transport: packets, RTCP, telephone-event, codecs, and who may send to us.

Everything but `transport` is pure: bytes and time in, values out (RFC 3550, 3551, 4733, 5761).
May import `voice.address`, `voice.errors` and numpy; never sip, sdp, media, store or asyncio.
"""
