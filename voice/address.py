"""Where a socket is: the one shape that all layers share."""

Address = tuple[str, int]
"""Host and port; an IPv6 host stands without brackets."""
