"""From recordings to a study: what was seen, in the files of the programs in which people code."""

from mien.study.exports import EXPORTS, write_export
from mien.study.spans import CodedRecording, Coder, Span, Tier

__all__ = ["EXPORTS", "CodedRecording", "Coder", "Span", "Tier", "write_export"]
