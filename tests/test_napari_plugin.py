"""The panels of napari: axes, masks and places are napari's, and what comes out is what ``bd`` gives."""

from __future__ import annotations

import os
import time
import tomllib
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import bayesdip as bd
from bayesdip.errors import BayesDipError
from bayesdip.napari_plugin.axes import Axes
from bayesdip.napari_plugin.plane_run import Job, begin, carry_out

ROOT = Path(__file__).parents[1]
NAMED = ("t", "c", "z", "y", "x")
SHAPE = (2, 3, 4, 5, 6)


def pytest_generate_tests(metafunc):
    if "panel_name" in metafunc.fixturenames:
        metafunc.parametrize("panel_name", ["DenoisePanel", "InpaintPanel", "UpscalePanel", "DeblurPanel"])


def test_planes_are_restored_one_after_the_other_unless_depth_or_channels_belong_together():
    plain = Axes.of(NAMED, SHAPE)
    assert (plain.grid, plain.independent, plain.channel_axis) == ((3, 4), (0, 1, 2), None)
    assert len(plain.indices()) == 24
    assert plain.indices((1, 2, 9, 0, 0)) == [(1, 2, 3)]  # a slider that stands beyond the end
    volume = Axes.of(NAMED, SHAPE, volume=True, channel="c")
    assert (volume.grid, volume.independent, volume.channel_axis) == ((2, 3, 4), (0,), 0)
    unnamed = Axes.of(("axis -3", "axis -2", "axis -1"), (7, 5, 6), volume=True)
    assert (unnamed.grid, unnamed.independent) == ((0, 1, 2), ())
    turned = Axes.of(("y", "x", "c"), (5, 6, 3), channel="c")
    assert (turned.grid, turned.channel_axis) == ((0, 1), 2)
    assert Axes.of(("y", "x"), (5, 6), is_rgb=True).channel_axis == -1


@pytest.mark.parametrize("wrong", [{"volume": True}, {"channel": "c"}, {"channel": "y"}])
def test_axes_that_are_not_there_are_refused_in_one_line(wrong):
    with pytest.raises(BayesDipError, match=r"ax[ei]s "):
        Axes.of(("y", "x"), (5, 6), **wrong)


def test_a_stack_is_restored_as_each_plane_by_itself_would_be():
    rng = np.random.default_rng(0)
    stack = (100 + 50 * np.sin(np.arange(32) / 5) + rng.normal(0, 10, (3, 32, 32))).astype(np.uint8)

    def restore(plane, index, callback):
        return bd.denoise(plane, 10, method="patches", effort="fast", callback=callback)

    axes = Axes.of(("z", "y", "x"), stack.shape)
    job = Job(stack, axes, axes.indices(), restore)
    found, shares = begin(job), []
    carry_out(job, found, lambda told: shares.append(told.share), lambda: False)
    assert found.done == 3 and shares == sorted(shares) and shares[0] >= 0 and shares[-1] <= 1
    for plane, mean, std in zip(stack, found.mean, found.std, strict=True):
        alone = restore(plane, (), None)
        assert np.array_equal(alone.mean, mean) and np.array_equal(alone.std, std)


def test_a_result_finer_than_the_levels_of_its_layer_is_kept_in_real_numbers():
    levels = np.random.default_rng(0).normal(100, 2, (2, 24, 24)).round().astype(np.uint8)
    axes = Axes.of(("z", "y", "x"), levels.shape)
    job = Job(
        levels,
        axes,
        axes.indices(),
        lambda plane, index, callback: bd.denoise(plane, 2, method="patches", effort="fast"),
    )
    found = begin(job)
    carry_out(job, found, lambda told: None, lambda: False)
    alone = bd.denoise(levels[1], 2, method="patches", effort="fast").mean
    assert alone.dtype.kind == "f" and np.array_equal(found.mean[1], alone)


def test_a_stack_that_is_stopped_keeps_what_is_done_and_says_so():
    stack = np.random.default_rng(0).normal(0, 1, (3, 16, 16)).astype(np.float32)
    axes, done = Axes.of(("z", "y", "x"), stack.shape), []

    def restore(plane, index, callback):
        run = bd.denoise(plane, 1, method="patches", effort="fast", callback=callback)
        done.append(index)
        return run

    job = Job(stack, axes, axes.indices(), restore)
    found = begin(job)
    carry_out(job, found, lambda told: None, lambda: bool(done))
    assert found.done == 1 and done == [(0,)]
    assert np.array_equal(found.mean[1:], stack[1:]) and not np.array_equal(found.mean[0], stack[0])
    assert np.isnan(found.std[1:]).all()
    assert any("1 of 3 planes" in line for line in found.said)


@pytest.fixture(scope="module")
def napari():
    pytest.importorskip("napari", reason="napari is not installed: pip install 'bayesdip[napari]'")
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    pytest.importorskip("qtpy.QtWidgets", reason="no Qt is installed", exc_type=ImportError)
    import napari
    import napari._vispy.utils.gl as graphics

    if os.environ["QT_QPA_PLATFORM"] == "offscreen":  # which has no OpenGL to ask
        graphics.gl = SimpleNamespace(
            GL_EXTENSIONS=1, GL_MAX_TEXTURE_SIZE=2, glGetParameter=lambda name: "" if name == 1 else 2048
        )
    return napari


@pytest.fixture(scope="module")
def window(napari):
    viewer = napari.Viewer(show=False)
    yield viewer
    viewer.close()


@pytest.fixture
def viewer(window):
    yield window
    window.window.remove_dock_widget("all")
    window.layers.clear()


def opened(viewer, name, **chosen):
    """A panel, as napari's menu opens it."""
    from bayesdip.napari_plugin import panels

    panel = getattr(panels, name)(viewer)
    viewer.window.add_dock_widget(panel)
    panel.effort.value, panel.method.value = "fast", "patches"
    for key, value in chosen.items():
        getattr(panel, key).value = value
    return panel


def over(panel):
    """The run has ended, and all that it told has arrived."""
    from qtpy.QtWidgets import QApplication

    until = time.monotonic() + 300
    while panel.is_running and time.monotonic() < until:
        QApplication.processEvents()
        time.sleep(0.005)
    assert not panel.is_running
    return panel


def wave(*shape, level=10.0):
    rng = np.random.default_rng(0)
    return 100 + 50 * np.sin(np.arange(shape[-1]) / 4) + rng.normal(0, level, shape)


def test_napari_finds_the_four_panels(napari):
    from npe2 import PluginManifest

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, _, file = project["entry-points"]["napari.manifest"]["bayesdip"].partition(":")
    manifest = PluginManifest.from_file(Path(import_module(module).__file__).with_name(file))
    commands = {command.id: command for command in manifest.contributions.commands}
    assert len(manifest.contributions.widgets) == 4
    for widget in manifest.contributions.widgets:
        module, _, name = commands[widget.command].python_name.partition(":")
        assert getattr(import_module(module), name).task == widget.command.removeprefix("bayesdip.")


def test_every_panel_opens_before_there_is_a_picture_and_says_what_is_missing(viewer, panel_name):
    panel = opened(viewer, panel_name)
    panel.start()
    assert "no picture is chosen" in panel.said.value and not panel.is_running


def test_the_selected_layer_is_restored_as_bd_does_and_the_result_lies_on_it(viewer):
    data = wave(32, 40).astype(np.uint16)
    viewer.add_image(wave(8, 8), name="other")
    layer = viewer.add_image(
        data,
        name="cells",
        scale=(0.5, 0.25),
        translate=(3, 4),
        rotate=30,
        units=("um", "um"),
        axis_labels=("y", "x"),
    )
    panel = opened(viewer, "DenoisePanel", sigma="10")
    assert panel.picture.value is layer
    panel.start()
    over(panel)
    alone = bd.denoise(data, 10, method="patches", effort="fast")
    restored, spread = viewer.layers["cells restored"], viewer.layers["cells uncertainty"]
    assert restored.data.dtype == np.uint16 and np.array_equal(restored.data, alone.mean)
    assert np.array_equal(spread.data, alone.std)
    for found in (restored, spread):
        assert found.units == layer.units and found.axis_labels == ("y", "x")
        for point in ((0, 0), (31, 39), (7, 11)):
            assert np.allclose(found.data_to_world(point), layer.data_to_world(point))
    assert np.array_equal(restored.contrast_limits, layer.contrast_limits)
    assert restored.metadata["bayesdip"]["settings"][0]["method"] == "patches"


def test_labels_are_the_mask_wherever_they_lie(viewer):
    data = wave(32, 32, level=0)
    damaged, missing = data.copy(), np.zeros((32, 32), bool)
    missing[10:13, 4:28] = True
    damaged[missing] = 0
    viewer.add_image(damaged, name="torn", scale=(2, 2), translate=(10, 20))
    finer = np.kron(
        missing, np.ones((2, 2), int)
    )  # drawn in pixels of half the size: their centres lie apart
    viewer.add_labels(np.pad(finer, ((4, 0), (0, 0))), name="scratch", translate=(10 - 0.5 - 4, 20 - 0.5))
    panel = opened(viewer, "InpaintPanel", picture=viewer.layers["torn"], mask=viewer.layers["scratch"])
    panel.start()
    over(panel)
    alone = bd.inpaint(damaged, missing, method="patches", effort="fast")
    assert np.allclose(viewer.layers["torn restored"].data, alone.mean, rtol=0, atol=1e-6)
    assert np.abs(alone.mean - data)[missing].max() < 10


def test_an_enlarged_picture_covers_the_same(viewer):
    layer = viewer.add_image(wave(16, 16, level=1), name="small", scale=(4, 2), translate=(7, 0))
    panel = opened(viewer, "UpscalePanel", factor=2)
    panel.start()
    over(panel)
    found = viewer.layers["small restored"]
    assert found.data.shape == (32, 32)
    assert np.allclose(found.extent.world[0] - found.scale / 2, layer.extent.world[0] - layer.scale / 2)
    assert np.allclose(found.data_to_world((0.5, 0.5)), layer.data_to_world((0, 0)))
    assert np.allclose(found.data_to_world((31.5, 31.5)), layer.data_to_world((15.5, 15.5)))


def test_colours_belong_together_and_opacity_stays(viewer):
    rng = np.random.default_rng(0)
    data = rng.integers(90, 130, (24, 24, 4)).astype(np.uint8)
    viewer.add_image(data, name="photo", rgb=True)
    panel = over_started(opened(viewer, "DenoisePanel", sigma="10"))
    found = viewer.layers["photo restored"]
    alone = bd.denoise(data[..., :3], 10, method="patches", effort="fast", channel_axis=-1)
    assert (
        found.rgb
        and found.data.dtype == np.uint8
        and np.array_equal(found.data[..., :3], np.rint(alone.mean))
    )
    assert np.array_equal(found.data[..., 3], data[..., 3])
    assert viewer.layers["photo uncertainty"].data.shape == (24, 24)
    assert panel.together.choices == ("no",)


def over_started(panel):
    panel.start()
    return over(panel)


def test_only_what_is_shown_lies_where_it_was(viewer):
    layer = viewer.add_image(wave(5, 24, 24), name="stack", scale=(3, 1, 1), axis_labels=("z", "y", "x"))
    viewer.dims.set_current_step(0, 3)
    over_started(opened(viewer, "DenoisePanel", sigma="10", only_shown=True, samples=2, method="gp"))
    found = viewer.layers["stack restored"]
    assert found.data.shape == (1, 24, 24)
    assert np.allclose(found.data_to_world((0, 5, 6)), layer.data_to_world((3, 5, 6)))
    film = viewer.layers["stack samples"]
    assert film.data.shape == (2, 1, 24, 24)
    assert np.allclose(film.data_to_world((0, 0, 5, 6))[1:], layer.data_to_world((3, 5, 6)))


def test_a_measured_blur_is_undone_and_a_missing_one_is_asked_for(viewer):
    viewer.add_image(wave(20, 20, level=1), name="blurred")
    panel = over_started(opened(viewer, "DeblurPanel"))
    assert "blurred point is not chosen" in panel.said.value
    viewer.add_image(np.outer([1, 2, 1], [1, 2, 1]) / 16, name="point")
    panel.picture.value, panel.psf.value = viewer.layers["blurred"], viewer.layers["point"]
    over_started(panel)
    assert "blurred restored" in viewer.layers and panel.said.value.startswith("patches")


def test_progress_stands_in_naparis_bar_and_cancel_leaves_nothing(viewer):
    from napari.utils import progress

    viewer.add_image(wave(40, 48, 48), name="long", axis_labels=("z", "y", "x"))
    panel = opened(viewer, "DenoisePanel", sigma="10")
    panel.start()
    (bar,) = progress._all_instances
    assert bar.total and panel.stop_button.enabled and not panel.start_button.enabled
    bar.cancel()
    over(panel)
    assert [layer.name for layer in viewer.layers] == ["long"]
    assert panel.said.value == "cancelled" and panel.start_button.enabled
    assert not progress._all_instances


def test_stop_keeps_what_is_done(viewer):
    viewer.add_image(wave(60, 48, 48), name="long", axis_labels=("z", "y", "x"))
    panel = opened(viewer, "DenoisePanel", sigma="10")
    panel.start()
    panel.stop()
    over(panel)
    assert "long restored" in viewer.layers or "stopped" in panel.said.value


def test_a_panel_that_is_closed_ends_its_run(viewer):
    from qtpy.QtCore import QCoreApplication, QEvent

    viewer.add_image(wave(400, 48, 48), name="long", axis_labels=("z", "y", "x"))
    panel = opened(viewer, "DenoisePanel", sigma="10")
    panel.start()
    viewer.window.remove_dock_widget(panel.native)
    panel.native.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    over(panel)
    assert [layer.name for layer in viewer.layers] == ["long"]


def test_what_cannot_be_done_is_said_in_one_line(viewer):
    viewer.add_image(wave(16, 16), name="a")
    panel = over_started(opened(viewer, "DenoisePanel", sigma="ten"))
    assert "sigma is 'ten'" in panel.said.value
    panel = over_started(opened(viewer, "InpaintPanel"))
    assert panel.said.value and "\n" not in panel.said.value and "a restored" not in viewer.layers
