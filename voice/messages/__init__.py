"""Messages beside calls: SMS and e-mail as channels behind one small interface, and acknowledgement links.

A message informs. It is never taken for a person who has the alarm, unless the plan says that following its link is
proof. Imports `voice.incidents`, `voice.store`, `voice.escalation` and `config`; knows no SIP and no RTP.
"""

from voice.messages.channel import Channel, Message, MessageFailed, Receipt

__all__ = ["Channel", "Message", "MessageFailed", "Receipt"]
