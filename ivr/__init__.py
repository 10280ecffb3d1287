"""Conversations with people on the phone: pure dialogues over a `Phone` protocol. Never imports `voice`."""
