"""Opens pages in a real browser, the system's Chromium."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

import debian_packages
import pytest

DRAWN = "[...document.querySelectorAll('main [data-figure]')].every(e => e.dataset.drawn === 'done')"

#: The contrast of each text with what is behind it.
CONTRASTS = """() => {
  const luminance = (rgb) => {
    const [r, g, b] = rgb.match(/[\\d.]+/g).map(Number).map((v) => v / 255)
      .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (!/, 0\\)$/.test(colour)) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const texts = "main :is(p, a, th, td, button, figcaption, dt, dd, code)";
  return [...document.querySelectorAll(texts)].map((e) => {
    const pair = [luminance(getComputedStyle(e).color), luminance(behind(e))].sort((a, b) => b - a);
    return (pair[0] + 0.05) / (pair[1] + 0.05);
  });
}"""

#: Where the first point of a figure is on the screen, and the name of its star.
POINT = """(place) => {
  const view = Object.values(Bokeh.index).find((each) => place.contains(each.el));
  const { data } = view.model.renderers.find((each) => each.data_source.tags.includes("stars")).data_source;
  const { x_scale, y_scale } = view.frame;
  const { x, y } = view.el.getBoundingClientRect();
  return [x + x_scale.compute(data.x[0]), y + y_scale.compute(data.y[0]), data.name[0]];
}"""

#: What the boxes over figures say.
TOOLTIP = """() => {
  const said = (each) => each.className.includes("Tooltip") ? [each.shadowRoot.textContent] : [];
  const texts = (root) => [...root.querySelectorAll("*")].filter((each) => each.shadowRoot)
    .flatMap((each) => [...said(each), ...texts(each.shadowRoot)]);
  return texts(document).join(" ");
}"""


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
        self.wait_until(lambda: self.page.evaluate(condition), seconds)

    def wait_until(self, condition, seconds=60):
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, condition
            time.sleep(0.05)

    def contrast(self):
        """The lowest contrast of a text; WCAG asks for 4.5."""
        return min(self.page.evaluate(CONTRASTS))

    def first_point(self, figure):
        """Scroll a figure into view; gives x, y of its first point on the screen, and its star."""
        place = self.page.locator(figure)
        place.scroll_into_view_if_needed()
        return place.evaluate(POINT)

    def pointed_at(self):
        """What the boxes over figures say."""
        return self.page.evaluate(TOOLTIP)

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
