"""How steps change over a course that runs from 0 to 1. Shares and not step counts: a time budget sets the count."""

from __future__ import annotations

import math

# Welling and Teh (ICML 2011), section 5.1: steps a (b + t)^-0.55; the exponent must lie in (0.5, 1].
SGLD_DECAY = 0.55
# The offset b, as a share of the course: the first steps are nearly alike, the last a quarter of them.
SGLD_OFFSET = 0.1
# Zhang et al. (ICLR 2020): some cycles in a run; the first part of each is without noise, to explore.
CYCLES = 4
EXPLORING = 0.25
# Share of each cycle from which on its pictures count: the noise comes back at `EXPLORING` and needs time.
COUNTED_FROM = 0.5


def polynomial(course: float) -> float:
    """Step over the first step: ``(1 + course / b)^-0.55`` with b a tenth of the course."""
    return float((1 + course / SGLD_OFFSET) ** -SGLD_DECAY)


def place_in_cycle(course: float) -> float:
    """Where in its cycle a run stands, 0 to 1; the last cycle ends at 1."""
    return (course * CYCLES) % 1.0 if course < 1 else 1.0


def cosine(place: float) -> float:
    """Step over the first step of the cycle: ``(cos(pi place) + 1) / 2`` (Zhang et al. 2020, eq. 1)."""
    return 0.5 * (math.cos(math.pi * place) + 1)
