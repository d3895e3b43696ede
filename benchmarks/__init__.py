"""The tables and the timings: what is claimed, as commands that anyone can run.

A benchmark is a function ``(Run) -> None`` that adds rows to a result as it goes, so that a
run that was cut off can be taken up again. Two things are compared in one run on one machine.
"""
