"""Measurements behind every figure, one module each, in the same wings as the package: ``python -m bench.WING.NAME``.

Run from the repository's root; what is measured lies in results/. No part of the installed package.
"""
