"""Checkpoints: what a run keeps in a folder, so that it goes on to the same result after it was killed."""

from bayesdip.resuming.folder import InUseError, OtherRequestError, going_on, remove_checkpoints, run_folder
from bayesdip.resuming.stages import Stage, Stages, is_checkpoint, keeps_stages, kept, next_stage
from bayesdip.resuming.state import give_back, state_of

__all__ = [
    "InUseError",
    "OtherRequestError",
    "Stage",
    "Stages",
    "give_back",
    "going_on",
    "is_checkpoint",
    "keeps_stages",
    "kept",
    "next_stage",
    "remove_checkpoints",
    "run_folder",
    "state_of",
]
