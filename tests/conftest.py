"""What tests of several packages share."""

import contextlib
import gc
import os
import re
import signal
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from local.embedded_redis import EmbeddedRedis
from stores.draft_folders import make_draft_folder, remove_abandoned_folders, remove_draft_folders
from stores.redis.access import RedisTarget, access_to
from stores.segments.writer import SegmentStore
from tests.beam_inspection import inspect_once
from tests.bigquery_stub import BigQueryStub
from tests.stores.redis.troubles import Trouble
from tests.stores.samples import DAY_MS, no_sleep

MEASURED = pytest.StashKey[dict[str, list[float]]]()
TEMPORARY_PREFIX = "live-segments-tests-"
TOGETHER = ("tests/integration/collector/", "tests/integration/", "tests/commands/test_demo.py")
"""Tests that share what takes long to start: each of these runs in one worker, all others run wherever one is free."""


class Scheduling(LoadScopeScheduling):
    """Which tests one worker runs one after the other."""

    def _split_scope(self, nodeid: str) -> str:
        return next((start for start in TOGETHER if nodeid.startswith(start)), nodeid)


# xdist's own marks, `xdist_group`, do nothing under pytest 9.2.
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Scheduling(config, log)


def pytest_xdist_node_collection_finished(node: Any, ids: list[str]) -> None:
    """Refuses tests that share a name: of those, workers would run one, and say nothing of the others."""
    if twice := [name for name, count in Counter(ids).items() if count > 1]:
        raise pytest.UsageError(f"there are several tests of the name {', '.join(twice)}")


def pytest_xdist_auto_num_workers() -> int:
    """Returns two more than there are cores: two groups of `TOGETHER` wait for servers and timers most of the time."""
    return (os.cpu_count() or 1) + 2


def pytest_configure(config: pytest.Config) -> None:
    config.stash[MEASURED] = {}
    # `make test` depends on the code alone; only `make test-long` looks at other examples in each run
    settings.register_profile("live-segments", derandomize=config.option.markexpr != "long", deadline=None)
    settings.load_profile("live-segments")
    if not hasattr(config, "workerinput"):
        _give_temporary_folder()
    # As in pyproject.toml, for the programs that tests start: some of them must write nothing else to stderr.
    os.environ["PYTHONWARNINGS"] = "ignore:You are using a:FutureWarning"
    _ignore_no_signal()


def _ignore_no_signal() -> None:
    """Lets tests interrupt the programs that they start.

    A shell ignores SIGINT and SIGQUIT in the background commands of a script, and `nohup` SIGHUP. Programs inherit
    that, and one that a test interrupts would never end. A handler is not inherited.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda number, frame: None)  # the tests themselves go on


def _give_temporary_folder() -> None:
    """Gives this process and those that it starts a folder for temporary files, which Beam does not always remove."""
    parent = tempfile.gettempdir()
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", parent)  # where pytest keeps the folders of tests
    remove_abandoned_folders(parent, re.compile(TEMPORARY_PREFIX + "[0-9a-f]{8}"))
    name = TEMPORARY_PREFIX + uuid.uuid4().hex[:8]
    tempfile.tempdir = os.environ["TMPDIR"] = os.path.join(parent, name)
    make_draft_folder(tempfile.tempdir)
    # When multiprocessing has removed its own folder from it, which has the priority -100.
    Finalize(None, remove_draft_folders, (parent, re.compile(name)), exitpriority=-200)


def pytest_collection_finish() -> None:
    inspect_once()
    gc.freeze()  # imported modules are never freed, so the garbage collector need not visit them


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hands over what a worker measured to the process that shows it."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["measured"] = session.config.stash[MEASURED]


def pytest_testnodedown(node: Any, error: object) -> None:
    for what, seconds in getattr(node, "workeroutput", {}).get("measured", {}).items():
        node.config.stash[MEASURED].setdefault(what, []).extend(seconds)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for what, seconds in config.stash[MEASURED].items():
        ascending = sorted(seconds)
        middle, greatest = ascending[len(ascending) // 2], ascending[-1]
        terminalreporter.write_line(
            f"{what}: {len(seconds)}, median {middle:.2f} s, at most {greatest:.2f} s"
        )


@pytest.fixture(scope="session")
def measured(pytestconfig: pytest.Config) -> dict[str, list[float]]:
    """Seconds by what took them; shown at the end, and never asserted: the machine may be busy."""
    return pytestconfig.stash[MEASURED]


@pytest.fixture(autouse=True)
def no_client_of_a_former_test() -> None:
    """Forgets the process's clients: their ports may be those of other servers by now."""
    access_to.cache_clear()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis() as server:
        yield server


@pytest.fixture
def redis_client(redis_server: EmbeddedRedis) -> Iterator[redis.Redis]:
    """A client of the session's server, which is empty when a test begins."""
    with redis.Redis.from_url(redis_server.url, decode_responses=True) as client:
        client.flushall()
        client.script_flush()
        yield client


@pytest.fixture
def redis_url(redis_server: EmbeddedRedis, redis_client: redis.Redis) -> str:
    """The address of the session's server, which is empty when a test begins."""
    return redis_server.url


@pytest.fixture
def bigquery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BigQueryStub]:
    """A stand-in for BigQuery, without tables, that this process's clients are led to."""
    with BigQueryStub() as stub:
        stub.serve(monkeypatch, tmp_path, "project-x")
        yield stub


@pytest.fixture
def store(redis_url):
    return SegmentStore(RedisTarget(redis_url), ttl_ms=DAY_MS, sleep=no_sleep)


@pytest.fixture
def own_server(tmp_path):
    """A server that a test may stop, fill and start again."""
    with EmbeddedRedis(tmp_path) as server:
        yield server


@pytest.fixture
def in_trouble(own_server):
    """Gets a test's own server into trouble, by the trouble's name."""
    with contextlib.ExitStack() as stack:

        def begin(name, pauses):
            return stack.enter_context(Trouble(name, own_server, pauses))

        yield begin
