"""Collectors: processes as `python -m services.collector` starts them; and a browser with a shop's pages."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.integration.collector.collector_process import CollectorProcess
from tests.integration.collector.shop_page import ShopPages, chromium
from tests.integration.live_job import Topic
from tests.waiting import until


@pytest.fixture
def start_collector(
    tmp_path: Path, new_topic: Callable[[], Topic]
) -> Iterator[Callable[..., CollectorProcess]]:
    """Starts a collector of the test's own, which ends with the test."""
    started = []

    def start(*flags: str, topics: tuple[Topic, ...] = (), emulator: str = "") -> CollectorProcess:
        events, dead_letters = topics or (new_topic(), new_topic())
        started.append(CollectorProcess(tmp_path, events, dead_letters, *flags, emulator=emulator))
        return started[-1]

    yield start
    for process in started:
        process.kill()


@pytest.fixture(scope="package")
def collector(
    new_topic: Callable[[], Topic], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CollectorProcess]:
    """A collector that several tests share, each with users of its own."""
    process = CollectorProcess(tmp_path_factory.mktemp("collector"), new_topic(), new_topic())
    until(lambda: process.client.get("/readyz").status_code == 200, "word that it is ready")
    yield process
    process.kill()


# Playwright keeps an event loop running in this thread: no longer than the tests of one file.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for the tests of a file."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def shop_pages() -> Iterator[ShopPages]:
    """The server of a shop's pages, for the tests of a file."""
    pages = ShopPages()
    yield pages
    pages.close()
