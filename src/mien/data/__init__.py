"""Faces as arrays: one checked record, the sources that end in it, a generator of stylised faces, and an audit."""

from mien.data.dataset import FaceDataset

__all__ = ["FaceDataset"]
