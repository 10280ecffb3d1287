"""Typed settings, the default and the example configuration. Imports nothing of `voice`."""
