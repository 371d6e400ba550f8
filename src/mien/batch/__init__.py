"""Photos by the million: one folder of Parquet files out of pictures anywhere, on engines that exist.

``run_batch`` is ``mien batch``; ``predict_batch`` maps one Arrow batch, for an engine of your own. See docs/scale.md.
"""

from mien.batch.answers import output_schema, predict_batch
from mien.batch.run import ENGINES, Summary, run_batch

__all__ = ["ENGINES", "Summary", "output_schema", "predict_batch", "run_batch"]
