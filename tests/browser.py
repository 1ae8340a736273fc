"""Opens pages in a real browser, the system's Chromium."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

import debian_packages
import pytest

DRAWN = "[...document.querySelectorAll('main [data-figure]')].every(e => e.dataset.drawn === 'done')"


class Opened:
    """A page in the browser, a file or an address, with all that it complained of and asked for."""

    def __init__(self, chromium, path, theme="light", width=1280, *, whole=True):
        self.page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
        self.faults, self.requests = [], []
        self.page.on(
            "console", lambda said: said.type in ("error", "warning") and self.faults.append(said.text)
        )
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path if isinstance(path, str) else path.as_uri())
        if whole:
            self.wait_for(f"{DRAWN} || dispatchEvent(new Event('beforeprint')) && false")

    def wait_for(self, condition, seconds=60):
        # wait_for_function of the browser would evaluate text, which the page forbids.
        until = time.monotonic() + seconds
        while not self.page.evaluate(condition):
            assert time.monotonic() < until, condition
            time.sleep(0.05)

    def focus(self):
        return self.page.evaluate("document.activeElement.textContent.trim()")


@contextmanager
def launched(*, required: bool) -> Iterator:
    """A browser without a window; where there is none, it is installed or the test is skipped."""
    if not shutil.which("chromium"):
        if not required:
            pytest.skip("no chromium")
        debian_packages.install("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()
