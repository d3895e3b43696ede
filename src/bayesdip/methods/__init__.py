"""The methods by name, and the one that suits a problem.

A method is an object with its own options: ``SGLD(chains=4)``, ``GP(kernel="matern32")``, ``Patches()``. A string is
that object with its defaults.
"""

from __future__ import annotations

from bayesdip.methods.choice import Choice, choose
from bayesdip.methods.gp import GP
from bayesdip.methods.map import MAP
from bayesdip.methods.method import EFFORTS, Method
from bayesdip.methods.patches import Patches
from bayesdip.methods.registry import METHODS, NAMES, create
from bayesdip.methods.sgld import SGLD
from bayesdip.methods.stack import Stack

__all__ = [
    "EFFORTS",
    "GP",
    "MAP",
    "METHODS",
    "NAMES",
    "SGLD",
    "Choice",
    "Method",
    "Patches",
    "Stack",
    "choose",
    "create",
]
