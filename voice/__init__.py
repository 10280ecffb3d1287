"""The voice service: answers alarm calls, records them, lets operators listen without a sound at the device.

Read `alarm.py` first: the story of one alarm call. `app.py` is the only place that wires sockets, store and clock.
May import `config`; never imports tests; `ivr` never imports this package.
"""
