"""The report in a real browser: it opens without a fault or a network, and does what is clicked."""

import time

import pytest
from browser import Opened

#: The names of the stars that have a ring, once for each figure that shows it.
RINGED = """() => Object.values(Bokeh.index).flatMap((view) => [...view.model.references()]
  .filter((each) => each.tags?.includes("stars"))
  .flatMap((source) => source.selected.indices.map((place) => source.data.name[place])))"""


@pytest.fixture(scope="module")
def wide(chromium, pages):
    """The report on a light screen, open for all tests: each leaves it as it was."""
    opened = Opened(chromium, pages[0])
    yield opened
    opened.page.close()


@pytest.mark.parametrize(("kind", "theme", "width"), [(0, "light", 1280), (1, "dark", 400)])
def test_it_opens_without_a_fault_a_request_or_a_sideways_scroll(
    request, chromium, pages, kind, theme, width
):
    shared = theme == "light"
    opened = request.getfixturevalue("wide") if shared else Opened(chromium, pages[kind], theme, width)
    page = opened.page

    assert opened.faults == []
    assert [url for url in opened.requests if not url.startswith("data:")] == [pages[kind].as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.contrast() >= 4.5
    # And not what the hostile star says.
    assert page.title() == ("astra: distances", f"astra: {page.text_content('h1')}")[kind]
    if not shared:
        page.close()


def test_a_flag_shows_the_listed_stars_that_have_it_and_says_how_many(wide):
    page = wide.page
    everything = page.locator(".outliers tbody tr:visible").count()

    page.click("button.flag[data-flag=flag_no_result]")

    assert page.locator(".outliers tbody tr:visible").count() == 1
    assert "1 of the" in page.text_content("#shown")
    assert page.get_attribute("button.flag[data-flag=flag_no_result]", "aria-pressed") == "true"
    page.click("#all")
    assert page.locator(".outliers tbody tr:visible").count() == everything
    assert wide.focus() == "flag_no_result"
    assert wide.faults == []


def test_an_outlier_opens_its_star_by_keyboard_and_gives_the_focus_back(wide):
    page = wide.page
    button = page.locator(".outliers tbody tr", has_text="far from").first.locator("button.star")
    name = button.text_content()

    button.focus()
    page.keyboard.press("Enter")
    wide.wait_for("document.querySelector('dialog[open]') !== null")

    assert page.text_content("dialog[open] h2") == name
    page.keyboard.press("Escape")
    wide.wait_for("document.querySelector('dialog[open]') === null")
    assert wide.focus() == name
    assert wide.faults == []


def test_a_star_with_a_file_shows_its_spectrum_and_its_draws(wide):
    page = wide.page
    drawn = page.locator("dialog", has_text="Draws of L_fakemag").first
    star = drawn.get_attribute("id").removeprefix("star-")

    page.locator(f"button.star[data-star='{star}']").click()
    wide.wait_for(
        "[...document.querySelectorAll('dialog[open] [data-figure]')].every(e => e.dataset.drawn === 'done')"
    )

    assert page.locator("dialog[open] [data-figure]").count() == 7
    assert page.locator("dialog[open] canvas").count() >= 5
    assert "equals the stored row to 1e-5" in page.text_content("dialog[open]")
    assert page.evaluate("(d => d.scrollWidth <= d.clientWidth)(document.querySelector('dialog[open]'))")
    page.click("dialog[open] button.close")
    assert wide.faults == []


def test_a_point_says_its_star_when_pointed_at_and_opens_it_when_clicked(wide):
    page = wide.page
    x, y, name = wide.first_point("#plot-luminosity")

    page.mouse.move(x, y)
    wide.wait_until(lambda: name in wide.pointed_at())
    page.mouse.click(x, y)
    wide.wait_for("document.querySelector('dialog[open]') !== null")

    assert page.text_content("dialog[open] h2") == name
    page.keyboard.press("Escape")
    wide.wait_for("document.querySelector('dialog[open]') === null")
    ringed = page.evaluate(RINGED)
    assert set(ringed) == {name}
    assert len(ringed) > 5
    assert name in page.text_content("#chosen")
    page.click("#chosen .clear")
    assert page.evaluate(RINGED) == []
    assert wide.faults == []


def test_a_star_is_found_by_its_name_with_the_keyboard_alone(wide):
    page = wide.page
    names = page.evaluate("JSON.parse(document.getElementById('stars').textContent)")
    listed = set(page.locator("button.star").all_text_contents())
    name = next(each for each in names["name"] if each not in listed)

    page.focus("#star-name")
    page.keyboard.type("nobody")
    page.keyboard.press("Enter")
    refused = page.text_content("#found")
    page.fill("#star-name", "")
    page.keyboard.type(name.lower())
    page.keyboard.press("Enter")
    wide.wait_for("document.querySelector('dialog[open]') !== null")

    assert f"nobody is not among the {len(names['name'])} that figures show as points" in refused
    assert page.text_content("dialog[open] h2") == name
    assert f"astra report --star {name}" in page.text_content("dialog[open]")
    assert names["dist"][names["name"].index(name)] in page.text_content("dialog[open]")
    page.keyboard.press("Escape")
    wide.wait_for("document.activeElement.id === 'star-name'")
    page.click("#chosen .clear")
    assert wide.faults == []


def test_the_theme_can_be_changed_and_the_figures_follow(wide):
    page = wide.page
    background = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(background), page.locator("#plot-distances").screenshot()

    page.click("#theme")
    time.sleep(0.3)

    after = page.evaluate(background), page.locator("#plot-distances").screenshot()
    assert before[0] != after[0]
    assert before[1] != after[1]
    page.click("#theme")
    assert page.evaluate(background) == before[0]


def test_the_skip_link_is_the_first_stop_of_the_keyboard(chromium, pages):
    opened = Opened(chromium, pages[1], whole=False)

    opened.page.keyboard.press("Tab")

    assert opened.focus() == "Skip to the content"
    assert opened.page.evaluate("getComputedStyle(document.activeElement).left") == "8px"
    assert opened.page.locator("main section").count() == 5  # distances, place, two spectra, weights
    opened.page.close()


def test_a_line_of_a_spectrum_says_its_name_and_its_wavelength_when_pointed_at(chromium, pages):
    opened = Opened(chromium, pages[1], whole=False)
    page = opened.page
    figure = page.locator("[data-figure$=-blue]").first

    figure.scroll_into_view_if_needed()
    opened.wait_for("document.querySelector('[data-figure$=-blue]').dataset.drawn === 'done'")
    box = figure.bounding_box()
    said = ""
    for step in range(0, 400, 2):
        page.mouse.move(box["x"] + 200 + step, box["y"] + 60)
        said = opened.pointed_at()
        if "from Smith 2013" in said:
            break

    assert "Å, from Smith 2013" in said
    assert opened.faults == []
    page.close()
