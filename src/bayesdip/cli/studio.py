"""``bayesdip studio``: the page in the browser."""

from __future__ import annotations

import webbrowser

import typer

from bayesdip.errors import BayesDipError


def run(host: str, port: int, *, browse: bool) -> None:
    """Serve the page until Ctrl-C."""
    try:
        from bayesdip.studio.server import serve
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn", "anyio"):
            raise
        raise BayesDipError(
            f"the page needs {error.name}, which is not installed: pip install 'bayesdip[studio]'"
        ) from error
    serve(host, port, _said, webbrowser.open if browse else None)


def _said(address: str) -> None:
    typer.echo(f"bayesdip studio: {address}\nCtrl-C ends it; pictures that were sent are removed then.")
