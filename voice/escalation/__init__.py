"""From an alarm that nobody takes to a person who has proven that he took it, whatever crashes.

`engine.decide` is pure: a frozen plan, a state, an event and the time give the next state and commands. `runner` keeps
states durable and carries commands out; `phone_tree` and `emergency` are the calls it makes. The engine knows
contacts and legs, not INVITE or RTP; only the shells (`runner`, `phone_tree`, `emergency`) touch `voice.call`.
"""
