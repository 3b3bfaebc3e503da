"""The command `python -m services.live`, which `make live` calls."""

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence

from local.own_folder import FolderError
from local.programs import ProgramError
from local.pubsub_emulator import PubSubEmulatorError
from local.samples import LOGS, ROOT, displayed_path
from services.collector.settings import SettingsError, Source, load_settings
from services.live.follow import Follower
from services.live.options import (
    MAKE_VARIABLE,
    Caller,
    choose_ports,
    folder_conflict,
    in_use,
    parse_options,
)
from services.live.screen import Screen
from services.live.stop_signals import Stop, StopSignals
from services.live.system import EVENTS_TOPIC, LiveFiles, LiveSystem
from stores.terminal import printable_output


@printable_output()
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the system until Ctrl-C; returns the exit status: 1 if a program ended by itself, 2 for wrong input."""
    caller = Caller(bool(os.environ.get(MAKE_VARIABLE)))
    options = parse_options(argv, caller)
    files = LiveFiles(options.segments, options.tracking_plan, options.settings, options.output)
    with StopSignals(caller.is_make) as stop, contextlib.ExitStack() as stack:
        try:
            source = load_settings(files.settings).sources[-1]
            ports, conflicts = choose_ports(options)
            system = LiveSystem(files, ports, stop.check, _log_replay(options, source))
        except (PubSubEmulatorError, SettingsError) as error:
            print(f"live: {error}", file=sys.stderr)
            return 2
        try:
            stack.enter_context(system.folder)
        except FolderError as error:
            conflicts.append(folder_conflict(error, files.output))
        if conflicts:
            print(in_use(conflicts, caller), file=sys.stderr)
            return 2
        system.folder.delete(system.folder.results())
        screen = stack.enter_context(Screen(sys.stdout.fileno(), sys.stdout.encoding))
        return _run(system, stop, screen, _welcome(system, files, source))


def _run(system: LiveSystem, stop: StopSignals, screen: Screen, welcome: str) -> int:
    """Runs a system until it is stopped, or one of its programs ends; returns the exit status."""
    failure: ProgramError | None = None
    left: int | None = None
    follower: Follower | None = None
    try:
        with system:
            try:
                screen.show("live: starting the Pub/Sub emulator, Redis, the job and the collector …")
                system.start()
                screen.show(welcome)
                follower = Follower(system, screen)
                follower.follow(stop.check)
            except Stop:
                screen.show("live: stopping …")
            except ProgramError as error:
                failure = error
            left = system.end_processing(stop.is_urgent)
            if follower is not None:
                follower.look_again()
            system.programs.stop(stop.is_urgent)
            if stop.is_urgent():
                screen.show("live: stopping at once")
    except ProgramError as error:  # programs are left
        failure = failure or error
        screen.show(f"live: {error}")
    else:
        screen.show(f"live: stopped, all programs have ended{_unprocessed(left, follower)}")
    if failure is not None:
        with contextlib.suppress(OSError):  # the terminal is gone
            print(f"live: {failure}", file=sys.stderr)
        return 1
    return 0


def _unprocessed(left: int | None, follower: Follower | None) -> str:
    """Returns what to say about events that the job has not processed, and that are discarded."""
    if left is not None:
        return f"; {left:,} events were not processed" if left else ""
    waiting = None if follower is None else follower.waiting
    return f"; about {waiting.events:,} events were not processed" if waiting and waiting.events else ""


def _welcome(system: LiveSystem, files: LiveFiles, source: Source) -> str:
    output = displayed_path(files.output)
    redis_client = f"redis.Redis(port={system.redis_port}, decode_responses=True)"
    return f"""
live: ready, for trying things out. Ctrl-C discards the data of Redis and Pub/Sub; a crash loses messages in progress.

  collector     {system.url}
  Pub/Sub       PUBSUB_EMULATOR_HOST={system.emulator}, events in {EVENTS_TOPIC}
  Redis         {system.redis_url}
  history       {output}/history.jsonl
  dead letters  {output}/dead-letters.jsonl
  logs          {output}/*.log

Send it an event:

  curl {system.url}/v1/track -u {source.write_key}: -d '{{
    "userId": "ada", "event": "Product Added", "properties": {{"product_id": "p1", "price": 349}}}}'

and look at the profile:

  .venv/bin/python -c 'import redis; print({redis_client}.hgetall("segments:profile:ada"))'

Changes and dead letters follow; Ctrl-C stops everything:
"""


def _log_replay(options: argparse.Namespace, source: Source) -> list[str] | None:
    """Returns the arguments of `services.live.replay`; None if no log is to be replayed."""
    if options.replay is None:
        return None
    log = ROOT / "data" / LOGS[options.log].file
    return [str(log), f"--speed={options.replay:g}", f"--write_key={source.write_key}"]


if __name__ == "__main__":
    sys.exit(main())
