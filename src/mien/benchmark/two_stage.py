"""Methods in two steps: features, handcrafted or learnt, then a classifier of scikit-learn.

``vgg-svm``: Georgescu, Ionescu & Popescu 2018 (arXiv 1804.10892), without their local learning and bag of words: the
activations of the last fully connected layers of a VGG-style network, and a linear SVM on them. Deviates: the network
is trained here, from scratch, on the training part alone; theirs started from other data sets.

``multi-feature``: after Zhao, Liu & Yang 2018, an ensemble whose members see different features of the same faces, and
vote. Deviates: HOG, LBP and the features of the VGG-style network trained here stand for theirs, and the vote is the
mean of the members' probabilities; as remembered, theirs came from networks trained on other pictures.

Leaves out: the handcrafted methods themselves (``classical``).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from filelock import FileLock
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from mien.benchmark.networks import features, network_settings, train_network
from mien.benchmark.task import Fitted, Task
from mien.classical import LinearSVM, class_probabilities, feature_size, make_classical, report_progress, save_estimator
from mien.evaluation.model import Loaded

__all__ = ["classical_settings", "fit_classical", "fit_multi_feature", "fit_vgg_svm", "vgg_settings"]

_HANDCRAFTED = ("hog-svm", "lbp-svm")
_C = 1e-3  # what an error costs the SVM on standardised activations


def classical_settings(*names: str) -> Callable[[int], Mapping[str, Any]]:
    """What decides the outcome beside data and budget: the estimators with all their parameters."""
    return lambda seed: {name: _parameters(make_classical(name, seed=seed)) for name in names}


def _parameters(estimator: Any) -> dict[str, str]:
    return {k: repr(v) for k, v in sorted(estimator.get_params().items()) if not hasattr(v, "get_params")}


def vgg_settings(*names: str) -> Callable[[int], Mapping[str, Any]]:
    """The same for a network and estimators beside it."""
    return lambda seed: {
        "vgg": network_settings("vgg")(seed),
        "svm": _parameters(LinearSVM(C=_C, seed=seed)),
        **classical_settings(*names)(seed),
    }


def fit_classical(name: str) -> Callable[[Task], Fitted]:
    """The method that fits the pipeline ``name`` of ``classical``."""
    return lambda task: _fit_pipeline(task, name)


def _fit_pipeline(task: Task, name: str) -> Fitted:
    pipeline = make_classical(name, seed=task.seed, n_jobs=task.threads)
    start = time.perf_counter()
    with report_progress(lambda step, done, total: task.progress(step, done / max(total, 1))):
        pipeline.fit(task.train.array, task.train.labels)
    seconds = time.perf_counter() - start
    task.folder.mkdir(parents=True, exist_ok=True)
    about = {"name": name, "names": list(task.train.names), "train": task.train.fingerprint, "seed": task.seed}
    save_estimator(task.folder / "model.skops", pipeline, about=about)
    return Fitted(
        predict=lambda images: class_probabilities(pipeline, images, len(task.train.names)),
        size={"vector": feature_size(pipeline)},
        seconds=seconds,
    )


def _vgg(task: Task) -> tuple[Loaded, Fitted]:
    """The network of ``vgg-svm`` and ``multi-feature``: whoever comes first trains it, and both count its time."""
    what = [network_settings("vgg")(task.seed), task.train.fingerprint, task.val.fingerprint, task.budget]
    key = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:12]
    folder = (task.shared or task.folder) / f"vgg-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        return train_network(replace(task, folder=folder), "vgg")


def fit_vgg_svm(task: Task) -> Fitted:
    """Train the network, then a linear SVM on its last hidden layers; mirror images count as faces of their own."""
    model, network = _vgg(task)
    task.folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    task.progress("support vector machine", 0.0)
    faces = task.train.array
    x = np.concatenate([features(model, faces), features(model, faces[:, :, ::-1])])
    twice = np.tile(np.arange(len(task.train)), 2)
    assert task.train.labels is not None
    head = Pipeline([("scale", StandardScaler()), ("svm", LinearSVM(C=_C, seed=task.seed))])
    head.fit(x, task.train.labels[twice], svm__groups=twice)
    save_estimator(task.folder / "head.skops", head, about={"names": list(task.train.names)})
    return replace(
        network,
        predict=lambda images: class_probabilities(head, features(model, images), len(task.train.names)),
        size={**network.size, "vector": x.shape[1]},
        seconds=network.seconds + time.perf_counter() - start,
    )


def fit_multi_feature(task: Task) -> Fitted:
    """Fit a member for each kind of feature; the prediction is the mean of their probabilities."""
    learnt = fit_vgg_svm(task)
    members = [learnt, *(_fit_pipeline(replace(task, folder=task.folder / name), name) for name in _HANDCRAFTED)]
    return Fitted(
        predict=lambda images: np.mean([m.predict(images) for m in members], 0),
        size={**learnt.size, "vector": sum(m.size["vector"] for m in members)},
        seconds=sum(m.seconds for m in members),
        notes=learnt.notes,
    )
