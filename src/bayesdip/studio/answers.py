"""What the server answers, path by path."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from pathlib import Path
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from bayesdip.errors import BayesDipError, one_line
from bayesdip.io.encoding import READ_SUFFIXES, suffix_of
from bayesdip.methods import EFFORTS
from bayesdip.operators.resample import KINDS
from bayesdip.studio.access import REPORT_POLICY
from bayesdip.studio.aside import Aside
from bayesdip.studio.asked import METHODS, Asked
from bayesdip.studio.examples import EXAMPLES, write_example
from bayesdip.studio.limits import MOST_BYTES, MOST_PIXELS, MOST_SAMPLES, MOST_TEXT, Refused, check_bytes
from bayesdip.studio.looking import look, look_at_mask, look_at_psf
from bayesdip.studio.planner import Planner
from bayesdip.studio.prior import look_at_prior
from bayesdip.studio.run_queue import Run, RunQueue
from bayesdip.studio.sent_file import SentFile
from bayesdip.studio.shown import pixel
from bayesdip.studio.visits import Visit, Visits

LOG = logging.getLogger("bayesdip.studio")
Answer = Callable[[Request], Awaitable[Response]]
# Endings that files may have; what a file is, its content says.
ENDINGS = READ_SUFFIXES
# What may be loaded of a run's folder.
SHOWN = re.compile(r"(mean|before|std|spread|comparison|sample\d{1,3})\.png|std\.tif")


def safely(answer: Answer) -> Answer:
    """Turn what is refused into a JSON answer with one line."""

    @wraps(answer)
    async def wrapped(request: Request) -> Response:
        try:
            return await answer(request)
        except Refused as error:
            return JSONResponse({"error": one_line(error)}, error.status)
        except BayesDipError as error:
            return JSONResponse({"error": one_line(error)}, 400)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception:
            LOG.exception("a defect of the page: please report it")
            return JSONResponse(
                {"error": "a defect of the program: its terminal shows the traceback; please report it"}, 500
            )

    return wrapped


class Answers:
    """The answers, with what they share.

    Parameters
    ----------
    visits : Visits
    queue : RunQueue
    aside : Aside
    lab : Path
        Folder of the lab's results.
    planner : Planner
    """

    def __init__(self, visits: Visits, queue: RunQueue, aside: Aside, lab: Path, planner: Planner) -> None:
        self._visits, self._queue, self._aside, self._lab = visits, queue, aside, lab
        self._planner = planner

    def routes(self) -> list[Route]:
        """Every path under ``/api``."""
        visit = "/api/visit/{visit}"
        run = visit + "/run/{run}"
        table: list[tuple[str, str, Answer]] = [
            ("GET", "/api/choices", self.choices),
            ("GET", "/api/lab", self.lab),
            ("GET", "/api/lab/{claim}.svg", self.lab_figure),
            ("POST", "/api/visit", self.new_visit),
            ("POST", visit + "/close", self.close),
            ("POST", visit + "/stay", self.stay),
            ("POST", visit + "/file", self.send_file),
            ("POST", visit + "/mask", self.choose_mask),
            ("POST", visit + "/example/{example}", self.take_example),
            ("GET", visit + "/file/{file}", self.show_file),
            ("POST", visit + "/prior", self.show_prior),
            ("GET", visit + "/prior/{name}", self.show_draw),
            ("POST", visit + "/plan", self.plan),
            ("POST", visit + "/run", self.begin),
            ("GET", run, self.state),
            ("POST", run + "/stop", self.stop),
            ("GET", run + "/pixel", self.show_pixel),
            ("GET", run + "/report", self.report),
            ("GET", run + "/picture", self.picture),
            ("GET", run + "/given/{role}", self.given),
            ("GET", run + "/shown/{name}", self.shown),
        ]
        return [Route(path, safely(answer), methods=[method]) for method, path, answer in table]

    async def choices(self, request: Request) -> Response:
        """What there is to choose, and the limits."""
        examples = {key: {"title": one.title, "task": one.task} for key, one in EXAMPLES.items()}
        return JSONResponse(
            {
                "methods": METHODS,
                "efforts": EFFORTS,
                "kinds": KINDS,
                "examples": examples,
                "endings": ENDINGS,
                "limits": {"bytes": MOST_BYTES, "pixels": MOST_PIXELS, "samples": MOST_SAMPLES},
            }
        )

    async def new_visit(self, request: Request) -> Response:
        return JSONResponse({"visit": self._visits.new()})

    async def close(self, request: Request) -> Response:
        self._visits.close(request.path_params["visit"])
        return Response(status_code=204)

    async def stay(self, request: Request) -> Response:
        """A sign of life; says whether runs go on when the tab is closed."""
        visit = self._visit(request)
        visit.detached = bool((await _json(request)).get("detached", False))
        return JSONResponse({"runs": list(visit.runs)})

    async def send_file(self, request: Request) -> Response:
        """Take a file, look at it, and say what it is; ``role`` is picture, mask or psf."""
        visit = self._visit(request)
        role, name = request.query_params.get("role", "picture"), _name(request.query_params.get("name", ""))
        path = await _received(request, visit.folder, suffix_of(name))
        return JSONResponse(await self._kept(visit, role, name, path))

    async def take_example(self, request: Request) -> Response:
        """Make an example's files as if they had been sent."""
        visit, key = self._visit(request), request.path_params["example"]
        if key not in EXAMPLES:
            raise Refused("there is no such example", 404)
        example, paths = EXAMPLES[key], [visit.folder / f"{secrets.token_hex(8)}.png" for _ in range(2)]
        has_second = await self._aside.do(write_example, key, *paths)
        role = {"inpaint": "mask", "deblur": "psf"}.get(example.task, "")
        found = {"task": example.task, "options": example.options}
        found["picture"] = await self._kept(visit, "picture", f"{key}.png", paths[0])
        if has_second:
            name = f"{key}-{role}.png"
            found[role] = await self._kept(visit, role, name, paths[1])
        return JSONResponse(found)

    async def _kept(self, visit: Visit, role: str, name: str, path: Path) -> dict[str, Any]:
        if role not in ("picture", "mask", "psf"):
            path.unlink(missing_ok=True)
            raise Refused(f"role is {role[:20]!r}: expected picture, mask or psf")
        key = secrets.token_urlsafe(9)
        facts: dict[str, Any] = {}
        try:
            if role != "mask":  # a mask is looked at beside its picture
                facts = await self._aside.do(look if role == "picture" else look_at_psf, path, _png(path))
        except BayesDipError as error:
            path.unlink(missing_ok=True)
            raise type(error)(*_said(error, path, name)) from None
        visit.keep(key, SentFile(path, name, facts))
        return {"file": key, "name": name, **facts}

    async def choose_mask(self, request: Request) -> Response:
        """Look at a mask beside its picture: what is missing, and whether that is doubtful."""
        visit, given = self._visit(request), await _json(request)
        mask, picture = visit.file(str(given.get("mask"))), visit.file(str(given.get("picture")))
        invert = bool(given.get("invert", False))
        try:
            facts = await self._aside.do(look_at_mask, mask.path, picture.path, invert, _png(mask.path))
        except BayesDipError as error:
            raise type(error)(*_said(error, mask.path, mask.name)) from None
        return JSONResponse(facts)

    async def show_file(self, request: Request) -> Response:
        """A file as it was sent (``?as=sent``), or as the browser shows it."""
        file = self._visit(request).file(request.path_params["file"])
        if request.query_params.get("as") == "sent":
            return FileResponse(file.path, filename=file.name)
        return _picture(_png(file.path))

    async def show_prior(self, request: Request) -> Response:
        visit, given = self._visit(request), await _json(request)
        text, width, seed = str(given.get("arch", "skip"))[:500], given.get("width", 32), given.get("seed", 0)
        if not (isinstance(width, int) and isinstance(seed, int)):
            raise Refused("width and seed: expected whole numbers")
        return JSONResponse(await self._aside.do(look_at_prior, text, width, seed, visit.folder))

    async def show_draw(self, request: Request) -> Response:
        name = request.path_params["name"]
        if not re.fullmatch(r"(network|process)\d\.png", name):
            raise Refused("there is no such draw", 404)
        return _picture(self._visit(request).folder / name)

    async def plan(self, request: Request) -> Response:
        """What would run, why, and about how long; empty where only Start says it."""
        visit, given = self._visit(request), await _json(request)
        asked = Asked.of(given, visit.files)
        facts = visit.file(str(given["picture"])).facts
        pixels = facts["width"] * facts["height"] * (asked.factor**2 if asked.task == "upscale" else 1)
        return JSONResponse(await self._planner.ask(visit.folder, asked, pixels))

    async def begin(self, request: Request) -> Response:
        """Put a run in the line."""
        visit, given = self._visit(request), await _json(request)
        run = visit.begin(Asked.of(given, visit.files), self._queue)
        self._planner.give_way()
        return JSONResponse({"run": run})

    async def state(self, request: Request) -> Response:
        """Where a run stands."""
        run = self._run(request)
        found = {"state": run.state, "place": self._queue.place_of(run), "stopping": run.stopping}
        if run.is_over:
            last = (
                {"result": run.read("result.json")}
                if run.state == "done"
                else {"failed": run.read("failed.json")}
            )
        else:
            last = {"progress": run.read("state.json")}
        return JSONResponse(found | last)

    async def stop(self, request: Request) -> Response:
        self._queue.stop(self._run(request))
        return JSONResponse({})

    async def show_pixel(self, request: Request) -> Response:
        run, query = self._run(request), request.query_params
        try:
            row, column = int(query.get("row", "")), int(query.get("column", ""))
            return JSONResponse(await asyncio.to_thread(pixel, run.folder, row, column))
        except (ValueError, IndexError):
            raise Refused("there is no such pixel", 404) from None

    async def report(self, request: Request) -> Response:
        path = self._run(request).folder / "report" / "report.html"
        if not path.exists():
            raise Refused("this run has no report", 404)
        return FileResponse(path, headers={"content-security-policy": REPORT_POLICY})

    async def picture(self, request: Request) -> Response:
        """The restored picture, as a file to keep."""
        run = self._run(request)
        path = run.folder / run.asked.restored
        if not path.exists():
            raise Refused("this run has no picture yet", 404)
        return FileResponse(path, filename=run.asked.restored)

    async def given(self, request: Request) -> Response:
        """A file that the run was given, by the name that its command has for it."""
        run, role = self._run(request), request.path_params["role"]
        file, name = run.asked.files().get(role, ("", ""))
        path = run.folder.parent / file
        if not file or not path.exists():
            raise Refused("this file is no longer here", 404)
        return FileResponse(path, filename=name)

    async def shown(self, request: Request) -> Response:
        run, name = self._run(request), request.path_params["name"]
        if not SHOWN.fullmatch(name):
            raise Refused("there is no such file", 404)
        if name == "std.tif":
            return FileResponse(run.folder / name, filename=run.asked.std)
        return _picture(run.folder / name)

    async def lab(self, request: Request) -> Response:
        """The claims with their verdicts, from the results that are kept."""
        from bayesdip.studio.lab import claims

        return JSONResponse(await self._aside.do(claims, self._lab))

    async def lab_figure(self, request: Request) -> Response:
        from bayesdip.studio.lab import figure

        svg = await self._aside.do(partial(figure, self._lab), request.path_params["claim"])
        return Response(
            svg,
            media_type="image/svg+xml",
            headers={"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"},
        )

    def _visit(self, request: Request) -> Visit:
        return self._visits.get(request.path_params["visit"])

    def _run(self, request: Request) -> Run:
        return self._visit(request).run(request.path_params["run"])


async def _json(request: Request) -> dict[str, Any]:
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > MOST_TEXT:
            raise Refused("the request is too long", 413)
    try:
        found = json.loads(data or b"{}")
    except ValueError:
        raise Refused("the request is no JSON") from None
    if not isinstance(found, dict):
        raise Refused("the request is no JSON object")
    return found


async def _received(request: Request, folder: Path, ending: str) -> Path:
    """Write what comes in to a file of our own naming; one that is too large is given up as soon as that is known."""
    check_bytes(int(request.headers.get("content-length", "0") or 0))
    path = folder / f"{secrets.token_hex(8)}{ending if ending in ENDINGS else '.bin'}"
    size = 0
    try:
        with path.open("wb") as file:
            async for part in request.stream():
                size += len(part)
                check_bytes(size)
                file.write(part)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _name(given: str) -> str:
    """A visitor's name for a file: without folders, and of a length that file systems take."""
    name = re.split(r"[/\\]", given)[-1].strip().lstrip(".-")
    name = "".join(letter for letter in name if letter.isprintable())
    return name[-100:] or "picture.png"


def _said(error: BayesDipError, path: Path, name: str) -> tuple[Any, ...]:
    """An error's words with the visitor's name of the file in place of ours."""
    text = str(error).replace(str(path), name).replace(path.name, name)
    return (text, error.status) if isinstance(error, Refused) else (text,)


def _png(path: Path) -> Path:
    return path.with_name(f"{path.stem}-shown.png")


def _picture(path: Path) -> Response:
    if not path.exists():
        raise Refused("there is no such picture yet", 404)
    return FileResponse(path, media_type="image/png", headers={"cache-control": "no-store"})
