"""Checkpoints: what a run keeps in a folder, so that it goes on to the same result after it was killed."""

from bayesdip.resuming.run_folder import OtherRequestError, run_folder
from bayesdip.resuming.stages import Stage, Stages, kept, next_stage
from bayesdip.resuming.state import give_back, state_of

__all__ = [
    "OtherRequestError",
    "Stage",
    "Stages",
    "give_back",
    "kept",
    "next_stage",
    "run_folder",
    "state_of",
]
