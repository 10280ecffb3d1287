"""Tell random alarm stories, and say which seeds broke a promise.

    python -m voice.sim.stories --seeds 0:1000
    python -m voice.sim.stories --seeds 42 --tell

`story` decides by chance who is there and what happens, `telling` lets it happen to a whole service in virtual time,
`morals` judges the outcome. The same seed is always the same story, to the last packet.
"""

import argparse
import sys
from collections.abc import Sequence

from voice.sim.story import Story
from voice.sim.telling import tell


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code is 1 if a story broke a promise."""
    parser = argparse.ArgumentParser(prog="python -m voice.sim.stories", description="Tell random alarm stories.")
    parser.add_argument("--seeds", default="0:100", help='one seed, or "first:beyond" (default: %(default)s)')
    parser.add_argument("--tell", action="store_true", help="show each story and the timelines that came of it")
    given = parser.parse_args(arguments)
    first, _, beyond = given.seeds.partition(":")
    seeds = range(int(first), int(beyond) if beyond else int(first) + 1)
    failed = 0
    for seed in seeds:
        told = tell(Story.from_seed(seed))
        if given.tell:
            print(told)
        if told.broken:
            failed += 1
            print(f"seed {seed}: " + "; ".join(told.broken), flush=True)
    print(f"{len(seeds)} stories told, {failed} broke a promise")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
