"""Check-ins: who is to be asked whether he is well, when, and what proves that it was he who answered.

`ivr.schedule` decides; `runner` keeps what it decides, through `ledger`, and has it done by its hands; `roster` begins
sessions, `pins` knows who is who. Knows no call and no packet.
"""
