"""Names of the networks, how to make one, and the record of what it computes.

Registering a network puts it under test (tests/models/test_models.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from torch import Tensor, nn

from mien.errors import ModelError

__all__ = ["Output", "create_model", "list_models", "outputs", "register"]

_BUILDERS: dict[str, Callable[..., nn.Module]] = {}
Builder = TypeVar("Builder", bound=Callable[..., nn.Module])


class Output(NamedTuple):
    """All that a network's ``forward`` computes for N images, as far as it has the parts.

    logits     ``(N, K)``
    theta      ``(N, 2, 3)``, where its transformer looks
    attention  ``(N, h, w)``, the head's weights over positions, which sum to 1
    second     ``(N, M)``, logits of a second head
    auxiliary  ``(N, K)`` each, logits of classifiers inside the network, while it trains
    identity, hidden   ``(N, P)`` each, an adversary's logits of who it is, while the network trains: only the adversary
               learns through the first, only the encoder through the second
    """

    logits: Tensor
    theta: Tensor | None = None
    attention: Tensor | None = None
    second: Tensor | None = None
    auxiliary: tuple[Tensor, ...] = ()
    identity: Tensor | None = None
    hidden: Tensor | None = None


def register(name: str) -> Callable[[Builder], Builder]:
    """Decorator: ``create_model(name)`` calls the decorated builder. ModelError for a name that is taken."""

    def add(builder: Builder) -> Builder:
        if name in _BUILDERS:
            raise ModelError(f"{name!r} is registered already, as {_BUILDERS[name].__qualname__}; choose another name")
        _BUILDERS[name] = builder
        return builder

    return add


def list_models() -> list[str]:
    """The names that ``create_model`` knows, sorted."""
    return sorted(_BUILDERS)


def create_model(name: str, *, num_classes: int = 7, in_chans: int = 1, **options: Any) -> nn.Module:
    """Make a network; its ``forward`` maps normalised images ``(N, in_chans, S, S)`` to an :class:`Output`.

    options  the network's own keyword arguments, as ``ModelSpec.model`` stores them
    """
    if name not in _BUILDERS:
        raise ModelError(f"model must be one of {', '.join(list_models())}, got {name!r}")
    try:
        return _BUILDERS[name](num_classes=num_classes, in_chans=in_chans, **options)
    except TypeError as error:
        raise ModelError(f"model {name!r} does not take these options: {options} ({error})") from error


def outputs(model: Callable[[Tensor], Output | Tensor], x: Tensor) -> Output:
    """What ``model`` computes for images, also where it is anybody's network or function that gives plain logits."""
    out = model(x)
    return Output(out) if isinstance(out, Tensor) else out
