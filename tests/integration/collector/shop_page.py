"""A shop's page on this machine, with the snippets of docs/browser.md, and Debian's Chromium that opens it."""

import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.integration.collector.sdks import installed_packages, program
from tests.waiting import HANGS_AFTER_SECONDS

ROOT = Path(__file__).parents[3]
DOC = (ROOT / "docs" / "browser.md").read_text()
COLLECTOR, KEY = "https://events.shop.example", "WRITE_KEY"
"""What stands in the documented snippets."""
_HANGS_AFTER_MS = HANGS_AFTER_SECONDS * 1000
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def snippet(name: str, collector: str, write_key: str) -> str:
    """Returns a documented snippet, for a collector and a key."""
    match = re.search(rf"<!-- page: {re.escape(name)} -->\n```html\n(.*?)```", DOC, re.DOTALL)
    assert match is not None
    return match[1].replace(COLLECTOR, collector).replace(KEY, write_key)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Runs Debian's Chromium, with a profile of its own, for as long as a `with` block."""
    path = program("chromium", "install Chromium (Debian: the package chromium)")
    # a process of Chromium's may still write there when the browser has ended
    folder = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
    with folder as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=_FLAGS, env={"HOME": home}, timeout=_HANGS_AFTER_MS
        )
        yield browser
        browser.close()


@contextmanager
def visitor(browser: Browser) -> Iterator[BrowserContext]:
    """Opens a browser for a visitor without cookies, for as long as a `with` block."""
    with browser.new_context() as context:
        context.set_default_timeout(_HANGS_AFTER_MS)
        yield context


class ShopPages:
    """Serves pages: `/` and those that are put into `pages`; the SDKs' files from their packages."""

    def __init__(self) -> None:
        modules = installed_packages()
        self.pages: dict[str, str] = {"/favicon.ico": ""}
        self._files = {
            "/js/analytics.js": modules / "@segment/analytics-next/dist/umd/index.js",
            "/js/rudderstack.js": modules / "@rudderstack/analytics-js/dist/npm/legacy/bundled/umd/index.js",
            "/js/datalayer.js": ROOT / "services/browser/datalayer.js",
        }
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def put(self, path: str, head: str) -> str:
        """Makes a page; returns its address."""
        self.pages[path] = (
            f"<!doctype html><html><head><title>Shop</title>{head}</head><body>A page</body></html>"
        )
        return self.origin + path

    def close(self) -> None:
        """Serves no more."""
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path in shop.pages:
                    kind, content = "text/html", shop.pages[path].encode()
                elif path in shop._files:
                    kind, content = "text/javascript", shop._files[path].read_bytes()
                else:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Type", f"{kind}; charset=utf-8")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler
