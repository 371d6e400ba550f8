"""Networks by name: ``create_model("deep-emotion-2019")``. Needs the extra ``train``."""

from mien.models import deep_emotion  # registers its networks
from mien.models.layers import fold
from mien.models.registry import create_model, list_models, register

__all__ = ["create_model", "deep_emotion", "fold", "list_models", "register"]
