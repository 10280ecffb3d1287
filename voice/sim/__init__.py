"""Simulated time, network and phones: the world around the service, for tests and for `earshot demo`.

`loop` is virtual time, `network` the wires, `phone` a device or an operator, `speech` what they say.
May import all of `voice` except `voice.media` and `voice.app`: a simulated phone is an independent witness.
"""
