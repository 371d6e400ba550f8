"""Other people's models on your own labelled faces: the same report, and a paired test against yours.

Whether a rival has seen the faces that it is judged on nobody can tell from its file.
"""

from mien.rivals.callables import open_callable
from mien.rivals.columns import read_groups
from mien.rivals.judging import Against, Judgement, judge, shared
from mien.rivals.onnx_files import open_onnx
from mien.rivals.opening import CALLABLE, open_rival, open_rivals
from mien.rivals.rival import Rival, class_names

__all__ = [
    "CALLABLE",
    "Against",
    "Judgement",
    "Rival",
    "class_names",
    "judge",
    "open_callable",
    "open_onnx",
    "open_rival",
    "open_rivals",
    "read_groups",
    "shared",
]
