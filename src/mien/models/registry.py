"""Names of the networks and how to make one. Registering a network puts it under test (tests/test_models.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from torch import Tensor, nn

from mien.errors import ModelError

__all__ = ["create_model", "list_models", "outputs", "register"]

_BUILDERS: dict[str, Callable[..., nn.Module]] = {}
Builder = TypeVar("Builder", bound=Callable[..., nn.Module])


def register(name: str) -> Callable[[Builder], Builder]:
    """Decorator: ``create_model(name)`` calls the decorated builder."""

    def add(builder: Builder) -> Builder:
        _BUILDERS[name] = builder
        return builder

    return add


def list_models() -> list[str]:
    """The names that ``create_model`` knows, sorted."""
    return sorted(_BUILDERS)


def create_model(name: str, *, num_classes: int = 7, in_chans: int = 1, **options: Any) -> nn.Module:
    """Make a network; its ``forward`` maps normalised images ``(N, in_chans, S, S)`` to logits ``(N, num_classes)``.

    options  the network's own keyword arguments, as ``ModelSpec.model`` stores them
    """
    if name not in _BUILDERS:
        raise ModelError(f"model must be one of {', '.join(list_models())}, got {name!r}")
    try:
        return _BUILDERS[name](num_classes=num_classes, in_chans=in_chans, **options)
    except TypeError as error:
        raise ModelError(f"model {name!r} does not take these options: {options} ({error})") from error


def outputs(model: Callable[[Tensor], Tensor], x: Tensor) -> dict[str, Tensor]:
    """All that ``model`` says about images: ``logits``, and theta, attention and second where it has them."""
    own: Callable[[Tensor], dict[str, Tensor]] | None = getattr(model, "outputs", None)
    return {"logits": model(x)} if own is None else own(x)
