"""fit: learns, is exact when continued, and does what the recipe's keys say."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from blob_faces import NAMES, TRAIN, VAL

from mien.data import FaceDataset
from mien.errors import ConfigError
from mien.models import Output, create_model
from mien.models.inference import predict
from mien.training import devices, loop, transforms
from mien.training import train as run
from mien.training.checkpoint import load_state, save_state
from mien.training.devices import pick_device
from mien.training.loop import Batch, Diverged, State, Stopped, fit
from mien.training.optim import EMA, make_optimizer, schedule
from mien.training.recipe import Augment, Distill, Optimizer, Recipe
from mien.training.tensors import LearningSet
from mien.training.validation import spread


def recipe(**changes: object) -> Recipe:
    base = Recipe(
        name="tiny",
        model="deep-emotion-2019",
        epochs=3,
        batch_size=16,
        ema=0.9,
        optimizer=Optimizer(
            "adamw", lr=0.02, weight_decay=0.01, transformer_lr_factor=0.3, schedule="cosine", warmup=0.5
        ),
        augment=Augment(degrees=5, scale=0.05, shift=1, brightness=0.05, contrast=0.1, erase=0.2, mixup=0.1),
    )
    return replace(base, **changes)


def model(seed: int = 0, **options: object) -> torch.nn.Module:
    torch.manual_seed(seed)
    return create_model("deep-emotion-2019", num_classes=3, **options)


def test_fit_learns_and_reports_every_figure() -> None:
    deployed, history = fit(model(), TRAIN, VAL, recipe(epochs=6), device="cpu")
    assert [e["epoch"] for e in history] == [1, 2, 3, 4, 5, 6]
    assert set(history[0]) == {
        *("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy"),
        *("images_per_second", "theta_spread", "lr", "seconds"),
    }
    assert history[-1]["val_accuracy"] > 0.9
    mean, std = TRAIN.statistics
    p = predict(deployed, VAL.images, mean=mean, std=std)
    assert (p.argmax(1) == VAL.labels).mean() == pytest.approx(history[-1]["val_accuracy"])
    np.testing.assert_allclose(p.sum(1), 1)


@pytest.mark.parametrize("net", ["deep-emotion-2019", "mien-nano"])
@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("stop_after", [1, 4, 7])
def test_a_stopped_run_continues_bit_for_bit(net: str, name: str, stop_after: int) -> None:
    check_continues(
        net, TRAIN, recipe(optimizer=Optimizer(name, lr=0.01, weight_decay=0.001, schedule="linear")), stop_after
    )


def check_continues(net: str, train: FaceDataset, r: Recipe, stop_after: int, **options: object) -> None:
    """A run that stops after so many steps and goes on ends as one that never stopped."""

    def model(seed: int = 0) -> torch.nn.Module:
        torch.manual_seed(seed)
        return create_model(net, num_classes=3, **options)

    whole, history = fit(model(), train, VAL, r, device="cpu")

    def stop(batch: Batch) -> bool:
        return (batch.epoch - 1) * batch.steps + batch.step >= stop_after

    with pytest.raises(Stopped) as caught:
        fit(model(), train, VAL, r, device="cpu", on_batch=stop)
    assert caught.value.state.step == stop_after
    torch.rand(7)  # a new process has another global generator
    again, history2 = fit(model(seed=5), train, VAL, r, device="cpu", state=caught.value.state)
    for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    timing = ("images_per_second", "seconds")
    assert [{k: v for k, v in e.items() if k not in timing} for e in history] == [
        {k: v for k, v in e.items() if k not in timing} for e in history2
    ]


def test_the_clock_decides_in_the_place_of_epochs() -> None:
    seen: list[float] = []
    share = iter([0.0, *(k / 80 for k in range(200))])

    def clock() -> float:
        seen.append(next(share))
        return seen[-1]

    asked = recipe(epochs=2, optimizer=replace(recipe().optimizer, warmup=0.0))
    deployed, history = fit(model(), TRAIN, VAL, asked, clock=clock, device="cpu")
    assert len(history) > 2  # more than the recipe says, since there was time
    assert [e["epoch"] for e in history] == list(range(1, len(history) + 1))
    rates = [e["lr"] for e in history]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.1 * rates[0]
    assert seen[-1] >= 1
    assert not deployed.training


def test_seeds_decide() -> None:
    def weights(seed: int) -> torch.Tensor:
        return fit(model(), TRAIN, VAL, recipe(seed=seed, epochs=1), device="cpu")[0].head.weight

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_copies_can_be_left_out() -> None:
    one_person = replace(TRAIN, subject=np.full(64, "s1"))
    twice = one_person.take(np.arange(128) % 64)
    steps = []
    for drop in (False, True):
        seen: list[int] = []
        fit(
            model(),
            twice,
            VAL,
            recipe(epochs=1, deduplicate=drop),
            device="cpu",
            on_batch=lambda b, seen=seen: seen.append(b.steps),
        )
        steps.append(seen[-1])
    assert steps == [8, 4]


def test_divergence_is_an_error() -> None:
    wild = recipe(optimizer=Optimizer("sgd", lr=100.0), ema=0.0)
    net = model()
    with torch.no_grad():
        net.head.weight.fill_(math.inf)
    with pytest.raises(Diverged, match="lower --lr"):
        fit(net, TRAIN, VAL, wild, device="cpu")


def test_figures_that_are_read_every_few_steps_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, which is not waited for at each step."""
    timing = ("images_per_second", "seconds")

    def history(**more: object) -> list[dict[str, float]]:
        every = fit(model(), TRAIN, VAL, recipe(epochs=2), device="cpu", **more)[1]
        return [{k: v for k, v in e.items() if k not in timing} for e in every]

    steps: list[float] = []
    each = history()
    monkeypatch.setattr(loop, "READ_EVERY", {"cpu": 3})
    assert history(on_batch=lambda b: steps.append(b.loss)) == each
    assert steps[:2] == [0, 0]
    assert steps[2] > 0
    assert steps[3] == pytest.approx(each[0]["train_loss"])
    check_continues("deep-emotion-2019", TRAIN, recipe(), 2)
    net = model(transformer="none")  # torch's sampling on the CPU crashes at positions that are no numbers
    broken = {"step": 0}

    def break_it(batch: Batch) -> None:
        broken["step"] += 1
        if batch.step == 1:
            with torch.no_grad():
                net.head.weight.fill_(math.inf)

    with pytest.raises(Diverged, match=r"in epoch 1, step 2;"):
        fit(net, TRAIN, VAL, recipe(), device="cpu", on_batch=break_it)
    assert broken["step"] == 2  # it was noticed one step later


def test_soft_targets() -> None:
    votes = np.full((64, 3), 1.0, np.float32)
    votes[np.arange(64), TRAIN.labels] = 8.0
    with_votes = replace(TRAIN, votes=votes)
    held = replace(VAL, votes=np.eye(3, dtype=np.float32)[VAL.labels])
    _, history = fit(model(), with_votes, held, recipe(targets="votes"), device="cpu")
    entropy = -(0.8 * math.log(0.8) + 0.2 * math.log(0.1))
    assert history[-1]["train_loss"] > 0.95 * entropy  # the cross-entropy of soft targets can't go below their entropy
    with pytest.raises(ConfigError, match="--votes"):
        fit(model(), TRAIN, VAL, recipe(targets="votes"), device="cpu")


def two_labellings(ds: FaceDataset) -> FaceDataset:
    """``ds`` with a second labelling: two classes, whether the first is "happy"; the last row has none."""
    assert ds.labels is not None
    second = np.eye(2, dtype=np.float32)[(ds.labels == 1).astype(int)]
    second[-1] = 0
    return replace(ds, second=second, second_names=("other", "happy"))


def test_a_second_head_learns_the_second_labelling() -> None:
    r = recipe(epochs=6, votes_weight=1.0)
    deployed, history = fit(model(second=2), two_labellings(TRAIN), two_labellings(VAL), r, device="cpu")
    assert history[-1]["val_accuracy"] > 0.9
    assert history[-1]["val_second_accuracy"] > 0.9
    x = torch.from_numpy(VAL.images)[:4, None] / 255
    assert deployed(x).second.shape == (4, 2)
    with pytest.raises(ConfigError, match="--target both"):
        fit(model(second=2), TRAIN, VAL, r, device="cpu")


def test_a_teacher_is_followed_against_the_labels() -> None:
    assert TRAIN.labels is not None
    wrong = np.eye(3)[(TRAIN.labels + 1) % 3] * 0.98 + 0.01  # a teacher that takes each class for the next
    teacher = {NAMES: wrong[None].astype(np.float32)}
    scores = []
    for weight in (0.0, 1.0):
        r = recipe(epochs=6, distill=Distill(weight=weight, temperature=2.0))
        scores.append(fit(model(), TRAIN, VAL, r, teacher=teacher, device="cpu")[1][-1]["val_accuracy"])
    assert scores[0] > 0.9
    assert scores[1] < 0.1


def test_both_heads_follow_their_teachers() -> None:
    train = two_labellings(TRAIN)
    assert train.second is not None
    even = {NAMES: np.full((1, 64, 3), 1 / 3, np.float32), ("other", "happy"): np.full((1, 64, 2), 0.5, np.float32)}
    r = recipe(epochs=6, votes_weight=1.0, distill=Distill(weight=1.0), augment=Augment())
    _, history = fit(model(second=2), train, two_labellings(VAL), r, teacher=even, device="cpu")
    # teachers that know nothing: the student ends near even chances
    assert history[-1]["train_loss"] < 0.02
    assert history[-1]["val_loss"] == pytest.approx(math.log(3), rel=0.05)


def test_a_student_sees_the_view_that_its_teacher_predicted() -> None:
    r = recipe(augment=Augment(degrees=9, shift=3, erase=0.5), distill=Distill(temperature=1, augmented_views=4))
    number = np.arange(4 * 64).reshape(4, 64)  # which view of which face
    said = np.stack([number + 1, 512 - number, 512 + 0 * number], 2) / 1025.0
    data = LearningSet.of(TRAIN, r, torch.device("cpu"), 0.5, 0.5, {NAMES: said})
    index = torch.tensor([3, 60, 3, 17, 3])
    images, target, source = data.batch(index, torch.Generator().manual_seed(1))
    seen = transforms.augment(images, r.augment, source, 48)
    answer = target[:, data.columns["teacher.logits"]][:, 0] * 1025 - 1  # the number, of which 1025 make a whole
    view = (answer.round() / 64).floor().long()
    assert len(set(view[[0, 2, 4]].tolist())) > 1
    for k, i, x in zip(view.tolist(), index.tolist(), seen, strict=True):
        face = torch.from_numpy(TRAIN.images[i : i + 1])[:, None].float()
        own = transforms.augment(face, r.augment, iter(transforms.augmented_views(64, 4)[k, i : i + 1].unbind(1)), 48)
        torch.testing.assert_close(x, own[0])
    assert torch.equal(target[:, data.columns["logits"]].argmax(1), torch.from_numpy(TRAIN.labels)[index])


def test_a_student_of_augmented_views_follows_and_continues_bit_for_bit() -> None:
    assert TRAIN.labels is not None
    wrong = np.eye(3)[(TRAIN.labels + 1) % 3] * 0.98 + 0.01
    teacher = {NAMES: wrong[None].repeat(3, 0).astype(np.float16)}
    r = recipe(epochs=6, augment=Augment(degrees=5), deduplicate=True, distill=Distill(weight=1.0, augmented_views=3))
    whole, history = fit(model(), TRAIN, VAL, r, teacher=teacher, device="cpu")
    assert history[-1]["val_accuracy"] < 0.1
    with pytest.raises(Stopped) as stop:
        fit(model(), TRAIN, VAL, r, teacher=teacher, device="cpu", on_batch=lambda b: b.epoch == 2 and b.step == 3)
    parts, _ = fit(model(), TRAIN, VAL, r, teacher=teacher, device="cpu", state=stop.value.state)
    for (name, a), b in zip(whole.state_dict().items(), parts.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_soft_targets_of_another_shape_are_refused() -> None:
    r = recipe(augment=Augment(), distill=Distill(augmented_views=4))
    for shape in ((3, 64, 3), (4, 63, 3), (4, 64, 2)):
        with pytest.raises(ConfigError, match=r"shape \(4, 64, 3\), augmented views by faces by classes, got"):
            fit(model(), TRAIN, VAL, r, teacher={NAMES: np.zeros(shape, np.float32)}, device="cpu")
    with pytest.raises(ConfigError, match=r"shape \(1, 64, 3\)"):
        fit(model(), TRAIN, VAL, recipe(), teacher={NAMES: np.zeros((1, 63, 3), np.float32)}, device="cpu")


def test_augmented_views_with_mixup_are_refused() -> None:
    with pytest.raises(ConfigError, match="mixup"):
        recipe(distill=Distill(augmented_views=4))


def test_the_process_is_left_as_it_was() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    search = torch.backends.cudnn.benchmark
    inside: list[bool] = []
    r = recipe(epochs=1)
    fit(model(), TRAIN, VAL, r, device="cpu", on_epoch=lambda _: inside.append(torch.backends.cudnn.benchmark))
    assert inside == [True]
    assert torch.backends.cudnn.benchmark == search
    torch.manual_seed(7)
    net = create_model("deep-emotion-2019", num_classes=3)
    drawn = torch.rand(3)
    torch.manual_seed(7)
    again = create_model("deep-emotion-2019", num_classes=3)
    fit(again, TRAIN, VAL, r, device="cpu")  # with dropout
    assert torch.equal(torch.rand(3), drawn)
    with pytest.raises(Stopped):
        fit(net, TRAIN, VAL, r, device="cpu", on_batch=lambda _: True)
    assert not torch.equal(expected, drawn)
    assert torch.backends.cudnn.benchmark == search


def test_a_device_is_lent_and_made_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is recorded on ``cuda:1`` needs it to be current: said to torch whatever the device's number."""
    chosen: list[torch.device] = []

    @contextlib.contextmanager
    def current(device: torch.device) -> Iterator[None]:
        chosen.append(device)
        yield

    monkeypatch.setattr(torch.cuda, "device", current)
    monkeypatch.setattr(torch.cuda, "default_generators", (torch.Generator(), torch.Generator()))
    with devices.lent(torch.device("cuda", 1)) as dropout:
        dropout.manual_seed(3)
    assert chosen == [torch.device("cuda", 1)]
    assert torch.cuda.default_generators[1].initial_seed() != 3  # given back


class Recorder:
    """Stands for torch's recording of a graph: what runs while it records is what each replay repeats."""

    steps: list[Callable[[], None]]

    def replay(self) -> None:
        for step in self.steps:
            step()


def test_a_graph_is_recorded_once_and_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of calls on the CPU, with torch's recording played; what a GPU does with it is tested on one."""
    graphs: list[Recorder] = []
    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: graphs.append(Recorder()) or graphs[-1])
    monkeypatch.setattr(torch.cuda, "graph", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "Stream", lambda: SimpleNamespace(wait_stream=lambda _: None))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: SimpleNamespace(wait_stream=lambda _: None))
    monkeypatch.setattr(torch.cuda, "stream", lambda _: contextlib.nullcontext())
    ran: list[float] = []
    out = torch.zeros(1)

    def double(x: torch.Tensor) -> torch.Tensor:
        ran.append(float(x))
        out.copy_(2 * x)
        if graphs:
            graphs[0].steps = [lambda: out.copy_(2 * x)]
        return out

    graph = devices.Graph(double)
    assert [float(graph(torch.tensor([float(v)]))) for v in range(1, 7)] == [2, 4, 6, 8, 10, 12]
    assert ran == [1, 2, 3, 4]  # three ordinary calls and the recording; replays run no Python
    assert len(graphs) == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_graph_learns_what_single_kernels_learn() -> None:
    r = recipe(epochs=3, augment=Augment(degrees=5, erase=0.5), sizes=((0, 32), (0.5, 48)))
    losses = [
        [e["train_loss"] for e in fit(model(), TRAIN, VAL, r, device="cuda", graph=graph)[1]] for graph in (True, False)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_a_teacher_that_no_head_follows_is_refused() -> None:
    with pytest.raises(ConfigError, match="no head of the network"):
        fit(model(), TRAIN, VAL, recipe(), teacher={("x", "y"): np.zeros((1, 64, 2), np.float32)}, device="cpu")


class Blank(torch.nn.Module):
    """Knows nothing and says so: every output is zero, so that losses can be reckoned by hand."""

    def __init__(self, **sizes: int) -> None:
        super().__init__()
        self.zero = torch.nn.Parameter(torch.zeros(()))
        self.sizes = {"logits": 3, **sizes}

    def forward(self, x: torch.Tensor) -> Output:
        parts = {k: self.zero * torch.ones(len(x), size) for k, size in self.sizes.items() if k[:3] != "aux"}
        auxiliary = tuple(self.zero * torch.ones(len(x), size) for k, size in self.sizes.items() if k[:3] == "aux")
        return Output(**parts, auxiliary=auxiliary)


def first_loss(net: torch.nn.Module, train: FaceDataset, **changes: object) -> float:
    r = recipe(epochs=1, optimizer=Optimizer("sgd", lr=0.0), **changes)
    return fit(net, train, VAL, r, device="cpu")[1][0]["train_loss"]


def people(names: list[str]) -> FaceDataset:
    return replace(TRAIN, subject=np.array([names[i % len(names)] for i in range(64)]))


def test_auxiliary_classifiers_learn_the_labels_with_their_weight() -> None:
    for weight in (0.0, 0.3, 2.0):
        loss = first_loss(Blank(aux1=3, aux2=3), TRAIN, aux_weight=weight)
        assert loss == pytest.approx((1 + 2 * weight) * math.log(3))
    assert first_loss(Blank(), TRAIN) == pytest.approx(math.log(3))


def test_googlenet_trains_with_its_auxiliary_classifiers_and_is_deployed_without() -> None:
    def first(weight: float) -> float:
        torch.manual_seed(0)
        return first_loss(create_model("googlenet", num_classes=3, width=0.125), TRAIN, aux_weight=weight)

    assert first(0.5) - first(0.0) > 0.5 * 2 * 0.5 * math.log(3)
    net = create_model("googlenet", num_classes=3, width=0.125)
    deployed, _ = fit(net, TRAIN, VAL, recipe(epochs=1), device="cpu")
    assert deployed(torch.zeros(2, 1, 48, 48)).auxiliary == ()


@pytest.mark.parametrize("mixup", [0.0, 0.5])
def test_the_adversary_and_hiding_add_to_the_loss(mixup: float) -> None:
    for weight in (0.5, 2.0):
        net = Blank(identity=4, hidden=4)
        loss = first_loss(net, people(["d", "a", "c", "b"]), adversary=weight, augment=Augment(mixup=mixup))
        assert loss == pytest.approx(math.log(3) + (1 + weight) * math.log(4))


def test_the_adversary_learns_who_it_is() -> None:
    """With next to no hiding, the losses of expression and identity both fall towards nothing."""
    torch.manual_seed(0)
    net = create_model("adversarial", num_classes=3, identities=3, widths=(8, 16))
    r = recipe(epochs=8, adversary=1e-6, augment=Augment(), optimizer=Optimizer("adamw", lr=0.01))
    deployed, history = fit(net, people(["p", "q", "r"]), VAL, r, device="cpu")
    assert history[0]["train_loss"] > 2
    assert history[-1]["train_loss"] < 0.8
    assert not [k for k in deployed.state_dict() if k.startswith("adversary")]


def test_a_stopped_run_with_an_adversary_continues_bit_for_bit() -> None:
    r = recipe(adversary=1.0)
    check_continues("adversarial", people(["a", "b"]), r, 5, identities=2, widths=(8, 16))


@pytest.mark.parametrize(
    ("train", "words"),
    [
        (TRAIN, "who is on each picture"),
        (people(["a"]), "two people"),
        (people(["a", "b", ""]), "take data with subjects"),
    ],
)
def test_an_adversary_without_people_is_refused(train: FaceDataset, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        fit(Blank(identity=2, hidden=2), train, VAL, recipe(adversary=1.0), device="cpu")


@pytest.mark.parametrize("net", [model(), Blank(identity=3, hidden=3)])
def test_a_network_without_a_fitting_adversary_is_refused(net: torch.nn.Module) -> None:
    with pytest.raises(ConfigError, match="identities=2"):
        fit(net, people(["a", "b"]), VAL, recipe(adversary=1.0), device="cpu")


@pytest.mark.parametrize("augment", [Augment(), Augment(degrees=5, erase=0.5)])
def test_progressive_sizes(augment: Augment) -> None:
    seen: list[int] = []

    class Spy(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = create_model("mien-nano", num_classes=3)

        def forward(self, x: torch.Tensor) -> Output:
            if self.training:
                seen.append(x.shape[3])
            else:
                assert x.shape[2:] == (48, 48)
            out: Output = self.net(x)
            return out

    fit(Spy(), TRAIN, VAL, recipe(epochs=4, sizes=[[0, 32], [0.5, 48]], augment=augment, ema=0.0), device="cpu")
    assert seen == [32] * 8 + [48] * 8


@pytest.mark.parametrize("weighting", [0.0, 0.5, 1.0])
def test_class_weights_are_the_inverse_frequency_to_a_power(weighting: float) -> None:
    """A network that gives one fixed answer has a loss that can be reckoned by hand."""
    labels = np.array([0] * 8 + [1] * 4 + [2] * 4, np.int64)
    faces = replace(TRAIN.take(slice(0, 16)), labels=labels)
    logits = torch.tensor([2.0, 0.0, -1.0])

    class Fixed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logits = torch.nn.Parameter(logits.clone())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.logits.expand(len(x), 3)

    loss = first_loss(Fixed(), faces, class_weighting=weighting, augment=Augment())
    weight = (16 / (3 * torch.tensor([8.0, 4.0, 4.0]))) ** weighting
    own = weight[torch.from_numpy(labels)] * -logits.log_softmax(0)[torch.from_numpy(labels)]
    assert loss == pytest.approx(float(own.mean()), rel=1e-5)


def test_class_weights_lift_a_rare_class() -> None:
    labels = np.where(np.arange(80) % 10, np.arange(80) % 2, 2)  # one in ten, and nothing in the pictures tells which
    noise = np.random.default_rng(0).integers(0, 256, (80, 48, 48)).astype(np.uint8)
    faces = FaceDataset(noise, NAMES, labels.astype(np.int64))
    plain = recipe(ema=0.0, augment=Augment(), optimizer=Optimizer("sgd", lr=0.05))
    mean, std = faces.statistics
    share = []
    for r in (plain, replace(plain, class_weighting=1.0)):
        deployed, _ = fit(model(), faces, faces, r, device="cpu")
        share.append(predict(deployed, noise[::-1], mean=mean, std=std)[:, 2].mean())
    assert share[1] > 1.3 * share[0]


def test_unlabelled_rows_and_other_classes_are_refused() -> None:
    with pytest.raises(ConfigError, match="needs a label"):
        fit(model(), replace(TRAIN, labels=None), VAL, recipe(), device="cpu")
    with pytest.raises(ConfigError, match="same classes"):
        fit(model(), TRAIN, replace(VAL, names=("a", "b", "c")), recipe(), device="cpu")


def test_schedule_rises_and_falls() -> None:
    r = recipe(epochs=10, optimizer=Optimizer("sgd", lr=1.0, schedule="cosine", warmup=2))
    points = [schedule(e, r) for e in (0, 1, 2, 6, 10, 11)]
    assert points[0] < 0.01 < points[1] < points[2] == 1.0
    assert points[3] == pytest.approx(0.5)
    assert points[4] == points[5] == pytest.approx(0)
    linear = replace(r, optimizer=replace(r.optimizer, schedule="linear"))
    assert schedule(6, linear) == pytest.approx(0.5)
    assert schedule(9, replace(r, optimizer=replace(r.optimizer, schedule="constant"))) == 1.0


def test_parameter_groups() -> None:
    net = model()
    optimizer, rates = make_optimizer(net, recipe())
    assert sum(len(g["params"]) for g in optimizer.param_groups) == len(list(net.parameters()))
    assert sorted(set(rates)) == pytest.approx([0.006, 0.02])
    for group in optimizer.param_groups:
        assert all((p.ndim > 1) == (group["weight_decay"] > 0) for p in group["params"])


def test_ema_follows_its_formula() -> None:
    net = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        net.weight.fill_(0.0)
    ema = EMA(net, 0.5)
    with torch.no_grad():
        net.weight.fill_(1.0)
    ema.update(0)
    assert ema.tensors["weight"].item() == pytest.approx(0.9)  # young: decay (1 + 0) / (10 + 0)
    ema.update(1000)
    assert ema.tensors["weight"].item() == pytest.approx(0.95)


def test_spread_of_theta() -> None:
    assert spread(None) == 0
    assert spread(torch.ones(5, 2, 3)) == 0
    theta = torch.zeros(4, 2, 3)
    theta[:, 0, 0] = torch.tensor([0.0, 1.0, 2.0, 3.0])
    assert spread(theta) == pytest.approx(np.std([0, 1, 2, 3], ddof=1) / 6)


def test_views_average_probabilities() -> None:
    net = model().eval()
    kw = {"mean": 0.5, "std": 0.25}
    one = predict(net, VAL.images, **kw)
    mirrored = predict(net, VAL.images[:, :, ::-1], **kw)
    np.testing.assert_allclose(predict(net, VAL.images, views=2, **kw), (one + mirrored) / 2, atol=1e-6)
    with pytest.raises(ConfigError, match=r"1\.\.10"):
        predict(net, VAL.images, views=11, **kw)


def test_devices() -> None:
    assert pick_device("cpu").type == "cpu"
    with pytest.raises(ConfigError, match="device must be"):
        pick_device("abacus")


def test_empty_state_begins_at_the_start() -> None:
    assert State().step == 0
    assert State().history == []


def test_a_run_from_before_a_key_was_added_goes_on(tmp_path: Path) -> None:
    run(recipe(epochs=1), TRAIN, VAL, out=tmp_path, device="cpu")
    state, about = load_state(tmp_path / "state.safetensors")
    del about["recipe"]["adversary"]
    save_state(tmp_path / "state.safetensors", state, about)
    assert len(run(recipe(epochs=1), TRAIN, VAL, out=tmp_path, device="cpu", resume=True).history) == 1
    with pytest.raises(ConfigError, match=r"recipe\.adversary 0\.0 -> 1\.0"):
        run(recipe(epochs=1, model="adversarial", adversary=1.0), TRAIN, VAL, out=tmp_path, device="cpu", resume=True)


@pytest.mark.parametrize(
    ("train", "classes", "words"),
    [
        (TRAIN.resized(100), len(NAMES), "cannot take faces of 100 x 100 pixels"),
        (TRAIN, len(NAMES) + 1, f"tells {len(NAMES) + 1} classes apart and the data have {len(NAMES)}"),
        (TRAIN.take(np.arange(1)), len(NAMES), "too few faces"),
    ],
)
def test_what_cannot_be_learnt_is_refused_before_the_first_step(train: FaceDataset, classes: int, words: str) -> None:
    network = create_model("deep-emotion-2019", num_classes=classes)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    with pytest.raises(ConfigError, match=words):
        fit(network, train, VAL.resized(train.size[0]), recipe(model="deep-emotion-2019"))
    assert network.training
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
