"""Webhooks: what happens on incidents, told to other systems by signed HTTP.

`signing` and `schedule` are pure; `outgoing` writes a delivery in the transaction of its timeline entry; `worker` takes
deliveries to their receivers; `posting` is the HTTP client. Imports `voice.store` and `voice.incidents`; knows no call.
"""

from voice.webhooks.outgoing import Subscriptions
from voice.webhooks.posting import HttpPoster
from voice.webhooks.worker import Webhooks

__all__ = ["HttpPoster", "Subscriptions", "Webhooks"]
