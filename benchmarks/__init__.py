"""Quality and speed, measured by commands that anyone can run: ``python -m benchmarks NAME``.

A benchmark is a module of this package with a function ``run(results, options)``. Its name is the module's, with
hyphens. It saves each row as it comes, so that a run that was cut off continues from its file. What is compared is
measured in one run on one machine.
"""
