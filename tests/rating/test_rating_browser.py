"""The sheet in a real browser: filled in by mouse and keyboard, kept, saved, and read back."""

from __future__ import annotations

import json

import pytest
from rating.conftest import outside

from fruitaudit.rating.answers import read_answers

pytestmark = pytest.mark.browser


@pytest.fixture
def open_sheet(audit, browser, tmp_path):
    """The page in a window of this width; `complaints` are errors and requests to elsewhere."""
    contexts = []

    def open_(width: int = 1400, **options):
        path = tmp_path / "rating.html"
        path.write_text(audit.page())
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.complaints = []
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("request", lambda request: page.complaints.append(request.url) if outside(request.url) else None)
        page.goto(path.as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()


@pytest.mark.parametrize("width", [420, 1400])
def test_it_fits_asks_nothing_of_the_network_and_runs_nothing_of_the_users(open_sheet, width) -> None:
    page = open_sheet(width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every((i) => i.complete && i.naturalWidth > 0)")
    assert page.evaluate("window.hacked") is None
    assert page.complaints == []


def test_what_is_clicked_and_typed_is_saved_and_read_back(open_sheet, audit, tmp_path) -> None:
    page, panels = open_sheet(), audit.sheet().panels
    page.locator(f'input[name="{panels[0].id}"][value="4"]').check()
    page.keyboard.press("2")  # a key rates the map in focus, and leads to the next one without a rating
    page.keyboard.press("5")
    page.keyboard.press("0")
    page.keyboard.press("ArrowRight")  # the arrows of a radio group
    assert page.locator("#count").inner_text() == f"4 of {len(panels)} rated"
    page.locator("#save").click()
    assert "name" in page.locator("#saved").inner_text()
    page.locator("#rater").fill("Ada O'Neil <b>")
    with page.expect_download() as started:
        page.locator("#save").click()
    assert started.value.suggested_filename == "ratings-Ada-O-Neil-b-.json"
    path = tmp_path / "saved.json"
    started.value.save_as(path)
    assert json.loads(path.read_text())["sheet"] == audit.sheet().code
    _, (answers,) = read_answers(audit.folder, [path])
    assert answers.rater == "Ada O'Neil <b>"
    assert answers.ratings == {panels[0].id: 2, panels[1].id: 5, panels[2].id: None, panels[3].id: 2}
    assert page.complaints == []


def test_answers_are_kept_until_they_are_cleared(open_sheet, audit) -> None:
    page, panels = open_sheet(), audit.sheet().panels
    page.locator(f'input[name="{panels[7].id}"][value="3"]').check()
    page.locator(f'input[name="{panels[8].id}"][value="0"]').check()
    page.locator("#rater").fill("Ada")
    page.reload()
    assert page.locator(f'input[name="{panels[7].id}"][value="3"]').is_checked()
    assert page.locator(f'input[name="{panels[8].id}"][value="0"]').is_checked()
    assert page.locator("#rater").input_value() == "Ada"
    page.on("dialog", lambda dialog: dialog.accept())
    page.locator("#clear").click()
    page.reload()
    assert page.locator("input:checked").count() == 0


def test_it_works_where_the_browser_keeps_nothing(open_sheet, audit) -> None:
    page = open_sheet()
    page.add_init_script("Object.defineProperty(window, 'localStorage', { get() { throw new Error('no'); } })")
    page.reload()
    page.locator("input[value='3']").first.check()
    assert page.locator("#count").inner_text().startswith("1 of")
    assert page.complaints == []


def test_the_next_map_without_a_rating_comes_into_view(open_sheet, audit) -> None:
    page, panels = open_sheet(), audit.sheet().panels
    for panel in panels[:12]:
        page.locator(f'input[name="{panel.id}"][value="1"]').check()
    page.evaluate("scrollTo(0, 0)")
    page.locator("#next").click()
    assert page.evaluate("document.activeElement.name") == panels[12].id
    place = "const { top, bottom } = document.activeElement.closest('fieldset').getBoundingClientRect()"
    page.wait_for_function(f"() => {{ {place}; return top >= 0 && bottom <= innerHeight - 50; }}", timeout=5000)


def test_every_choice_has_a_name_that_can_be_read_out(open_sheet) -> None:
    page = open_sheet()
    group = page.get_by_role("group", name="Map A Does the colour lie where one should look").first
    assert group.get_by_role("radio").count() == 6
    assert group.get_by_role("radio", name="4, mostly").count() == 1


def test_maps_can_be_seen_alone(open_sheet) -> None:
    page = open_sheet()
    opacity = "getComputedStyle(document.querySelector('fieldset .stack'), '::before').opacity"
    assert float(page.evaluate(opacity)) > 0.5
    page.get_by_role("button", name="alone").click()
    assert page.evaluate(opacity) == "0"


def test_it_prints_and_is_whole_without_scripts(open_sheet) -> None:
    page = open_sheet(720, java_script_enabled=False)
    assert page.locator("noscript").is_visible()
    assert not page.locator("#progress").is_visible()
    page.emulate_media(media="print")
    assert page.locator("fieldset .steps").first.is_visible()
    assert not page.locator("#save").is_visible()
