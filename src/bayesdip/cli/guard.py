"""From whatever goes wrong to one line on standard error and an exit code; never a traceback.

A traceback is still shown for what nobody foresaw: that is a defect, and has to be reported.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from contextvars import ContextVar
from typing import Any, TextIO, cast

import typer
from typer.core import TyperGroup

from bayesdip.errors import NoResultError, explanation, one_line

# FAILED is of `batch` alone: some pictures could not be restored, the others were.
DONE, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130
# Verbs with one input and one output.
ONE_PICTURE = ("denoise", "inpaint", "upscale", "deblur")
# Set by the shell when it asks for completions.
COMPLETING = "_BAYESDIP_COMPLETE"
# The command line as it was typed, for the report to repeat it.
TYPED: ContextVar[tuple[str, ...]] = ContextVar("typed", default=())


class OneLineGroup(TyperGroup):
    """A command group whose every error is one line."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> Any:
        """Run, then leave with 0, 2 (an error) or 130 (interrupted before there was a result)."""
        if os.environ.get(COMPLETING):
            return super().main(args, *rest, **options)  # the exit code 1 tells fish to offer files
        words = list(sys.argv[1:] if args is None else args)
        options["standalone_mode"] = False  # errors come to us instead of being printed
        TYPED.set(tuple(words))
        run = super().main
        with redirect_stderr(cast(TextIO, MayBeUnread(sys.stderr))):
            try:
                code = exit_code(lambda: run(words, *rest, **options), wants_json="--json" in words)
                sys.stdout.flush()
            except BrokenPipeError:
                code = reader_gone()
        sys.exit(code)


class MayBeUnread:
    """Standard error, silent once its reader has gone away: what was asked for is done all the same.

    Parameters
    ----------
    stream : text stream
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text; gives its length."""
        with self._silent_if_unread():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Send what was written."""
        with self._silent_if_unread():
            self._stream.flush()

    @contextmanager
    def _silent_if_unread(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            to_nobody(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class DenoisesByDefault(TyperGroup):
    """A command group whose first word may be left out: ``denoise`` is meant then."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the verb in front where it is not named."""
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["denoise", *args]
        return super().parse_args(ctx, args)


def exit_code(run: Callable[[], Any], *, wants_json: bool = False) -> int:
    """Call ``run`` and tell what went wrong, if anything did.

    Parameters
    ----------
    run : callable
        What it returns counts as the exit code if it is an int.
    wants_json : bool
        Say the error on standard output too, as a JSON object.
    """
    try:
        returned = run()
    except BrokenPipeError:
        return reader_gone()
    except SystemExit as left:
        # Typer leaves so, with 1, when nobody reads the output any more.
        if left.code == 1:
            return reader_gone()
        raise
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted(wants_json)
    except NoResultError as error:
        if error.reason == "interrupted":
            return _interrupted(wants_json)
        return _refuse(error, str(error), wants_json)
    except Exception as error:
        text = explained(error)
        if text is None:
            raise
        return _refuse(error, text, wants_json)
    # Newer versions of Typer turn an interrupt into this exit code by themselves.
    if returned == INTERRUPTED:
        return _interrupted(wants_json)
    return returned if isinstance(returned, int) else DONE


def reader_gone() -> int:
    """Go on without a reader of the output, such as ``head``: what was asked for is done, and nothing is told."""
    to_nobody(sys.stdout)
    return DONE


def to_nobody(stream: TextIO) -> None:
    """From now on, what is written to a stream goes nowhere."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def explained(error: Exception) -> str | None:
    """What to tell the user about an error; None if it is a defect of the program."""
    text = explanation(error)
    if text is not None:
        return text
    # A usage error of Typer: its class has another home in every version of Typer.
    format_message = getattr(error, "format_message", None)
    if callable(format_message):
        path = getattr(getattr(error, "ctx", None), "command_path", "bayesdip")
        said = str(format_message()).rstrip(".")
        verb = path.split()[-1]
        if "unexpected extra argument" in said and verb in ONE_PICTURE:
            return (
                f"{said}: '{path}' takes one picture; for several: bayesdip batch {verb} 'in/*.png' -o out/"
            )
        return f"{said}: '{path} --help' tells what is expected"
    return None


def _refuse(error: Exception, text: str, wants_json: bool) -> int:
    line = one_line(text)
    print(f"bayesdip: error: {line}", file=sys.stderr)
    if wants_json:
        print(json.dumps({"error": {"type": type(error).__name__, "message": line}}))
    return REFUSED


def _interrupted(wants_json: bool) -> int:
    print("bayesdip: interrupted before there was a result", file=sys.stderr)
    if wants_json:
        print(
            json.dumps({"error": {"type": "Interrupted", "message": "interrupted before there was a result"}})
        )
    return INTERRUPTED
