"""``--resume DIR``: the result of a run is kept, and taken from there when the same is asked again.

The folder holds what :meth:`bayesdip.Restoration.save` writes and ``request.json``, which says what was asked. While
a run goes on, and after it was interrupted or killed, it holds checkpoints, from which the same run goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bayesdip import __version__
from bayesdip.arrays import fingerprint
from bayesdip.errors import BayesDipError
from bayesdip.io import Picture, atomic_write
from bayesdip.result import Restoration
from bayesdip.resuming import OtherRequestError, going_on, is_checkpoint, remove_checkpoints

REQUEST = "request.json"
KEPT = ("restoration.npz", "restoration.json", REQUEST)
CHECKPOINTS = "checkpoints"


def request_of(task: str, picture: Picture, asked: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """All that decides the result, as plain JSON values; the device is only where it is computed."""
    decisive = {name: value for name, value in options.items() if name != "device"}
    request = {
        "version": __version__,
        "task": task,
        "input": fingerprint(picture.pixels),
        **asked,
        **decisive,
    }
    plain: dict[str, Any] = json.loads(json.dumps(request))
    return plain


@dataclass(frozen=True)
class SavedRun:
    """The folder of ``--resume`` and what is asked of it."""

    folder: Path
    request: dict[str, Any]
    force: bool = False

    def load(self) -> Restoration | None:
        """The finished restoration of this very request, if the folder holds it.

        Raises
        ------
        BayesDipError
            It holds another one, or one that cannot be read, and ``force`` is not set.
        """
        if not any((self.folder / name).exists() for name in KEPT):
            return None
        try:
            there = json.loads((self.folder / REQUEST).read_text(encoding="utf-8"))
            differing = [key for key in {**there, **self.request} if there.get(key) != self.request.get(key)]
        except (OSError, ValueError, AttributeError, TypeError) as error:
            self._refuse(f"holds a restoration without a readable {REQUEST} ({type(error).__name__})")
            return None
        if differing:
            words = ", ".join(
                f"{key} is {there.get(key)!r} there, {self.request.get(key)!r} here"
                for key in sorted(differing)[:3]
            )
            self._refuse(f"holds the result of another request ({words})")
            return None
        try:
            found = Restoration.load(self.folder)
        except BayesDipError:
            if self.force:
                return None
            raise
        return None if found.stopped == "interrupted" else found

    @property
    def has_checkpoints(self) -> bool:
        """Whether a run that did not end has left checkpoints."""
        return any(map(is_checkpoint, self._checkpoints.glob("*")))

    def carry_out(self, run: Callable[[Path], Restoration]) -> Restoration:
        """What a run gives that keeps its checkpoints where it is told; ``force`` replaces those of another request."""
        try:
            return going_on(self._checkpoints, run, self.force)
        except OtherRequestError as error:
            raise BayesDipError(f"{error}, or replace it with --force") from error

    @property
    def _checkpoints(self) -> Path:
        return self.folder / CHECKPOINTS

    def _refuse(self, given: str) -> None:
        if not self.force:
            raise BayesDipError(
                f"{self.folder} {given}: expected the same input and settings, or an empty folder; "
                "name another one, or replace it with --force"
            )

    def save(self, restoration: Restoration) -> None:
        """Save; the request last, so that it never stands beside a result that is not its own."""
        (self.folder / REQUEST).unlink(missing_ok=True)
        restoration.save(self.folder)
        with atomic_write(self.folder / REQUEST, force=True) as temporary:
            temporary.write_text(json.dumps(self.request, indent=1), encoding="utf-8")
        if restoration.stopped != "interrupted":
            remove_checkpoints(self._checkpoints)
