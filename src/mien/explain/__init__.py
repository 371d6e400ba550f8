"""Which parts of a face decided, as arrays: where a network looked, what its answer rests on, and whether that is true.

Works on any ``answer``: an exported file (``mien.runtime.Classifier``), a torch model, any function. Leaves out:
drawing it (``mien.visualization``).

explain_face(Classifier(find_model(None)), crop, FER2013.names) -> Explanation(label="happy", maps={"occlusion": ...})
"""

from mien.explain.face import Explanation, Look, explain_face
from mien.explain.faithfulness import Curves, Faithfulness, curves, faithfulness
from mien.explain.gradcam import gradcam, last_map
from mien.explain.means import ClassMeans, mean_maps
from mien.explain.occlusion import Predict, occlusion
from mien.explain.parts import by_landmarks, by_thirds, landmark_masks

__all__ = [
    "ClassMeans",
    "Curves",
    "Explanation",
    "Faithfulness",
    "Look",
    "Predict",
    "by_landmarks",
    "by_thirds",
    "curves",
    "explain_face",
    "faithfulness",
    "gradcam",
    "landmark_masks",
    "last_map",
    "mean_maps",
    "occlusion",
]
