"""Simulated time, network and phones: the world around the service, for tests and for `earshot demo`.

`loop` is virtual time, `network` the wires, `phone` a device or an operator, `speech` what they say: independent
witnesses, which import neither `voice.media` nor `voice.app`. `stage`, `story` and `demo` put the service among them.
"""
