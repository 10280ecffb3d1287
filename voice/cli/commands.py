"""What each command does. Each returns an exit code, or raises an `EarshotError` for the user to read."""

import json
import os
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from sqlalchemy import Connection

from config.advice import advice
from config.settings import Settings, load
from voice.check_in import explaining
from voice.cli import planning, playing, showing, verifying
from voice.cli.configured import configuration_file, load_or_last_good
from voice.cli.defined import everything
from voice.errors import ConfigurationError
from voice.incidents.lifecycle import State
from voice.speaking import open_prompts
from voice.store import escalations
from voice.store import incidents as rows
from voice.store.reading import reading

SettingsOf = Callable[[Namespace], Settings]
Command = Callable[[Namespace, SettingsOf], int]

EXIT_BROKEN = 1
FOLLOW_SECONDS = 0.25
"""How often `--follow` looks for new entries."""


def serve(options: Namespace, settings_of: SettingsOf) -> int:
    file = configuration_file(options)
    settings, as_written = load_or_last_good(file)
    from voice import process

    process.run(settings, file, as_written=as_written)
    return 0


def check_config(options: Namespace, settings_of: SettingsOf) -> int:
    settings = load(options.file, os.environ)
    from voice.outside import Secure

    if mistakes := [*Secure.of(settings.sip).faults, *open_prompts(settings.speech)[1]]:
        raise ConfigurationError("\n".join(mistakes))
    counted = ", ".join(
        f"{len(found)} {name if len(found) != 1 else name[:-1]}"
        for name in ("devices", "workers", "operators", "trunks")
        for found in [getattr(settings, name)]
    )
    if options.draw is not None:
        print(planning.drawn(settings, options.draw))
        return 0
    print(f"{options.file} is good: {counted}.")
    for line in advice(settings):
        print(f"note: {line}")
    now = datetime.now(UTC)
    if not options.quiet:
        plans, asked = list(planning.explained(settings)), list(explaining.explained(settings, now))
        for line in (*(plans or (asked and [""])), *asked):
            print(line)
    for line in (*planning.warnings(settings, now), *explaining.warnings(settings, now)):
        print(f"warning: {line}")
    return 0


def incidents(options: Namespace, settings_of: SettingsOf) -> int:
    settings = everything(options, settings_of)
    with reading(settings.store.url) as connection, connection.begin():
        found = rows.incidents(connection, options.limit, options.state)
    if options.json:
        print(json.dumps([showing.plain(row) for row in found], indent=2))
    elif found:
        showing.table_console().print(showing.incident_table(found, settings))
    else:
        print("No incidents." if options.state is None else f"No incidents that are {options.state}.")
    return 0


def incident(options: Namespace, settings_of: SettingsOf) -> int:
    settings = everything(options, settings_of)
    with reading(settings.store.url) as connection:
        if options.follow:
            return _follow(connection, options, settings)
        with connection.begin():
            story = showing.story(connection, rows.incident(connection, options.incident).id)
    if options.json:
        print(json.dumps(story.plain(), indent=2))
    else:
        console = Console(highlight=False)
        console.print(story.table(settings))
        for line in story.recordings_told(settings):
            console.print(line, soft_wrap=True, markup=False)
    return 0


def _follow(connection: Connection, options: Namespace, settings: Settings) -> int:
    with connection.begin():
        row = rows.incident(connection, options.incident)
        escalation = escalations.escalation(connection, row.id)
    console, last = Console(highlight=False, soft_wrap=True), 0
    if not options.json:
        console.print(showing.headline(row, settings, escalation))
    while True:
        with connection.begin():
            state = rows.incident(connection, row.id).state
            entries = rows.timeline(connection, row.id, after=last)
            names = showing.names_of(settings, rows.legs(connection, row.id))
        for entry in entries:
            if options.json:
                print(json.dumps(showing.plain(entry)), flush=True)
            else:
                console.print(showing.entry_line(entry, row, names))
            last = entry.sequence
        if state is State.RESOLVED:
            return 0
        time.sleep(FOLLOW_SECONDS)


def play(options: Namespace, settings_of: SettingsOf) -> int:
    settings = settings_of(options)
    with reading(settings.store.url) as connection, connection.begin():
        row = rows.incident(connection, options.incident)
        found = playing.memo_segments if options.memo else playing.device_segments
        segments = found(connection, row.id, settings.recordings.directory)
    if not segments:
        raise ConfigurationError(f"incident {row.id} has no {'memo' if options.memo else 'recording of its device'}")
    for segment in segments:
        print(segment.path)
        if segment.altered:
            print(f"earshot: {segment.path} is not as it was recorded: its SHA-256 is another", file=sys.stderr)
    if options.export is not None:
        seconds = playing.export(segments, options.export)
        print(f"{options.export}: {seconds:.1f} s, PCM, 8 kHz, mono")
        return 0
    playing.play(segments, row.id, option=" --memo" if options.memo else "")
    return 0


def trace(options: Namespace, settings_of: SettingsOf) -> int:
    settings = settings_of(options)
    from voice.sip.trace import ladder, read_trace

    directory = settings.sip.trace_directory
    if not settings.sip.trace or directory is None:
        raise ConfigurationError("no trace is kept: sip.trace is false, or sip.trace_directory is empty")
    messages = read_trace(directory, options.call_id)
    if not messages:
        raise ConfigurationError(f"{directory} has no call {options.call_id!r}")
    print(ladder(messages))
    return 0


def verify(options: Namespace, settings_of: SettingsOf) -> int:
    offline = options.incident.endswith(".json")
    if offline:
        written, directory = verifying.exported(options.incident), Path(options.incident).parent
    else:
        settings = settings_of(options)
        with reading(settings.store.url) as connection, connection.begin():
            name = rows.incident(connection, options.incident).id
            written = verifying.stored(showing.story(connection, name))
        directory = settings.recordings.directory
    faults = list(written.faults())
    damaged, told = verifying.recordings_checked(written, directory, offline=offline)
    for fault in [*faults, *damaged]:
        print(f"incident {written.name}: {fault}", file=sys.stderr)
    if not faults:
        last = written.entries[-1].hash
        print(f"incident {written.name}: {written.count} entries, the chain is whole; last hash {last}")
    for line in told:
        print(line)
    return EXIT_BROKEN if faults or damaged else 0


def demo(options: Namespace, settings_of: SettingsOf) -> int:
    from voice.sim.demo import run

    return int(run(options.tale, keep=options.keep) or 0)
