"""Calls that a process made which is gone: somebody answers, and nobody is there.

The process died, or was killed, while a telephone rang. Its 200 comes to the next process, which knows neither the
transaction nor the dialog. Left alone, the telephone repeats it for 32 s, and whoever picked up hears nothing. What is
needed to end such a call stands in the response itself: the ACK that it waits for (13.2.2.4: every 2xx is acknowledged,
also one that comes late), and a BYE.

Nothing proves that such a response is the answer to a request of ours, so it must look like one (our address and the
shape of our names), what follows goes back to where the response came from and nowhere else, and a source has a limit.
"""

import re
from collections import OrderedDict
from functools import partial

from voice.ratelimit import RateLimit
from voice.sip.core import Core
from voice.sip.dialog import Dialog, DialogKey, contact_of
from voice.sip.flow import Flow
from voice.sip.message import (
    BRANCH_COOKIE,
    Response,
    ViaInfo,
    call_id,
    cseq,
    from_tag,
    new_branch,
    serialize,
    to_tag,
    uri_of,
)
from voice.sip.outgoing import Outgoing
from voice.sip.routing import next_hop, routes_of

PER_MINUTE = 600
"""Calls of one source that are ended. A trunk with all its lines ringing is one source."""

REMEMBERED = 10_000
"""Calls of which the ACK is kept, for the repetitions of the response."""

_BRANCH = re.compile(rf"{BRANCH_COOKIE}[0-9a-f]{{20}}")
_TAG = re.compile(r"[0-9a-f]{16}")


class Strays:
    """Ends calls that nobody here knows of."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._limit = RateLimit(PER_MINUTE)
        self._acks: OrderedDict[DialogKey, bytes] = OrderedDict()

    def end(self, response: Response, via: ViaInfo, flow: Flow) -> bool:
        """Acknowledge and hang up what this response has answered. False when there is nothing to end."""
        if not _is_answer(response) or not self._looks_like_ours(response, via, flow):
            return False
        dialog = _dialog(response, flow)
        if dialog is None or self._core.knows(dialog):
            return False
        if (ack := self._acks.get(dialog.key)) is not None:
            self._core.retransmit(ack, flow)
            return False
        if not self._limit.allows(flow.remote[0], self._core.now):
            return False
        self._hang_up(dialog)
        return True

    def _looks_like_ours(self, response: Response, via: ViaInfo, flow: Flow) -> bool:
        ours = self._core.via(flow, "").partition(";")[0].rpartition(" ")[2].lower()
        branch, tag = via.branch or "", from_tag(response) or ""
        return via.sent_by == ours and bool(_BRANCH.fullmatch(branch) and _TAG.fullmatch(tag))

    def _hang_up(self, dialog: Dialog) -> None:
        core, flow = self._core, dialog.flow
        ack = dialog.draft("ACK").request(core.via(flow, new_branch(core.random)), dialog.local_seq, "")
        self._acks[dialog.key] = data = serialize(ack)
        while len(self._acks) > REMEMBERED:
            self._acks.popitem(last=False)
        core.transmit(data, flow)
        core.timers.at(core.now + 2 * core.timing.timeout, partial(self._forget, dialog.key))
        Outgoing(core, dialog.draft("BYE"), next_seq=dialog.next_seq, on_response=_ignored).start(flow)

    def _forget(self, key: DialogKey) -> None:
        self._acks.pop(key, None)


def _is_answer(response: Response) -> bool:
    return 200 <= response.code < 300 and cseq(response)[1] == "INVITE"


def _dialog(response: Response, flow: Flow) -> Dialog | None:
    """What 12.1.2 takes from the request stands in the response, too; None when it names nobody to send to."""
    dialog = Dialog(
        call_id=call_id(response),
        local=response.headers["From"],
        remote=response.headers["To"],
        local_tag=from_tag(response) or "",
        remote_tag=to_tag(response) or "",
        local_seq=cseq(response)[0],
        remote_seq=None,
        route_set=tuple(reversed(routes_of(response))),
        remote_target=contact_of(response) or uri_of(response.headers["To"]),
        flow=flow,
    )
    try:
        next_hop(dialog.draft("BYE").next_hop)
    except ValueError:
        return None
    return dialog


def _ignored(_: object) -> None:
    """The call is over when the BYE is sent, whatever comes back (15.1.1)."""
