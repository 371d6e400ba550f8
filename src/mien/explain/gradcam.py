"""Grad-CAM of torch models (Selvaraju et al. 2017, arXiv 1610.02391, section 3) through captum, a kept library.

Needs the extra ``explain``; torch is imported when it is used, not before. Leaves out: exported files, which have no
gradients, and laying a map back through a spatial transformer (``looking.laid_back``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError, need

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["gradcam", "last_map"]


def gradcam(model: nn.Module, x: Tensor, targets: Sequence[int], layer: str | None = None) -> NDArray[np.float32]:
    """Where the layer's channels spoke for a class: float32 ``(N, h, w)`` >= 0, on the grid of the layer.

    model    in eval mode; maps ``x (N, C, S, S)``, normalised, to logits ``(N, K)``
    targets  number of the class of each image
    layer    name of a module as ``named_modules`` has it; None for :func:`last_map`

    Behind a transformer that warps the input the grid lies in the warped view. Layers without padding (the 2019
    network's) see a little less than the picture: stretched over all of it, their map lies up to 5 pixels too far out
    at its edges.
    Raises ModelError for a layer that is unknown or gives no maps.
    """
    captum = need("captum.attr", "explain")
    from mien.models import outputs

    name = last_map(model, x[:1]) if layer is None else layer
    modules = dict(model.named_modules())
    if name not in modules:
        raise ModelError(
            f"layer must be one of the model's modules, got {name!r}; its last map is {last_map(model, x)!r}"
        )
    asked = list(targets)
    if len(asked) != len(x):
        raise ModelError(f"targets must name a class for each of the {len(x)} images, got {len(asked)}")
    found = captum.LayerGradCam(lambda given: outputs(model, given).logits, modules[name]).attribute(
        x, target=asked, relu_attributions=True
    )
    if not hasattr(found, "ndim") or found.ndim != 4:
        raise ModelError(f"layer {name!r} gives no maps (N, C, h, w); the model's last map is {last_map(model, x)!r}")
    return np.asarray(found.detach().cpu().numpy()[:, 0], np.float32)


def last_map(model: nn.Module, x: Tensor) -> str:
    """The rule: the module that runs last among those that give maps ``(N, C, h, w)`` of several channels and places.

    That is the deepest layer that still knows where: behind it a network pools or flattens.
    """
    torch = need("torch", "explain")
    ran: list[str] = []

    def note(name: str) -> object:
        def hook(_module: nn.Module, _given: object, out: object) -> None:
            if isinstance(out, torch.Tensor) and out.ndim == 4 and out.shape[1] > 1 and out.shape[2] * out.shape[3] > 1:
                ran.append(name)

        return hook

    hooks = [m.register_forward_hook(note(name)) for name, m in model.named_modules() if name]
    try:
        with torch.no_grad():
            model(x)
    finally:
        for hook in hooks:
            hook.remove()
    if not ran:
        raise ModelError("no layer of the model gives maps (N, C, h, w): Grad-CAM needs one")
    return ran[-1]
