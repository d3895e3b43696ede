"""What will run and about how long that takes, before it is started: found by beginning it."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

from bayesdip.cli.studio_run import prepared
from bayesdip.snapshot import Snapshot
from bayesdip.studio.asked import Asked

# Seconds after which the method alone is said.
PATIENCE = 4.0


class _Known(Exception):
    """Ends a run that was begun only to be asked."""


def plan(folder: Path, asked: Asked) -> dict[str, Any]:
    """The method, why it, and about how long it takes.

    Parameters
    ----------
    folder : Path
        The visitor's; nothing is written.
    asked : Asked

    Returns
    -------
    dict
        Plain JSON values: ``method``, ``why``, and ``seconds``, None where that is not known so early.

    Raises
    ------
    BayesDipError
        The run would be refused.
    """
    from bayesdip import io
    from bayesdip.cli.method import api_options

    found: dict[str, Any] = {"method": "", "why": "", "seconds": None}
    until = math.inf

    def note(snapshot: Snapshot) -> None:
        nonlocal until
        if snapshot.method and not found["method"]:
            found.update(method=snapshot.method, why=snapshot.why)
            until = time.monotonic() + PATIENCE
        if snapshot.estimate is not None:
            found["seconds"] = snapshot.estimate.seconds
        if snapshot.estimate is not None or time.monotonic() > until:
            raise _Known

    options, prepare = prepared(folder, folder, asked)
    work = prepare(io.read_picture(options.source))
    began = time.monotonic()
    try:
        work.run(**api_options(options), callback=note)
    except _Known:
        pass
    else:  # it was over before it could say
        found["seconds"] = time.monotonic() - began
    return found
