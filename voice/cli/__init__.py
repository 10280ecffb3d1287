"""The command line `earshot`: `main` has the options, `commands` what they do, `showing` and `playing` how.

Reads the store beside the running service; imports the service itself only for `serve`.
"""
