"""The server of the page: from an address to a page that answers."""

from __future__ import annotations

import asyncio
import secrets
import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from bayesdip.errors import BayesDipError
from bayesdip.studio.access import Access, is_loopback
from bayesdip.studio.answers import Answers
from bayesdip.studio.aside import Aside, check_shared_memory
from bayesdip.studio.planner import Planner
from bayesdip.studio.run_queue import RunQueue
from bayesdip.studio.visits import Visits

PAGE = Path(__file__).parent / "page"
# Where the lab keeps its results unless told otherwise, as `bayesdip lab` does.
LAB = Path("benchmarks/lab")


def make_app(token: str = "", places: int | None = None, lab: Path = LAB) -> Starlette:
    """The page as an ASGI application.

    Parameters
    ----------
    token : str
        What a browser must bring along once; empty for a server that only this machine can reach.
    places : int, optional
        Runs at a time; by default one for each pair of cores.
    lab : Path
        Folder of the lab's results.

    Returns
    -------
    Starlette
    """
    queue = RunQueue(places)

    @asynccontextmanager
    async def running(app: Starlette) -> AsyncIterator[None]:
        with tempfile.TemporaryDirectory(prefix="bayesdip-studio-") as folder:
            aside, planning, visits = Aside(), Aside(), Visits(Path(folder), queue)
            app.state.visits = visits
            answers = Answers(visits, queue, aside, lab, Planner(planning, queue))
            app.routes[:0] = answers.routes()
            queue.prepare()
            sweeping = asyncio.create_task(visits.sweep())
            try:
                yield
            finally:
                sweeping.cancel()
                with suppress(asyncio.CancelledError):
                    await sweeping
                await queue.close()
                aside.close()
                planning.close()

    page = Mount("/", StaticFiles(directory=PAGE, html=True))
    app = Starlette(routes=[page], middleware=[Middleware(Access, token=token)], lifespan=running)
    app.state.queue = queue
    return app


def serve(
    host: str, port: int, say: Callable[[str], None], opened: Callable[[str], object] | None = None
) -> None:
    """Serve the page until Ctrl-C.

    Parameters
    ----------
    host : str
        ``"127.0.0.1"``, or an address that others can reach: then the token is needed that is said here.
    port : int
        0 takes a free one.
    say : callable
        Told the address, as one line, once the page answers.
    opened : callable, optional
        Called with the address then, to open it in a browser.

    Raises
    ------
    BayesDipError
        The address cannot be listened at, or this machine has no shared memory.
    """
    check_shared_memory()
    token = "" if is_loopback(host) else secrets.token_urlsafe(24)
    listening = _listening(host, port)
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{listening.getsockname()[1]}/" + (f"?token={token}" if token else "")
    config = uvicorn.Config(
        make_app(token), log_level="warning", access_log=False, timeout_graceful_shutdown=2
    )

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                say(address)
                if opened is not None:
                    opened(address)

    with suppress(KeyboardInterrupt):  # the way to end it
        Server(config).run(sockets=[listening])


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except (OSError, OverflowError) as error:
        raise BayesDipError(
            f"cannot listen at {host}, port {port} ({error}): expected a free port of this machine; give another --port or --host"
        ) from error
    return listening
