"""What one node at a time has: escalations, and sessions of check-ins. Leases, fences, claims, and the inbox.

What is decided about each stands in `voice.escalation` and `voice.check_in`; that it is decided once, by one node, and
goes on when this node dies, is the same rule for both, and stands here.
"""
