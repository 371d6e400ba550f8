"""A study out of many recordings: who showed what in which condition, with tests, figures, a page and a paragraph.

``docs/study.md`` shows the way. Leaves out: following faces (``mien video`` does it), and coding (``mien.study``).
"""

from mien.study.analysis.analysis import Options, Study, analyse, read_recordings_of
from mien.study.analysis.design import Design, Stretch, read_design
from mien.study.analysis.exclusions import Limits
from mien.study.analysis.methods import findings, methods, notes
from mien.study.analysis.recorded import Recorded, read_recorded

__all__ = [
    "Design",
    "Limits",
    "Options",
    "Recorded",
    "Stretch",
    "Study",
    "analyse",
    "findings",
    "methods",
    "notes",
    "read_design",
    "read_recorded",
    "read_recordings_of",
]
