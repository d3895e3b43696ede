"""The process that `fuzz-readers` watches: atheris changes inputs so that they reach new lines of the readers.

``python -m benchmarks.fuzz_readers_worker FAILURES PROGRAM CORPUS [-FLAG=VALUE ...]``, the flags being those of libFuzzer,
which starts PROGRAM with others to make a corpus smaller.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

READERS = ["bayesdip.io", "bayesdip.resuming", "tifffile", "PIL", "zarr.core.metadata", "nibabel", "pydicom"]

with atheris.instrument_imports(include=READERS):
    from benchmarks import reader_inputs
    from benchmarks.malformed_files import Watch


def main() -> None:
    """Run until libFuzzer ends the process."""
    failures, program = Path(sys.argv.pop(1)), sys.argv.pop(1)
    warnings.simplefilter("ignore")
    logging.disable()
    watch, seen = Watch(), set[str]()
    with tempfile.TemporaryDirectory() as folder:
        for data in reader_inputs.sound():  # what is loaded late is loaded before anything is watched
            reader_inputs.outcome(Path(folder), data, watch)

        def attempt(data: bytes) -> None:
            if not data:
                return
            found = reader_inputs.outcome(Path(folder), data, watch)
            if found not in ("read", "refused") and found not in seen:
                seen.add(found)
                with failures.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"found": found, "input": data.hex()}) + "\n")

        atheris.Setup([program, *sys.argv[1:]], attempt)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
