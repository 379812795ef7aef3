"""The report's page in a browser: headless Chromium, light and dark, on a phone and on a desktop."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from reprocessing.report.page import render
from tests.browser import CHROMIUM, Tab, browser
from tests.lambdas.report_reprocess import sample

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no Chromium on this machine (Debian: apt-get install chromium)"
)

PAGES = {
    "applied": render(sample.report(), sample.curves(), sample.UNITS),
    "back-test": render(sample.back_test(), sample.curves(), sample.UNITS),
    "refused": render(sample.refused(), sample.curves("d" * 128), sample.UNITS),
}

SCREENS: tuple[tuple[int, Literal["light", "dark"]], ...] = (
    (1280, "light"),
    (1280, "dark"),
    (360, "light"),
    (360, "dark"),
)
GROUND = "getComputedStyle(document.body).backgroundColor"

FAINT = """(() => {
  const light = (rgb) => {
    const parts = rgb.match(/[\\d.]+/g).map(Number).slice(0, 3).map((part) => part / 255);
    const linear = parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (!/, 0\\)$/.test(color)) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || element.closest("title")) continue;
    const pair = [light(getComputedStyle(element).color), light(behind(element))].sort((a, b) => b - a);
    const contrast = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (contrast < 4.5) found.push(`${texts.currentNode.data.trim()}: ${contrast.toFixed(2)}`);
  }
  return found;
})()"""
"""Texts with less contrast than https://www.w3.org/TR/WCAG22/#contrast-minimum asks, by its formula."""

WIDE = """[...document.querySelectorAll("body *")]
  .filter((element) => !element.closest(".wide, svg") && element.scrollWidth > innerWidth)
  .map((element) => element.outerHTML.slice(0, 80))
  .concat(document.documentElement.scrollWidth > innerWidth ? ["the page"] : [])"""
"""What is wider than the screen, but for tables, which scroll in their own box."""


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_read_on_any_screen_light_and_dark_and_asks_for_nothing(
    tab: Tab, tmp_path: Path, page: str
) -> None:
    file = tmp_path / "report.html"
    file.write_text(PAGES[page], encoding="utf-8")

    tab.show(file, 1280, "light")
    tab.value("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert tab.value("document.documentElement.innerText.length") > 2000
    for width, scheme in SCREENS:
        tab.look(width, scheme)
        assert tab.value("innerWidth") == width
        assert (tab.value(WIDE), tab.value(FAINT)) == ([], []), (width, scheme)
    assert [sent["request"]["url"] for sent in tab.of("Network.requestWillBeSent")] == [file.as_uri()]
    assert tab.of("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown") == []


def test_the_two_schemes_differ(tab: Tab, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(PAGES["applied"], encoding="utf-8")
    tab.show(file, 1280, "light")
    light = tab.value(GROUND)
    tab.look(1280, "dark")

    assert (light, tab.value(GROUND)) == ("rgb(246, 247, 249)", "rgb(16, 20, 27)")


def test_what_is_too_wide_or_too_faint_would_be_found(tab: Tab, tmp_path: Path) -> None:
    file = tmp_path / "bad.html"
    file.write_text(
        '<p style="width: 2000px; color: #bbb">Faint</p><img src="http://127.0.0.1:9/a.png">', encoding="utf-8"
    )

    tab.show(file, 1280, "light")

    assert tab.value(WIDE) != []
    assert tab.value(FAINT) != []
    assert len(tab.of("Network.requestWillBeSent")) == 2
    assert tab.of("Log.entryAdded") != []


def test_text_that_would_be_a_script_does_nothing(tab: Tab, tmp_path: Path) -> None:
    attack = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">"
    file = tmp_path / "report.html"
    file.write_text(
        render(sample.report(run_id=attack), sample.curves(attack), {"temperature": attack}), encoding="utf-8"
    )

    tab.show(file, 1280, "light")

    assert tab.value("document.title") == f"Reprocessing {attack}"
    assert tab.value("document.querySelectorAll('script, img').length") == 0
    assert tab.of("Log.entryAdded") == []
