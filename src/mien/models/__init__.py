"""Networks by name: ``create_model("deep-emotion-2019")``. Needs the extra ``train``."""

# each import registers its networks
from mien.models import adversarial, attentive, deep_emotion, deepexpr, googlenet, mollahosseini, vgg
from mien.models.layers import fuse, unfuse
from mien.models.pretrained import from_pretrained
from mien.models.registry import Output, create_model, list_models, outputs, register

__all__ = [
    "Output",
    "adversarial",
    "attentive",
    "create_model",
    "deep_emotion",
    "deepexpr",
    "from_pretrained",
    "fuse",
    "googlenet",
    "list_models",
    "mollahosseini",
    "outputs",
    "register",
    "unfuse",
    "vgg",
]
