"""The page itself, in a real browser where there is one."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from test_studio_server import picture

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed: the page is not tried in a browser"
)
LIMIT = 120_000  # milliseconds


@pytest.fixture(scope="module")
def address():
    command = [sys.executable, "-m", "bayesdip", "studio", "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield re.search(r"http://\S+", server.stdout.readline())[0]
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(browser, address):
    context = browser.new_context(viewport={"width": 1200, "height": 900}, accept_downloads=True)
    context.set_default_timeout(LIMIT)
    found = context.new_page()
    found.asked, found.failed = [], []
    found.on("request", lambda request: found.asked.append(request.url))
    found.on("pageerror", lambda error: found.failed.append(str(error)))
    found.goto(address)
    found.wait_for_selector("#examples button")
    yield found
    assert not found.failed
    assert all(url.startswith((address, "blob:", "data:")) for url in found.asked)
    context.close()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.png"
    Image.fromarray(picture(48)).save(path)
    return path


def give(page, file):
    page.set_input_files("#picture", file)
    page.wait_for_selector("#picture-facts:has-text('uint8')")


def test_paint_a_mask_start_and_download(page, file, tmp_path):
    give(page, file)
    page.check("input[value=inpaint]")
    assert page.is_disabled("#start")
    page.click("#paint")
    box = page.locator("#view").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 60, y)
    page.mouse.down()
    page.mouse.move(x + 60, y, steps=5)
    page.mouse.up()
    page.wait_for_selector("#mask-said:has-text('is missing')")
    page.wait_for_selector("#start:not([disabled])")
    page.fill("#samples", "3")
    page.select_option("#method", "gp")
    page.wait_for_selector("#plan:has-text('Start runs gp')")
    page.click("#start")
    page.wait_for_selector("#result:not([hidden])")
    page.wait_for_selector("#film:not([hidden])")
    assert "gp" in page.inner_text("#run-said") and "--method gp" in page.inner_text("#command")
    with page.expect_download() as waiting:
        page.click("#get-picture")
    waiting.value.save_as(tmp_path / "out.png")
    restored, given = (np.asarray(Image.open(path)).astype(int) for path in (tmp_path / "out.png", file))
    changed = restored != given
    assert changed[20:29, 18:30].any() and not changed[:12].any() and not changed[36:].any()
    assert page.locator("#repeat-files a").all_inner_texts() == ["mine.png", "mine-mask.png"]
    with page.expect_download() as waiting:
        page.click("#get-python")
    assert waiting.value.suggested_filename == "mine-restored.py"
    waiting.value.save_as(tmp_path / "again.py")
    assert (tmp_path / "again.py").read_text() == page.evaluate(
        "document.getElementById('python').textContent"
    )
    page.click("[data-layer=std]")
    assert "Standard deviation" in page.inner_text("#layer-said")
    page.fill("#doubt", "40")
    assert "% of the pixels" in page.inner_text("#doubt-said")
    page.hover("#view")
    page.wait_for_selector("#pixel dd")
    assert "90% interval" in page.inner_text("#pixel")
    page.click("#film")
    assert page.get_attribute("#film", "aria-pressed") == "true"


def test_a_mask_is_painted_by_keyboard(page, file):
    give(page, file)
    page.check("input[value=inpaint]")
    page.focus("#paint")
    page.keyboard.press("Enter")
    page.focus("#view")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press(" ")
    page.wait_for_selector("#mask-said:has-text('% is missing')")
    page.wait_for_selector("#start:not([disabled])")


def test_a_mask_that_looks_inverted_is_asked_about_at_once(page, file, tmp_path):
    give(page, file)
    page.check("input[value=inpaint]")
    known = np.full((48, 48), 255, np.uint8)
    known[20:22, 5:40] = 0
    Image.fromarray(known).save(tmp_path / "known.png")
    page.set_input_files("#mask", tmp_path / "known.png")
    page.wait_for_selector("#mask-doubt:not([hidden])")
    page.click("#invert")
    page.wait_for_selector("#mask-said:has-text('3.04% is missing')")
    assert page.is_hidden("#mask-doubt")


def test_a_mask_dropped_right_after_another_picture_belongs_to_it(page, file, tmp_path):
    give(page, file)
    page.check("input[value=inpaint]")
    Image.fromarray(picture(40)).save(tmp_path / "second.png")
    gone = np.zeros((40, 40), np.uint8)
    gone[:4, :10] = 255
    Image.fromarray(gone).save(tmp_path / "gone.png")
    page.set_input_files("#picture", tmp_path / "second.png")
    page.set_input_files("#mask", tmp_path / "gone.png")
    page.wait_for_selector("#mask-said:has-text('2.50% is missing')")
    assert "40 × 40" in page.inner_text("#picture-facts")
    page.wait_for_selector("#plan:has-text('Start runs')")
    assert page.is_enabled("#start") and page.is_hidden("#message")


def test_stop_keeps_the_best_so_far(page, file):
    give(page, file)
    page.select_option("#method", "sgld")
    page.select_option("#effort", "best")
    page.click("#start")
    page.wait_for_selector("#viewing:not([hidden])")
    page.hover("#view")
    page.wait_for_selector("#pixel:has-text('so far')")
    page.click("#stop")
    page.wait_for_selector("#result:not([hidden])")
    assert "interrupted" in page.inner_text("#run-said")


def test_uncertainty_and_a_sample_are_seen_while_a_network_is_sampled(page, tmp_path):
    small = tmp_path / "small.png"
    Image.fromarray(picture(24)).save(small)
    give(page, small)
    page.select_option("#method", "sgld")
    page.click("#start")
    page.wait_for_selector("[data-layer=std]:not([hidden])")
    page.wait_for_selector("[data-layer=sample]:not([hidden])")
    assert page.is_hidden("#result")
    page.click("[data-layer=std]")
    page.hover("#view")
    page.wait_for_selector("#pixel:has-text('not calibrated')")
    page.click("#stop")
    page.wait_for_selector("#result:not([hidden])")


def test_a_broken_file_and_one_that_is_too_large_are_said(page, tmp_path, file):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"nothing")
    page.set_input_files("#picture", broken)
    page.wait_for_selector("#message:not([hidden])")
    assert "broken.png" in page.inner_text("#message")
    large = tmp_path / "large.npy"
    with large.open("wb") as sparse:
        sparse.truncate(201_000_000)
    page.set_input_files("#picture", large)
    page.wait_for_selector("#message:has-text('200 MB')")
    give(page, file)
    assert page.is_hidden("#message")


def test_two_visitors_at_once(browser, address, file):
    contexts = [browser.new_context() for _ in range(2)]
    pages = [context.new_page() for context in contexts]
    for one in pages:
        one.set_default_timeout(LIMIT)
        one.goto(address)
        one.wait_for_selector("#examples button")
        give(one, file)
        one.select_option("#method", "gp")
    for one in pages:
        one.click("#start")
    for one in pages:
        one.wait_for_selector("#result:not([hidden])")
    assert len({one.url for one in pages}) == 2
    for context in contexts:
        context.close()


def test_a_page_that_is_loaded_again_finds_its_run(page, file):
    give(page, file)
    page.select_option("#method", "gp")
    page.click("#start")
    page.wait_for_selector("#result:not([hidden])")
    page.reload()
    page.wait_for_selector("#result:not([hidden])")


def test_compare_ranks(page, file):
    give(page, file)
    page.fill("#sigma", "12")
    page.click("nav >> text=Compare")
    page.click("#start")
    page.wait_for_selector("#comparison:not([hidden])")
    assert page.locator("#ranking tr").count() > 4
    assert page.evaluate("() => document.getElementById('grid').alt").startswith("Crops")


def test_the_prior_changes_at_once(page):
    page.click("nav >> text=Prior")
    page.wait_for_selector("#process-draws img")
    before = page.locator("#network-draws img").first.get_attribute("src")
    page.select_option("#arch", "layers")
    page.wait_for_selector(f"#network-draws img:not([src='{before}'])")
    assert page.input_value("#arch-text").startswith("layers: conv 3")
    page.fill("#arch-text", "layers: nonsense")
    page.wait_for_selector("#message:has-text('nonsense')")


def test_the_lab_can_be_browsed(page):
    page.click("nav >> text=Lab")
    page.wait_for_selector("details.claim")
    page.click("details.claim >> nth=0")
    assert page.locator("details.claim").count() >= 22


def test_a_phone_needs_no_scrolling_sideways(browser, address):
    context = browser.new_context(viewport={"width": 360, "height": 740})
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("#examples button")
    for name in ("Restore", "Compare", "Prior", "Lab"):
        page.click(f"nav >> text={name}")
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
    context.close()


def test_every_control_has_a_name_and_is_reached_by_keyboard(page):
    page.check("input[value=inpaint]")
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('button, input, select, canvas')]
        .filter((one) => !(one.labels?.length || one.textContent.trim() || one.getAttribute('aria-label')))
        .map((one) => one.outerHTML)"""
    )
    assert not unnamed
    page.focus("nav a")
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("() => document.activeElement.id"))
    assert {"picture", "paint", "brush", "mask", "sigma", "method", "view"} <= reached


# What has no name for a screen reader: no label, text or alternative.
UNNAMED = """() => [...document.querySelectorAll('a[href], button, input, select, textarea, canvas, img, [tabindex]')]
  .filter((e) => e.checkVisibility())
  .filter((e) => !(e.ariaLabel || e.alt || (e.labels && [...e.labels].some((l) => l.innerText.trim())) || e.innerText?.trim()))
  .map((e) => e.outerHTML.slice(0, 120))"""
OUTLINE = "() => [document.activeElement.tagName, getComputedStyle(document.activeElement).outlineStyle]"


@pytest.mark.parametrize("width", [1300, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_its_window_and_every_control_has_a_name(page, scheme, width):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 850})
    for name, there in (
        ("Restore", "#start"),
        ("Compare", "#networks"),
        ("Prior", "#process-draws img"),
        ("Lab", "#verdicts"),
    ):
        page.click(f"nav >> text={name}")
        page.wait_for_selector(there)
        assert page.evaluate(UNNAMED) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_focus_is_seen_on_every_control(page):
    reached = set()
    for _ in range(25):
        page.keyboard.press("Tab")
        tag, outline = page.evaluate(OUTLINE)
        if tag != "BODY":
            assert outline != "none", tag
            reached.add(tag)
    assert {"A", "BUTTON", "INPUT", "SELECT"} <= reached


def test_on_a_phone_the_run_is_seen_once_it_has_begun(page, file):
    page.set_viewport_size({"width": 390, "height": 700})
    give(page, file)
    page.click("#start")
    box = page.locator("#run").bounding_box()
    assert box["y"] >= 0 and box["y"] + 20 <= 700
    page.wait_for_selector("#result:not([hidden])")
