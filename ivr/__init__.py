"""Conversations with people on the phone: the place of pure dialogues over a `Phone` protocol; there are none yet.

Never imports `voice` or `config`: whoever speaks to people in this way knows only a phone.
"""
