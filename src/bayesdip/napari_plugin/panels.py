"""The panels that napari shows: one for each task."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from magicgui.widgets import (
    CheckBox,
    ComboBox,
    Container,
    Label,
    LineEdit,
    PushButton,
    SpinBox,
    create_widget,
)
from napari.qt.threading import create_worker
from napari.utils import cancelable_progress
from napari.utils.notifications import show_error
from superqt.utils import ensure_main_thread

from bayesdip import api
from bayesdip.errors import BayesDipError, explanation
from bayesdip.methods import EFFORTS, NAMES
from bayesdip.napari_plugin.axes import Axes, Index
from bayesdip.napari_plugin.placement import finest, looks, mask_of, placed, with_samples
from bayesdip.napari_plugin.plane_run import Found, Job, Told, begin, carry_out
from bayesdip.operators.resample import KINDS
from bayesdip.report.pictures import COLOUR_MAP
from bayesdip.result import Restoration
from bayesdip.snapshot import Callback

IMAGE, LABELS = "napari.layers.Image", "napari.layers.Labels"
APART = "no"
# Of the bar: a part of one plane is seen, too.
STEPS = 1000


class Bar(cancelable_progress):
    """napari's own bar, whose *Cancel* ends the run at once."""

    def __init__(self, cancelled: Callable[[], None], text: str) -> None:
        super().__init__(total=STEPS, desc=text)
        self._cancelled = cancelled

    def cancel(self) -> None:
        super().cancel()
        self._cancelled()


class Panel(Container):
    """What the four panels share: the picture, the options, Start, Stop and Cancel, and what came of it.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    """

    task = ""
    verb = ""

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        self.picture = create_widget(annotation=IMAGE, label="picture")
        self.sigma = LineEdit(
            label="sigma",
            tooltip="standard deviation of the noise, in the picture's own scale; empty: found out",
        )
        self.method = ComboBox(label="method", choices=("auto", *NAMES))
        self.effort = ComboBox(label="effort", choices=EFFORTS, value="balanced")
        self.samples = SpinBox(label="samples", min=0, max=32, tooltip="posterior samples, to step through")
        self.volume = CheckBox(
            text="depth together, as a volume", tooltip="may take minutes; else plane by plane"
        )
        self.together = ComboBox(
            label="channels together",
            choices=(APART,),
            tooltip="an axis of channels that are restored together; else each by itself",
        )
        self.only_shown = CheckBox(
            text="only what is shown", tooltip="of the other axes: where the sliders stand"
        )
        self.start_button = PushButton(text="Start")
        self.stop_button = PushButton(text="Stop, keep the best so far", enabled=False)
        self.cancel_button = PushButton(text="Cancel", enabled=False)
        self.said = Label(value="")
        super().__init__(
            widgets=[
                self.picture,
                *self.own(),
                self.sigma,
                self.method,
                self.effort,
                self.samples,
                self.volume,
                self.together,
                self.only_shown,
                self.start_button,
                self.stop_button,
                self.cancel_button,
                self.said,
            ]
        )
        self.said.native.setWordWrap(True)
        self._stopped, self._cancelled = threading.Event(), threading.Event()
        self._is_telling, self._is_gone = threading.Event(), False
        self._worker: Any = None
        self._shown: Any = None
        self._bar: Any = None
        self.start_button.clicked.connect(self.start)
        self.stop_button.clicked.connect(self.stop)
        self.cancel_button.clicked.connect(self.cancel)
        self.picture.changed.connect(self._offer_axes)
        self.viewer.layers.selection.events.active.connect(self._follow)
        self.native.destroyed.connect(self._close)
        self._follow()

    def own(self) -> list[Any]:
        """The widgets of the task itself."""
        return []

    def call(self, layer: Any, axes: Axes) -> tuple[Any, dict[str, Any], int]:
        """The function of the task, its options for one index (those that are callable are given it), and the factor."""
        return getattr(api, self.task), {}, 1

    @property
    def is_running(self) -> bool:
        return self._worker is not None

    def start(self) -> None:
        """Restore, beside the viewer, which goes on."""
        if self.is_running:
            return
        layer = self.picture.value
        try:
            if layer is None:
                raise BayesDipError(
                    "no picture is chosen: expected an image layer; open one, and choose it above"
                )
            axes = self._axes(layer)
            job = self._job(layer, axes)
            found = begin(job)
        except BayesDipError as error:
            self._failed(error)
            return
        index = job.indices[0] if len(job.indices) == 1 else None
        where = placed(layer, axes, index, job.factor)
        self._stopped.clear()
        self._cancelled.clear()
        self._shown = None
        self._bar = Bar(self.cancel, f"{self.verb}: {layer.name}")
        tell = partial(self._tell, found, layer, where)
        self._worker = create_worker(carry_out, job, found, tell, self._is_stopped, _start_thread=False)
        self._worker.returned.connect(lambda _: self._done(found, layer, where))
        self._worker.errored.disconnect()  # what is wrong with the input is said on one line
        self._worker.errored.connect(self._failed)
        self._worker.finished.connect(self._over)
        self._buttons(True)
        self.said.value = ""
        self._worker.start()

    def stop(self) -> None:
        """End with the best so far."""
        self._stopped.set()

    def cancel(self) -> None:
        """End without a result."""
        self._cancelled.set()

    def _close(self) -> None:
        """The panel is gone: its run ends, and nothing is shown any more."""
        self._is_gone = True
        self.cancel()

    def _is_stopped(self) -> bool:
        return self._stopped.is_set() or self._cancelled.is_set()

    def _axes(self, layer: Any) -> Axes:
        channel = None if self.together.value == APART else str(self.together.value)
        shape = finest(layer).shape[: layer.ndim]
        return Axes.of(
            layer.axis_labels, shape, is_rgb=layer.rgb, volume=bool(self.volume.value), channel=channel
        )

    def _job(self, layer: Any, axes: Axes) -> Job:
        function, own, factor = self.call(layer, axes)
        shared: dict[str, Any] = {
            "sigma": _sigma(str(self.sigma.value)),
            "method": self.method.value,
            "effort": self.effort.value,
            "samples": self.samples.value or None,
            "channel_axis": axes.channel_axis,
        }

        def restore(plane: Any, index: Index, callback: Callback) -> Restoration:
            mine = {name: value(index) if callable(value) else value for name, value in own.items()}
            found: Restoration = function(plane, **mine, **shared, callback=callback)
            return found

        shown = None
        if self.only_shown.value:
            point = self.viewer.dims.point[-layer.ndim :]
            shown = [round(float(at)) for at in layer.world_to_data(point)]
        return Job(finest(layer), axes, axes.indices(shown), restore, factor)

    def _tell(self, found: Found, layer: Any, where: dict[str, Any], told: Told) -> None:
        """Called beside the viewer: one update waits at a time, because napari's bar answers events while it is set."""
        if not self._is_telling.is_set():
            self._is_telling.set()
            self._told(found, layer, where, told)

    @ensure_main_thread
    def _told(self, found: Found, layer: Any, where: dict[str, Any], told: Told) -> None:
        try:
            self._update(found, layer, where, told)
        finally:
            self._is_telling.clear()

    def _update(self, found: Found, layer: Any, where: dict[str, Any], told: Told) -> None:
        bar = self._bar
        if bar is not None and not self._is_gone:
            bar.set_description(f"{self.verb}: {layer.name}: {told.text}")
        if bar is None or self._bar is not bar:  # the run ended while the bar answered events
            return
        bar.update(max(0, round(STEPS * told.share) - bar.n))
        if self.is_running and told.pictures and not self._cancelled.is_set():
            self._show(found, layer, where)

    def _show(self, found: Found, layer: Any, where: dict[str, Any]) -> None:
        if self._shown is None:
            name = f"{layer.name} restored"
            self._shown = self.viewer.add_image(found.mean, name=name, **looks(layer), **where)
            self.viewer.layers.selection.active = layer
        self._shown.data = found.mean

    def _done(self, found: Found, layer: Any, where: dict[str, Any]) -> None:
        if self._is_gone:
            return
        if self._cancelled.is_set():
            if self._shown is not None and self._shown in self.viewer.layers:
                self.viewer.layers.remove(self._shown)
            self.said.value = "cancelled"
            return
        self._show(found, layer, where)
        self._shown.metadata["bayesdip"] = {"said": found.said, "settings": found.settings}
        if found.samples is not None:
            self.viewer.add_image(
                found.samples, name=f"{layer.name} samples", **looks(layer), **with_samples(where)
            )
        if found.std is not None:
            name = f"{layer.name} uncertainty"
            top = float(np.nanpercentile(found.std, 99.8)) or 1.0
            self.viewer.add_image(
                found.std, name=name, colormap=COLOUR_MAP, contrast_limits=(0, top), visible=False, **where
            )
        self.viewer.layers.selection.active = self._shown
        self.said.value = "\n".join(found.said)

    def _failed(self, error: Exception) -> None:
        text = explanation(error)
        if text is None:
            raise error
        if not self._is_gone:
            self.said.value = text
        show_error(text)

    def _over(self) -> None:
        self._worker = None
        if self._bar is not None:
            self._bar.close()
        self._bar = None
        if not self._is_gone:
            self._buttons(False)

    def _buttons(self, running: bool) -> None:
        self.start_button.enabled = not running
        self.stop_button.enabled = self.cancel_button.enabled = running

    def _follow(self, event: Any = None) -> None:
        """The selected layer is the picture, if it is one."""
        if self._is_gone:
            return
        active = self.viewer.layers.selection.active
        if active in self.picture.choices and not self.is_running:
            self.picture.value = active
        self._offer_axes()

    def _offer_axes(self, event: Any = None) -> None:
        layer = self.picture.value
        names: tuple[str, ...] = ()
        if layer is not None and layer.ndim > 2:
            axes = Axes.of(layer.axis_labels, finest(layer).shape[: layer.ndim], is_rgb=layer.rgb)
            names = tuple(layer.axis_labels[axis] for axis in axes.independent)
        self.together.choices = (APART, *(() if layer is not None and layer.rgb else names))
        self.volume.enabled = self.only_shown.enabled = bool(names)
        if not names:
            self.volume.value = self.only_shown.value = False


class DenoisePanel(Panel):
    """Remove noise."""

    task, verb = "denoise", "Remove noise"


class InpaintPanel(Panel):
    """Fill in missing pixels: where a labels layer is not zero, and NaN."""

    task, verb = "inpaint", "Fill in missing pixels"

    def own(self) -> list[Any]:
        self.mask = create_widget(annotation=LABELS, label="missing", options={"nullable": True})
        self.mask.tooltip = (
            "labels: where they are not zero, the picture is missing; without them, where it is NaN"
        )
        return [self.mask]

    def call(self, layer: Any, axes: Axes) -> tuple[Any, dict[str, Any], int]:
        if self.mask.value is None:
            return api.inpaint, {}, 1
        mask = mask_of(self.mask.value, layer)
        return api.inpaint, {"mask": lambda index: mask[axes.place(index)]}, 1


class UpscalePanel(Panel):
    """Restore the large picture of which this is a small version."""

    task, verb = "upscale", "Enlarge"

    def own(self) -> list[Any]:
        self.factor = SpinBox(label="factor", min=2, max=8, value=2)
        self.kind = ComboBox(label="made small by", choices=KINDS)
        return [self.factor, self.kind]

    def call(self, layer: Any, axes: Axes) -> tuple[Any, dict[str, Any], int]:
        factor = int(self.factor.value)
        return api.upscale, {"factor": factor, "kind": self.kind.value}, factor


class DeblurPanel(Panel):
    """Undo a known blur."""

    task, verb = "deblur", "Remove a known blur"

    def own(self) -> list[Any]:
        self.psf = create_widget(annotation=IMAGE, label="blurred point")
        self.psf.tooltip = "a picture of one bright point, blurred (the point spread function)"
        return [self.psf]

    def call(self, layer: Any, axes: Axes) -> tuple[Any, dict[str, Any], int]:
        point = self.psf.value
        if point is None or point is layer:
            raise BayesDipError(
                "the blurred point is not chosen: expected an image layer with a picture of one bright point; open one, and choose it"
            )
        psf = np.asarray(finest(point), dtype=float)
        return api.deblur, {"psf": psf.mean(axis=-1) if point.rgb else psf}, 1


def _sigma(text: str) -> Any:
    """Empty, ``"auto"``, a number, or one for each channel."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        return None
    if words == ["auto"]:
        return "auto"
    try:
        numbers = tuple(float(word) for word in words)
    except ValueError:
        raise BayesDipError(
            f"sigma is {text[:40]!r}: expected a number, numbers with commas between them, or nothing; write it again"
        ) from None
    return numbers[0] if len(numbers) == 1 else numbers
