"""Networks by name: ``create_model("deep-emotion-2019")``. Needs the extra ``train``."""

from mien.models import attentive, deep_emotion  # register their networks
from mien.models.layers import fold, split_heads
from mien.models.registry import create_model, list_models, outputs, register

__all__ = ["attentive", "create_model", "deep_emotion", "fold", "list_models", "outputs", "register", "split_heads"]
