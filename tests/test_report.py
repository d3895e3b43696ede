"""The page about a run: one file, complete, and right for every kind of picture."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bayesdip.errors import FileError
from bayesdip.io import Picture
from bayesdip.report import figures, pictures, write_report
from bayesdip.report.notebook import notebook_html
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
        "method": "sgld",
        "why": "it was asked for & <is> slow",
        "settings": {"arch": {"name": "shuffle", "scales": 4}, "seed": 7, "noise": "noise & <b>"},
        "info": {"steps": 300},
        "channel_axis": -1 if mean.ndim == 3 else None,
    }
    samples = mean[None] if samples is None else samples
    return Restoration(mean=mean, std=std, raw_std=std, samples=samples, **(facts | changes))


class Page(HTMLParser):
    """What stands in the page: elements with their attributes, and the text."""

    def __init__(self, source):
        super().__init__()
        self.elements, self.text, self.open = [], "", []
        self.source = source
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "input", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.open and tag == self.open[-1]:
            self.open.pop()

    def handle_data(self, data):
        self.text += data

    def images(self):
        found = {}
        for tag, attributes in self.elements:
            kind, _, data = attributes.get("src", "").partition(",") if tag == "img" else ("", "", "")
            if kind == "data:image/png;base64":
                found[attributes["alt"]] = np.asarray(Image.open(BytesIO(base64.b64decode(data))))
        return found

    def plots(self):
        """The text of the SVG images by their descriptions."""
        head = "data:image/svg+xml;base64,"
        sources = {a["alt"]: a["src"] for tag, a in self.elements if tag == "img"}
        return {
            alt: base64.b64decode(source.removeprefix(head)).decode()
            for alt, source in sources.items()
            if source.startswith(head)
        }


@pytest.fixture
def page_of(tmp_path):
    def make(before, restoration, task="denoise", title="A <title>", command="bayesdip it", **more):
        path = write_report(tmp_path, before, restoration, title=title, task=task, command=command, **more)
        return Page(Path(path).read_text(encoding="utf-8"))

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
    assert all(a.get("aria-label") for t, a in page.elements if t == "input")


def test_before_and_after_are_the_pictures_themselves(page_of):
    before = picture((330, 340, 3))
    after = 255 - before
    shown = page_of(before, restored(after)).images()
    np.testing.assert_array_equal(shown["Noisy picture"], before)
    np.testing.assert_array_equal(shown["Restored picture"], after)


def test_all_settings_and_the_command_are_there_and_escaped(page_of):
    before = picture((9, 9))
    page = page_of(before, restored(before), command="bayesdip denoise '<i>.png'")
    assert "bayesdip denoise '<i>.png'" in page.text and "A <title>" in page.text
    for name, value in (("arch.scales", "4"), ("seed", "7"), ("noise", "noise & <b>"), ("steps", "300")):
        assert re.search(rf"{re.escape(name)}\s*{re.escape(value)}", page.text)


def test_the_page_says_what_ran_and_why(page_of):
    before = picture((9, 9))
    page = page_of(before, restored(before))
    assert "What ran, and why: sgld, it was asked for & <is> slow." in " ".join(page.text.split())
    assert re.search(r"Method\s*sgld\s*network 'shuffle'", page.text)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"arch": {"name": "skip"}}, "network 'skip'"),
        (
            {"arch": {"name": "skip"}, "kernel": None, "effort": "best"},
            "kernel of network 'skip', effort best",
        ),
        ({"arch": None, "kernel": "auto"}, "kernel matern32"),
        ({"effort": "fast"}, "effort fast"),
    ],
)
def test_the_page_names_the_network_or_the_kernel(page_of, settings, said):
    before = picture((9, 9))
    page = page_of(before, restored(before, settings=settings, info={"kernel": "matern32"}))
    assert said in page.text


def test_the_trace_is_drawn_with_noise_level_and_burn_in(page_of):
    before = picture((9, 9))
    drawn = page_of(before, restored(before)).plots()
    (text,) = (svg for alt, svg in drawn.items() if alt.startswith("Fit by step: 4.9 times the noise level"))
    for said in ("noise level", "burn-in: not counted", "step"):
        assert f">{said}</text>" in text


def test_the_shade_ends_where_sampling_begins():
    (axes,) = figures.trace_plot(TRACE).figure.axes
    (shade,) = axes.patches
    assert (shade.get_x(), shade.get_x() + shade.get_width()) == (1, 151)
    fit, level = axes.lines
    np.testing.assert_array_equal(fit.get_ydata(), TRACE["fit"])
    assert list(level.get_ydata()) == [1, 1]


def test_a_solver_has_its_residual_drawn():
    (axes,) = figures.trace_plot({"step": [1.0, 2.0, 3.0], "residual": [1.0, 0.1, 0.001]}).figure.axes
    assert axes.get_ylabel() == "relative residual" and axes.get_yscale() == "log" and len(axes.lines) == 1
    assert figures.trace_plot({"step": [1.0], "residual": [1.0]}) is None


def test_the_energy_is_drawn_after_the_burn_in_only():
    trace = TRACE | {"energy": [float(s) for s in STEPS]}
    (axes,) = figures.energy_plot(trace).figure.axes
    assert min(axes.lines[0].get_xdata()) > 150 and figures.energy_plot(TRACE) is None


def test_the_uncertainty_map_is_brightest_where_std_is_largest(page_of):
    before = picture((330, 330))
    std = np.full(before.shape, 2.0, np.float32)
    std[100:140, 50:90] = 8.0
    page = page_of(before, restored(before, std))
    spread = page.images()["Standard deviation of every pixel"].astype(int).sum(axis=-1)
    assert spread[105, 55] > 1.5 * spread[0, 0]
    assert "The scale ends at 8" in page.text and "Colour scale from 0 to 8." in page.plots()


def test_a_run_without_std_says_so(page_of):
    before = picture((9, 9))
    page = page_of(before, restored(before, method="map", samples=before[:0].reshape(0, 9, 9)))
    assert "This run of map gave no standard deviation" in page.text
    assert "Restored is the estimate." in page.text and "Posterior samples" not in page.text


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
    assert page.images()["Restored picture"].shape == (330, 330, 3)


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
    (alt,) = (alt for alt in page.plots() if alt.startswith("A signal of"))
    assert alt == "A signal of 500 samples: data, posterior mean and 90% interval." and page.images() == {}
    assert ("Shown is the first channel" in page.text) == (len(shape) == 3)


def test_a_signals_band_is_its_90_percent_interval_and_missing_data_are_left_out():
    mean, std = np.sin(np.arange(50.0)), np.full(50, 0.2)
    seen = np.where(np.arange(50) % 5 == 0, np.nan, mean)
    plot = figures.signal_plot(mean, std, np.stack([mean + 1, mean + 2]), (np.arange(50.0), seen))
    (axes,) = plot.figure.axes
    (band,) = axes.collections
    corners = band.get_paths()[0].vertices
    assert {round(y - mean[round(x)], 6) for x, y in corners} == {-0.329, 0.329}
    *samples, data, centre = axes.lines
    assert len(samples) == 2 and np.isnan(data.get_ydata()).sum() == 10
    np.testing.assert_array_equal(centre.get_ydata(), mean)


def test_a_long_signal_makes_a_small_figure():
    noise = np.random.default_rng(0).standard_normal(20_000)
    plot = figures.signal_plot(noise, np.ones(20_000), None, (np.arange(20_000.0), noise))
    assert len(figures.to_svg(plot.figure, plot.description)) < 800_000


def test_a_figure_is_the_same_bytes_again():
    one, other = (figures.show(figures.trace_plot(TRACE)) for _ in range(2))
    assert one.uri == other.uri


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


def in_notebook(mean, std, **changes):
    return Page(notebook_html(restored(mean, std, **changes)))


@pytest.mark.parametrize("axis", [None, -1, 0])
def test_a_notebook_shows_picture_map_and_one_line(axis):
    mean = picture((40, 50) if axis is None else (40, 50, 3))
    std = np.ones(mean.shape, np.float32)
    std[10:20, 10:20] = 5
    stored = (mean, std) if axis is None else [np.moveaxis(a, -1, axis) for a in (mean, std)]
    page = in_notebook(*stored, channel_axis=axis)
    (shown, spread), alts = page.images().values(), list(page.images())
    np.testing.assert_array_equal(shown, mean)
    assert alts[0] == "Restored" and alts[1].startswith("Standard deviation, from 0 (black) to 5")
    assert spread[15, 15].astype(int).sum() > spread[0, 0].astype(int).sum()
    assert (
        page.open == []
        and "(network 'shuffle'; 50 x 40 pixels; 1 min 15 s; mean std 1.2, not calibrated)." in page.text
    )
    assert "it was asked for & <is> slow" in page.text


def test_a_notebook_shows_the_middle_plane_of_a_volume():
    mean = picture((9, 30, 40))
    (shown, spread) = (
        (page := in_notebook(mean, np.ones(mean.shape, np.float32), channel_axis=None)).images().values()
    )
    np.testing.assert_array_equal(shown, mean[4])
    assert spread.shape == (30, 40, 3) and "plane 5 of 9" in page.text


def test_a_notebook_plots_a_signal():
    mean = np.linspace(-1, 1, 60)
    for array, axis in ((mean, None), (np.stack([mean, mean]), 0)):
        page = in_notebook(array, np.full(array.shape, 0.1, np.float32), channel_axis=axis)
        assert list(page.images()) == ["A signal of 60 samples: posterior mean and 90% interval."]


def test_a_notebook_leaves_out_the_map_where_there_is_no_std():
    page = in_notebook(picture((40, 50)), None)
    assert list(page.images()) == ["Restored"] and "mean std" not in page.text


def test_only_a_page_that_is_written_costs_matplotlib():
    modules = "bayesdip, bayesdip.report, bayesdip.report.facts, bayesdip.report.notebook"
    code = f"import sys, {modules}; print([m for m in ('matplotlib', 'jinja2', 'PIL') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
