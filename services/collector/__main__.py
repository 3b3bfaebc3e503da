"""The command `python -m services.collector`."""

import argparse
import logging
import math
import os
import resource
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import google.auth
import uvicorn
from google.auth.exceptions import GoogleAuthError

from segmentation.identifiers import DEFAULT_IGNORED_IDS
from segmentation.tracking_plan.load import TrackingPlanError
from services.collector.app import CollectorConfig, create_app
from services.collector.impatient_protocol import MAX_CONNECTIONS, ImpatientProtocol
from services.collector.plan_check import load_plan_check
from services.collector.settings import SettingsError, load_settings
from stores.ignored_ids import IgnoredIdsError, read_ignored_ids
from stores.terminal import log_to_stderr, printable_output

_LOGGER = logging.getLogger("collector")
_BACKLOG = 2048
_KEEP_ALIVE_SECONDS = 75
_OPEN_FILES = MAX_CONNECTIONS + 256


@printable_output()
def main(argv: Sequence[str] | None = None) -> int:
    """Runs a collector until Ctrl-C or SIGTERM; returns the exit status."""
    options = parser().parse_args(argv)
    log_to_stderr("%(levelname)s %(name)s: %(message)s")
    try:
        config = _config(options)
        listener = socket.create_server((options.host, options.port), backlog=_BACKLOG)
    except (SettingsError, GoogleAuthError) as error:
        print(error, file=sys.stderr)
        return 2
    except TrackingPlanError as error:
        print(f"--tracking_plan: {error}", file=sys.stderr)
        return 2
    except IgnoredIdsError as error:
        print(f"--ignored_ids: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"--port: cannot listen on {options.host}:{options.port} ({error.strerror})", file=sys.stderr)
        return 2
    _allow_open_files()
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(config),
            loop="uvloop",
            http=ImpatientProtocol,
            ws="none",
            lifespan="on",
            access_log=False,  # its lines contain addresses and write keys
            proxy_headers=False,
            server_header=False,
            log_config=None,
            log_level="warning",
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=math.ceil(config.publish_seconds) + 1,
        )
    )
    # uvicorn has its own handlers only while it runs: a signal that comes before is kept for it. It raises the signal
    # again after it has shut down; then this does nothing, so that the exit status is ours.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, server.handle_exit)
    host, port = listener.getsockname()[:2]
    _LOGGER.info("listening on http://%s:%d, publishing to %s", host, port, config.events_topic)
    server.run(sockets=[listener])
    _LOGGER.info("ended; all accepted events are published")
    return 0 if server.started else 3


def _allow_open_files() -> None:
    """Raises the limit of open files, which is often 1,024, to what the connections need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= _OPEN_FILES:
        return
    allowed = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < _OPEN_FILES:
        _LOGGER.warning("at most %d files may be open; the collector needs %d", allowed, _OPEN_FILES)


def _config(options: argparse.Namespace) -> CollectorConfig:
    settings = load_settings(options.settings)
    if not os.environ.get("PUBSUB_EMULATOR_HOST"):
        google.auth.default()
    return CollectorConfig(
        settings=settings,
        events_topic=options.events_topic,
        dead_letter_topic=options.dead_letter_topic,
        public_url=options.public_url,
        trusted_proxies=options.trusted_proxies,
        max_pending_bytes=options.max_pending_bytes,
        plan_check=load_plan_check(options.tracking_plan) if options.tracking_plan else None,
        ignored_ids=read_ignored_ids(options.ignored_ids) if options.ignored_ids else DEFAULT_IGNORED_IDS,
        publish_seconds=options.publish_seconds,
    )


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command's flags."""
    flags = argparse.ArgumentParser(
        prog="python -m services.collector",
        description="Receives events from Segment and RudderStack SDKs and publishes them to Pub/Sub.",
    )
    add = flags.add_argument
    add(
        "--settings",
        type=Path,
        required=True,
        metavar="FILE",
        help="The YAML file of sources and their write keys.",
    )
    add("--events_topic", required=True, metavar="projects/P/topics/T", help="The topic of valid events.")
    add("--dead_letter_topic", required=True, metavar="projects/P/topics/T", help="The topic of bad events.")
    add("--tracking_plan", metavar="FOLDER", help="The folder of the tracking plan, on this machine.")
    add(
        "--ignored_ids",
        metavar="FILE",
        help="Ids that stand for no id, one per line, instead of the default ones such as undefined: a file on this"
        " machine. The job needs the same.",
    )
    add("--host", default="127.0.0.1", help="The address to listen on. Default: this machine only")
    add(
        "--port",
        type=int,
        default=int(os.environ.get("PORT", "8080")),
        help="The port to listen on; 0: any free port. Default: $PORT, else 8080",
    )
    add("--public_url", metavar="URL", help="The URL that browsers use. Default: the request's Host header")
    add(
        "--trusted_proxies",
        type=int,
        default=0,
        metavar="N",
        help="The number of trusted proxies in front, each of which appends to X-Forwarded-For. Default: 0",
    )
    add(
        "--max_pending_bytes",
        type=int,
        default=CollectorConfig.max_pending_bytes,
        metavar="N",
        help="The most bytes that may wait for Pub/Sub, per topic; more requests get 503. They take up to five times as"
        " much memory. Default: 24 MiB, for a container of 512 MiB",
    )
    add(
        "--publish_seconds",
        type=float,
        default=CollectorConfig.publish_seconds,
        metavar="S",
        help="The time limit for Pub/Sub, then requests get 503; SDKs wait 10 to 15 s. Default: 8",
    )
    return flags


if __name__ == "__main__":
    sys.exit(main())
