"""What an incident is: kinds and priorities, the lifecycle table, the hash-chained timeline. Pure.

Knows no SIP, no RTP, no store and no clock; imports only `voice.errors`.
"""
