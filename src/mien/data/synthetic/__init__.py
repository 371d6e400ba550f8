"""Stylised faces, drawn from action units, with people who stay the same from picture to picture."""

from mien.data.synthetic.generate import generate

__all__ = ["generate"]
