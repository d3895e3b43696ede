"""The page about a run: one file, complete, and right for every kind of picture."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bayesdip.errors import FileError
from bayesdip.io import Picture
from bayesdip.report import pictures, plots, write_report
from bayesdip.result import Restoration

STEPS = list(range(1, 301, 10))
TRACE = {
    "step": [float(s) for s in STEPS],
    "fit": [1 + 4 * float(np.exp(-s / 40)) for s in STEPS],
    "sampling": [float(s > 150) for s in STEPS],
}


def restored(mean, std=None, samples=None, **changes):
    facts = {
        "trace": TRACE,
        "sigma": (25.0,),
        "held_out": 26.5,
        "held_out_count": 99,
        "seconds": 75.0,
        "stopped": "finished",
        "settings": {
            "method": "sgld",
            "arch": {"name": "shuffle", "scales": 4},
            "seed": 7,
            "noise": "noise & <b>",
        },
        "info": {"steps": 300},
        "channel_axis": -1 if mean.ndim == 3 else None,
    }
    samples = mean[None] if samples is None else samples
    return Restoration(mean=mean, std=std, samples=samples, **(facts | changes))


class Page(HTMLParser):
    """What stands in the page: elements with their attributes, and the text."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.text, self.open = [], "", []
        self.source = Path(path).read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "input", "br", "stop", "rect", "line", "path", "circle"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.open and tag == self.open[-1]:
            self.open.pop()

    def handle_data(self, data):
        self.text += data

    def images(self):
        found = {}
        for tag, attributes in self.elements:
            if tag == "img":
                data = base64.b64decode(attributes["src"].removeprefix("data:image/png;base64,"))
                found[attributes["alt"]] = np.asarray(Image.open(BytesIO(data)))
        return found


@pytest.fixture
def page_of(tmp_path):
    def make(before, restoration, task="denoise", title="A <title>", command="bayesdip it", **more):
        path = write_report(tmp_path, before, restoration, title=title, task=task, command=command, **more)
        return Page(path)

    return make


def picture(shape, dtype=np.uint8, high=255):
    return (np.random.default_rng(0).random(shape) * high).astype(dtype)


def test_the_page_is_one_well_formed_file_that_asks_nothing_of_the_network(page_of):
    before = picture((20, 30, 3))
    page = page_of(before, restored(before, np.ones(before.shape, np.float32)))
    assert page.open == []  # every element is closed
    assert not re.search(r"https?://", page.source)
    for tag, attributes in page.elements:
        assert tag not in ("link", "iframe", "object") and not (tag == "script" and "src" in attributes)
        assert attributes.get("src", "data:").startswith("data:")
    policy = [a["content"] for t, a in page.elements if t == "meta" and a.get("http-equiv")]
    assert policy and policy[0].startswith("default-src 'none'")


def test_the_page_can_be_read_without_seeing_it(page_of):
    before = picture((20, 30))
    page = page_of(before, restored(before, np.ones(before.shape, np.float32)))
    assert ("html", {"lang": "en"}) in page.elements
    assert all(attributes.get("alt") for tag, attributes in page.elements if tag == "img")
    assert all(a.get("aria-label") for t, a in page.elements if t in ("input", "svg"))


def test_before_and_after_are_the_pictures_themselves(page_of):
    before = picture((330, 340, 3))
    after = 255 - before
    shown = page_of(before, restored(after)).images()
    np.testing.assert_array_equal(shown["Noisy picture"], before)
    np.testing.assert_array_equal(shown["Restored picture: the posterior mean"], after)


def test_all_settings_and_the_command_are_there_and_escaped(page_of):
    before = picture((9, 9))
    page = page_of(before, restored(before), command="bayesdip denoise '<i>.png'")
    assert "bayesdip denoise '<i>.png'" in page.text and "A <title>" in page.text
    for name, value in (("arch.scales", "4"), ("seed", "7"), ("noise", "noise & <b>"), ("steps", "300")):
        assert re.search(rf"{re.escape(name)}\s*{re.escape(value)}", page.text)


def test_the_trace_is_drawn_with_noise_level_and_burn_in(page_of):
    before = picture((9, 9))
    page = page_of(before, restored(before))
    classes = [attributes.get("class") for _, attributes in page.elements]
    assert {"level", "shade", "line"} <= set(classes) and "burn-in: not counted" in page.text


def test_the_shade_ends_where_sampling_begins():
    drawn = plots.trace_plot(TRACE)
    width = float(re.search(r'class="shade".*? width="([\d.]+)"', drawn).group(1))
    inner = plots.WIDTH - plots.LEFT - plots.RIGHT
    assert width / inner == pytest.approx((151 - 1) / (291 - 1), abs=0.01)


def test_a_residual_is_drawn_for_gp():
    drawn = plots.trace_plot({"step": [1.0, 2.0, 3.0], "residual": [1.0, 0.1, 0.001]})
    assert "relative residual" in drawn and "level" not in drawn
    assert plots.trace_plot({"step": [1.0], "residual": [1.0]}) == ""


def test_the_uncertainty_map_is_brightest_where_std_is_largest(page_of):
    before = picture((330, 330))
    std = np.full(before.shape, 2.0, np.float32)
    std[100:140, 50:90] = 8.0
    page = page_of(before, restored(before, std))
    spread = page.images()["Posterior standard deviation of every pixel"].astype(int).sum(axis=-1)
    assert spread[105, 55] > 1.5 * spread[0, 0]
    assert "The scale ends at 8" in page.text


def test_a_run_without_std_says_so(page_of):
    before = picture((9, 9))
    settings = {"method": "map", "arch": {"name": "shuffle"}, "noise": "x"}
    page = page_of(before, restored(before, settings=settings, samples=before[:0].reshape(0, 9, 9)))
    assert "a single fit (map) has none" in page.text and "Posterior samples" not in page.text


def test_a_few_of_many_samples_are_shown(page_of):
    before = picture((9, 9))
    page = page_of(before, restored(before, samples=np.stack([before] * 30)))
    assert sum(name.startswith("Posterior sample ") for name in page.images()) == 4
    assert "4 of 30" in page.text


def test_missing_pixels_are_painted(page_of):
    before = picture((330, 330))
    missing = np.zeros(before.shape, bool)
    missing[3, 4] = True
    page = page_of(before, restored(before), task="inpaint", missing=missing)
    shown = page.images()["With missing pixels picture"]
    assert tuple(shown[3, 4]) == pictures.MISSING_COLOUR and "painted violet" in page.text
    assert tuple(shown[0, 0]) == (before[0, 0],) * 3


@pytest.mark.parametrize(
    ("mean", "shown"),
    [
        (picture((9, 9)), "from 0 (black) to 255"),
        (picture((9, 9), np.uint16, 65000), "from 0 (black) to 6.554e+04"),
        (np.linspace(100, 4095, 81).reshape(9, 9).astype(np.uint16), "from 100 (black) to 4095"),
        (np.linspace(-300, 7000, 81).reshape(9, 9), "from -300 (black) to 7000"),
        (np.linspace(0.1, 0.9, 81).reshape(9, 9), "from 0 (black) to 1 (white)"),
        (np.full((9, 9), 3.0), "from 2.5 (black) to 3.5"),
    ],
)
def test_the_display_range_is_said(page_of, mean, shown):
    assert shown in page_of(mean, restored(mean)).text


def test_of_many_channels_three_are_shown_and_it_is_said(page_of):
    mean = picture((330, 330, 7), np.uint16, 65535)
    page = page_of(
        mean, restored(mean, np.ones(mean.shape, np.float32)), like=Picture(mean, colour="channels")
    )
    assert "the first three channels" in page.text
    assert page.images()["Restored picture: the posterior mean"].shape == (330, 330, 3)


def test_cmyk_is_shown_as_rgb(page_of):
    ink = np.zeros((330, 330, 4), np.uint8)
    ink[..., 0] = 255  # cyan
    page = page_of(ink, restored(ink), like=Picture(ink, colour="cmyk"))
    assert tuple(page.images()["Noisy picture"][0, 0]) == (0, 255, 255)


def test_transparency_is_shown(page_of):
    mean = picture((330, 330))
    alpha = np.full(mean.shape, 255, np.uint8)
    alpha[0, 0] = 0
    shown = page_of(mean, restored(mean), like=Picture(mean, alpha)).images()["Noisy picture"]
    assert shown[0, 0, 3] == 0 and shown[1, 1, 3] == 255


def test_large_pictures_are_shrunk_and_small_ones_enlarged(page_of):
    mean = picture((30, 2100))
    page = page_of(mean, restored(mean))
    assert page.images()["Noisy picture"].shape[1] == pictures.LARGE and "shrunk" in page.text
    size = [a["width"] for t, a in page.elements if t == "img"]
    assert int(size[0]) == pictures.LARGE
    tiny = pictures.show(picture((2, 4)), "tiny")
    assert (tiny.width, tiny.height) == (320, 160) and tiny.pixelated


def test_an_upscaled_picture_stands_beside_its_small_version(page_of):
    small = picture((110, 120))
    page = page_of(small, restored(picture((330, 360))), task="upscale")
    np.testing.assert_array_equal(page.images()["Small picture"], small.repeat(3, 0).repeat(3, 1))


@pytest.mark.parametrize("shape", [(500,), (1, 500), (500, 1, 3)])
def test_a_signal_is_plotted(page_of, shape):
    mean = np.linspace(-1, 1, int(np.prod(shape))).reshape(shape)
    page = page_of(mean, restored(mean, np.full(shape, 0.1, np.float32)))
    classes = [attributes.get("class") for _, attributes in page.elements]
    assert page.images() == {} and {"band", "seen", "line"} <= set(classes)
    assert ("Shown is the first channel" in page.text) == (len(shape) == 3)


def test_a_thinned_line_keeps_its_peaks():
    values = np.zeros(100_000)
    values[12_345], values[77_777] = 9.0, -7.0
    across, up = plots.thinned(np.arange(100_000.0), values)
    assert len(up) <= plots.MOST_POINTS and up.max() == 9.0 and up.min() == -7.0
    assert (np.diff(across) > 0).all()


def test_a_line_breaks_where_values_are_missing():
    axis = plots.Axis(0.0, 10.0, 0.0, 100.0)
    drawn = plots.path(axis, axis, np.arange(5.0), np.array([1.0, 2.0, np.nan, 4.0, 5.0]))
    assert drawn == "M0.0 10.0 L10.0 20.0 M30.0 40.0 L40.0 50.0"


@pytest.mark.parametrize(
    ("low", "high", "logarithmic"), [(0, 1, False), (-3, 7e6, False), (1e-9, 3, True), (1.01, 4, True)]
)
def test_ticks_are_few_round_and_inside(low, high, logarithmic):
    ticks = plots.Axis(low, high, 0, 100, logarithmic).ticks()
    assert 2 <= len(ticks) <= 16 and low <= min(ticks) and max(ticks) <= high
    assert all(len(f"{abs(tick):.0e}") <= 6 for tick in ticks)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 3), (3, 900, 3)])
def test_the_smallest_and_thinnest_pictures_have_a_page(page_of, shape):
    mean = picture(shape)
    trace = {"step": [1.0], "fit": [1.0], "sampling": [0.0]}
    page = page_of(mean, restored(mean, np.zeros(shape, np.float32), trace=trace, held_out=None, sigma=None))
    assert page.open == [] and len(page.images()) >= 3


def test_an_existing_page_needs_force(page_of, tmp_path):
    mean = picture((5, 5))
    page_of(mean, restored(mean))
    (tmp_path / "report.html").write_text("precious")
    with pytest.raises(FileError, match="exists already"):
        page_of(mean, restored(mean))
    assert (tmp_path / "report.html").read_text() == "precious"
    assert "<!DOCTYPE html>" in page_of(mean, restored(mean), force=True).source
