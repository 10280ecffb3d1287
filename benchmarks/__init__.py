"""What Earshot costs and how fast it is, measured on the machine at hand.

Each module runs by itself (`python -m benchmarks.recorded_calls`), prints the machine and the versions
first, and takes `--json` for results that a program reads. Traffic stays on the loopback interface.
"""
