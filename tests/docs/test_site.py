"""The site is whole, and is read without a network."""

import re
from urllib.parse import unquote, urlsplit

from documents import DOCS, ROOT


def test_it_is_built_without_a_warning(built):
    assert built[1] == ""


def test_every_page_is_in_it(site):
    written = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}

    assert {path for path in written if not (site / path).exists()} == set()


def test_nothing_is_loaded_from_elsewhere(site, read):
    pages = sorted(site.rglob("*.html"))
    elsewhere = {name for page in pages for name in read(page).loaded if urlsplit(name).netloc}
    styles = [path.read_text() for path in [*site.rglob("*.css"), *pages]]
    from_styles = [
        found for text in styles for found in re.findall(r"(?:url\(|@import)\s*['\"]?(https?:)", text)
    ]

    assert len(pages) > 30
    assert (elsewhere, from_styles) == (set(), [])


def test_what_is_loaded_is_there(site, read):
    missing = [
        (page.name, name)
        for page in site.rglob("*.html")
        for name in read(page).loaded
        if not name.startswith("data:") and not (page.parent / unquote(urlsplit(name).path)).exists()
    ]

    assert missing == []


def test_every_link_leads_somewhere(site, read):
    broken = []
    for page in site.rglob("*.html"):
        for link in read(page).links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (page.parent / unquote(parts.path)) if parts.path else page
            whole = target.suffix != ".html" or not parts.fragment
            if not target.exists() or not (whole or unquote(parts.fragment) in read(target).anchors):
                broken.append(f"{page.relative_to(site)}: {link}")

    assert broken == []


def test_the_readme_leads_to_pages_that_are_there():
    links = re.findall(r"\]\(([^)#]+)", (ROOT / "README.md").read_text())

    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_formulas_are_there_without_a_script(site, read):
    html = (site / "method.html").read_text()

    assert html.count("<math") > 20
    assert not [name for name in read("method.html").loaded if "math" in name.lower()]
