"""SIP signalling: messages, transactions, dialogs, registrar (RFC 3261 and friends).

Pure but for `transport` and `endpoint`: time, randomness and addresses are arguments. Imports no `rtp` or `media`.
"""
