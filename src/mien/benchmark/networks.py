"""Methods that are one network: a recipe, trained by the same ``mien.training.train`` as every other.

Leaves out: the networks (``models``) and their recipes' settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mien.benchmark.task import Fitted, Task
from mien.evaluation.model import Loaded
from mien.preprocessing import normalise
from mien.training.devices import keep_memory
from mien.training.recipe import load_recipe
from mien.training.run import train

__all__ = ["features", "fit_adversarial", "fit_network", "network_settings", "train_network"]

_BLOCK = 512


def network_settings(recipe: str) -> Callable[[int], Mapping[str, Any]]:
    """What decides the outcome beside data and budget: the whole recipe."""
    return lambda seed: load_recipe(recipe).override(seed=seed).to_dict()


def fit_network(recipe: str) -> Callable[[Task], Fitted]:
    """The method that trains ``recipe``."""
    return lambda task: train_network(task, recipe)[1]


def train_network(task: Task, name: str) -> tuple[Loaded, Fitted]:
    """Train the recipe ``name`` in the task's folder, or go on where it stopped; epochs are cut to fit the budget."""
    torch.set_num_threads(task.threads)
    keep_memory()  # a worker's process is there for this
    recipe = load_recipe(name).override(seed=task.seed)
    task.progress("timing", 0.0)
    model = train(
        recipe,
        task.train,
        task.val,
        out=task.folder,
        budget=task.budget,
        resume=True,
        on_batch=lambda b: task.progress("training", (b.epoch - 1 + b.step / b.steps) / b.epochs),
    )
    epochs = len(model.history)
    fitted = Fitted(
        predict=model.loaded.predict,
        size={"parameters": sum(p.numel() for p in model.network.parameters())},
        seconds=sum(e["seconds"] for e in model.history),
        notes=(f"{epochs} of {recipe.epochs} epochs, for want of time",) if epochs < recipe.epochs else (),
    )
    return model.loaded, fitted


@torch.no_grad()
def features(model: Loaded, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the network's last hidden layer says of faces uint8 ``(N, S, S)``: ``(N, D)``."""
    spec, network = model.spec, model.forward
    parts = []
    for part in torch.split(torch.from_numpy(np.ascontiguousarray(images))[:, None], _BLOCK):
        parts.append(network.features(normalise(part.float(), spec)).float().numpy())  # type: ignore[attr-defined]
    return np.concatenate(parts)


def fit_adversarial(task: Task) -> Fitted:
    """The network that hides identity, and how well identity can still be read from what it passes on."""
    model, fitted = train_network(task, "adversarial")
    task.progress("reading identity", 0.0)
    found = _identity(model, task)
    if found is None:
        note = "how well it hides identity is not measured: no two people with two faces or more are held out"
        return replace(fitted, notes=(*fitted.notes, note))
    return replace(fitted, figures={"identity": found})


def _identity(model: Loaded, task: Task) -> dict[str, float] | None:
    """Accuracy of logistic regression that names the person: from the representation, from pixels, and by chance.

    All on held-out faces, which the encoder has not learnt: on its own training faces an encoder hides people better
    than it does in use. The regression learns from one half of each held-out person's faces and is scored on the other,
    ``faces`` of them; ``seen`` of the ``people`` have other faces in Training. Frames of one film lie on both sides, so
    that what is read is rather too much than too little. None where fewer than two people have two faces or more.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    assert task.train.subject is not None
    assert task.val.subject is not None
    learn, test = _halves(task.val.subject, task.seed)
    people = set(task.val.subject[learn].tolist())
    if len(people) < 2:
        return None
    val, who = task.val, task.val.subject
    pixels = val.array[:, ::2, ::2].reshape(len(val), -1) / 255.0
    found = {}
    for name, x in (("representation", features(model, val.array)), ("pixels", pixels)):
        reader = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
        reader.fit(x[learn], who[learn])
        found[name] = float(reader.score(x[test], who[test]))
    _, counts = np.unique(who[test], return_counts=True)
    return found | {
        "chance": float(counts.max() / counts.sum()),
        "people": len(people),
        "seen": len(people & set(task.train.subject.tolist())),
        "faces": len(test),
    }


def _halves(who: NDArray[np.str_], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row numbers of two random halves of each known person's faces; people with a single face are left out."""
    order = np.random.default_rng(seed).permutation(len(who))
    learn, test = list[int](), list[int]()
    for person in sorted(set(who.tolist()) - {""}):
        own = order[who[order] == person]
        if len(own) > 1:
            learn += own[: (len(own) + 1) // 2].tolist()
            test += own[(len(own) + 1) // 2 :].tolist()
    return np.array(learn, dtype=np.int64), np.array(test, dtype=np.int64)
