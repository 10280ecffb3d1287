"""What must survive: one database (SQLite by default) behind one interface.

`store.Store` runs whole functions `tx(connection)` on one writer thread and commits them in groups;
`incidents`, `legs` and `bindings` hold those functions; `schema` is the one metadata, `migrations`
the way to it. Imports `voice.incidents` and `voice.errors`; knows no SIP and no RTP.
"""

from voice.store.store import Store

__all__ = ["Store"]
