"""The report in a real browser: it requests nothing, runs nothing of the user's, fits a phone; its controls work."""

import pytest

from fruitaudit.report.render import render

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [420, 1400])
def test_no_complaint_no_request_no_sideways_scroll(open_report, width):
    page = open_report(width)
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.complaints == []
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("document.images.length") > 10
    assert page.evaluate(
        "[...document.images].every((i) => i.loading === 'lazy' || (i.complete && i.naturalWidth > 0))"
    )


def test_a_table_sorts_by_keyboard_in_both_directions(open_report):
    page = open_report(1400)
    heading = page.locator("#predictions-table thead button").nth(3)
    heading.focus()
    column = "[...document.querySelectorAll('#predictions-table tbody tr')].map((r) => r.cells[0].textContent)"
    before = page.evaluate(column)
    page.locator("#predictions-table thead button").first.press("Enter")
    assert page.evaluate(column) == sorted(before, key=str.lower)
    page.locator("#predictions-table thead button").first.press("Enter")
    assert page.evaluate(column) == sorted(before, key=str.lower, reverse=True)
    assert page.locator("#predictions-table th[aria-sort=descending]").count() == 1


def test_numbers_sort_as_numbers(open_report):
    page = open_report(1400)
    page.locator(".per-class thead button").nth(1).click()
    page.locator(".per-class thead button").nth(7).click()
    values = page.evaluate(
        "[...document.querySelector('.per-class').tBodies[0].rows].map((r) => Number(r.cells[7].dataset.sort))"
    )
    assert values == [0.75, 0.5, 0.25]


def test_the_filter_finds_and_counts(open_report):
    page = open_report(1400)
    row_count = page.locator("#shown")
    assert row_count.inner_text() == "12 of 12"
    page.select_option("#filters [name=show]", "right")
    assert row_count.inner_text() == "3 of 12"
    page.select_option("#filters [name=show]", "explained")
    assert row_count.inner_text() == "3 of 12"
    page.select_option("#filters [name=show]", "")
    page.fill("#filters [name=text]", "/003.PNG")
    assert row_count.inner_text() == "1 of 12"
    assert page.locator("#predictions-table tbody tr:visible").count() == 1


def test_switches_change_what_is_shown(open_report):
    page = open_report(1400)
    cell = page.locator(".confusion td.miss").first
    assert "i" not in page.evaluate(
        "[...document.querySelectorAll('.confusion td.miss i')].filter((i) => i.offsetParent)"
    )
    counts = cell.inner_text()
    page.locator(".confusion-box [data-value=percent]").first.click()
    assert cell.inner_text() != counts
    stack = "document.querySelector('.tile:not(.subject) .stack:not(.photo):not(.none)')"
    opacity = f"getComputedStyle({stack}, '::before').opacity"
    assert page.evaluate(opacity) == "0"
    page.locator("[data-target=explanations] [data-value=overlay]").first.click()
    assert float(page.evaluate(opacity)) > 0.5


def test_a_number_of_the_confusion_matrix_leads_to_its_images(open_report):
    page = open_report(1400)
    link = page.locator(".confusion td.miss a").first
    n = int(link.inner_text())
    link.focus()
    page.keyboard.press("Enter")
    assert page.locator("#shown").inner_text() == f"{n} of 12"
    page.locator("#reset").click()
    assert page.locator("#shown").inner_text() == "12 of 12"


def test_a_finding_leads_to_the_errors_of_its_split(open_report):
    page = open_report(1400)
    page.locator("#findings a[data-filter]").first.click()
    assert page.locator("#shown").inner_text() == "9 of 12"


@pytest.mark.parametrize("width", [420, 1400])
def test_a_map_is_enlarged_and_left_by_keyboard(open_report, width):
    page = open_report(width)
    views = page.locator(".panel").first.locator(".stack:not(.none)")
    title = page.locator("#viewer-title")
    views.nth(2).focus()
    before = views.nth(2).bounding_box()["width"]
    page.keyboard.press("Enter")
    assert page.locator("#viewer .stack").bounding_box()["width"] > 1.5 * before
    assert "Saliency" in title.inner_text()
    page.keyboard.press("ArrowRight")
    assert "Integrated_gradients" in title.inner_text()
    page.keyboard.press("ArrowLeft")
    first = page.locator("#viewer img").get_attribute("src")
    page.keyboard.press("ArrowDown")  # the same method on the next image that has a map
    assert "Saliency" in title.inner_text()
    assert page.locator("#viewer img").get_attribute("src") != first
    page.keyboard.press("Escape")
    assert not page.locator("#viewer").is_visible()
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Enlarge: Saliency"
    assert page.complaints == []


@pytest.mark.parametrize("width", [420, 1400])
def test_two_images_are_laid_side_by_side(open_report, width):
    page = open_report(width)
    buttons = page.locator(".panel .lay-beside")
    buttons.nth(0).click()
    assert "now choose another image" in page.locator("#beside-said").inner_text()
    page.locator(".group h3 .lay-beside").first.click()  # an image is not laid beside a group: the group is chosen
    assert "now choose another group" in page.locator("#beside-said").inner_text()
    buttons.nth(0).click()
    buttons.nth(2).click()
    names = page.locator("#beside .panel h5").all_inner_texts()
    assert len(names) == 2
    assert page.locator("#beside .panel").nth(0).bounding_box()["width"] > 300 if width > 700 else True
    assert page.evaluate("document.querySelectorAll('#beside [id]:not(#beside)').length") == 0
    page.keyboard.press("Escape")
    assert not page.locator("#beside").is_visible()
    assert not page.locator("#beside-said").is_visible()
    assert page.complaints == []


def test_an_image_of_the_table_leads_to_its_maps(open_report):
    page = open_report(1400)
    page.evaluate(
        "document.querySelectorAll('#explanations .panel').forEach((p) => {"
        " const fold = document.createElement('details'); p.replaceWith(fold); fold.append(p); })"
    )
    page.locator("#predictions-table tbody a").first.click()
    assert page.evaluate("document.querySelector(location.hash).closest('details').open")


def test_print_leaves_out_what_cannot_be_pressed(open_report):
    page = open_report(720)
    page.emulate_media(media="print")
    assert not page.locator("#filters").is_visible()
    assert not page.locator(".sticky-tools").is_visible()
    columns = "getComputedStyle(document.querySelector('.charts')).gridTemplateColumns.split(' ').length"
    assert page.evaluate(columns) == 2


def test_without_scripts_the_report_is_whole(browser, folder):
    render(folder)
    context = browser.new_context(java_script_enabled=False, viewport={"width": 420, "height": 900})
    page = context.new_page()
    page.goto((folder / "report.html").as_uri())
    assert page.locator("#predictions-table tbody tr:visible").count() == 12
    assert page.locator("#glossary").is_visible()
    context.close()
