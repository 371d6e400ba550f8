"""mien: facial expression recognition, from a data file to a labelled photo.

Importing it is cheap and has no side effects; torch is needed only by what trains.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
