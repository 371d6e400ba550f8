"""From recordings to a study: files for the programs in which people code, and agreement with what they coded.

``docs/study.md`` shows the way.
"""

from mien.study.agreement_tables import COLUMNS as AGREEMENT_COLUMNS
from mien.study.agreement_tables import document, rows
from mien.study.annotations import Annotation, Coding, Problem, read_coding
from mien.study.comparison import MIEN, Comparison, Level, Recording, Rules, compare
from mien.study.exports import EXPORTS, write_export
from mien.study.pairing import read_recordings
from mien.study.review import Review, Stale
from mien.study.spans import CodedRecording, Coder, Span, Tier

__all__ = [
    "AGREEMENT_COLUMNS",
    "EXPORTS",
    "MIEN",
    "Annotation",
    "CodedRecording",
    "Coder",
    "Coding",
    "Comparison",
    "Level",
    "Problem",
    "Recording",
    "Review",
    "Rules",
    "Span",
    "Stale",
    "Tier",
    "compare",
    "document",
    "read_coding",
    "read_recordings",
    "rows",
    "write_export",
]
