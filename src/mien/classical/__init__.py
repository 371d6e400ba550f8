"""Older methods of expression recognition, in two steps: features from the faces, then a classifier (scikit-learn).

Needs the extra "classical" (scikit-learn, scikit-image, skops, joblib), never torch.
"""

from mien.errors import need as _need

for _module in ("sklearn", "skimage", "skops", "joblib"):
    _need(_module, "classical")

from mien.classical.haar import Haar  # noqa: E402
from mien.classical.hog import Hog  # noqa: E402
from mien.classical.lbp import Lbp  # noqa: E402
from mien.classical.local import LocalSVC  # noqa: E402
from mien.classical.mlp import Mlp  # noqa: E402
from mien.classical.pipeline import CLASSICAL, FacePipeline, class_probabilities, feature_size, make_classical  # noqa: E402
from mien.classical.progress import report_progress  # noqa: E402
from mien.classical.store import load_estimator, save_estimator  # noqa: E402
from mien.classical.svm import LinearSVM  # noqa: E402
from mien.classical.words import BagOfWords, InverseFrequency  # noqa: E402

__all__ = [
    "CLASSICAL",
    "BagOfWords",
    "FacePipeline",
    "Haar",
    "Hog",
    "InverseFrequency",
    "Lbp",
    "LinearSVM",
    "LocalSVC",
    "Mlp",
    "class_probabilities",
    "feature_size",
    "load_estimator",
    "make_classical",
    "report_progress",
    "save_estimator",
]
