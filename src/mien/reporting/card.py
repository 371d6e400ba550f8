"""The model card: what a set of weights is, how good, and what it must not be used for, written from its evaluation.

:func:`model_card` after Mitchell et al. 2019, "Model Cards for Model Reporting", arXiv 1810.03993. Every figure comes
from the spec and its reports; the words about intended use and limits are shared with the HTML report.
Leaves out: evaluating (``mien.evaluation``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mien.evaluation.metrics import Report, Robustness, mean_and_spread
from mien.reporting.card_faces import moderate, pose_section, robustness_section
from mien.reporting.markdown import bullets, percent, plain, section
from mien.spec import Head, ModelSpec, Scale

__all__ = ["INTENDED", "LIMITS", "data_terms", "model_card", "with_interval"]

#: What the networks are for.
INTENDED = (
    "Research, teaching and measuring methods on public data.",
    "Software that a person uses on pictures of themselves or of people who agreed, where a wrong answer does no harm.",
    "A starting point for training on your own data, which you then evaluate on your own data.",
)

#: What they must not be used for, and why their answers are limited.
LIMITS = (
    "An expression is not an emotion. The network names what a face looks like to a tagger; it can't know what a "
    "person feels, thinks or intends (Barrett et al. 2019, Psychological Science in the Public Interest 20, 1-68).",
    "Not for decisions about people: not for hiring, policing, border control, credit, insurance, education or "
    "watching a workplace.",
    "In the European Union, Article 5(1)(f) of the AI Act (Regulation 2024/1689) prohibits AI systems that infer "
    "emotions of people at work or in education, except for medical or safety reasons.",
    "Not for diagnosis. It is no medical device.",
    "The data are not balanced by age, sex, skin tone, head pose, glasses or light, so errors will differ between "
    "groups of people; this evaluation doesn't measure by how much.",
    "The score holds for pictures like those of the test split. Expect less on other cameras, poses and ages.",
)

_PAPERS = {
    "deep-emotion-2019": "Minaee & Abdolrashidi 2019, Deep-Emotion: Facial Expression Recognition Using Attentional "
    "Convolutional Network, https://arxiv.org/abs/1902.01019"
}
_TERMS = (
    (
        "synthetic",
        "Drawn by mien.data.synthetic; no picture of a person is in it. Scores on it say that training works, not "
        "how good the network is on photographs.",
    ),
    (
        "ferplus",
        "FER+ (Barsoum et al. 2016, arXiv 1608.01041): ten taggers' votes for each FER2013 picture; the pictures' "
        "terms are those of FER2013.",
    ),
    (
        "fer2013",
        "FER2013 (Goodfellow et al. 2013, arXiv 1307.0414): pictures found by web search and given out for a research "
        "competition. Rights in the pictures stay with their owners, the people on them were not asked, and the labels "
        "are noisy: the same authors measured people at 65 ± 5 % on it. Some test pictures have a near-duplicate in "
        "Training; the clean column leaves them out.",
    ),
)


def model_card(
    spec: ModelSpec,
    reports: Iterable[Report] | None = None,
    *,
    parameters: int | None = None,
    file_bytes: int | None = None,
    seeds: Mapping[str, Sequence[float]] | None = None,
    head_seeds: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
    robustness: Mapping[str, Any] | None = None,
    head_robustness: Mapping[str, Mapping[str, Any]] | None = None,
    tilt: Mapping[str, Any] | None = None,
    float_weights: Mapping[str, Any] | None = None,
) -> str:
    """The card as Markdown.

    reports     evaluations to show, best-known split first; from ``spec.scores`` where not given
    parameters  of the deployed network
    file_bytes  size of the weights file
    seeds       split -> accuracy (0..1) of each seed's run, for mean and spread
    head_seeds  the same for each head alone, by its name
    robustness  ``metrics.Robustness.to_dict()``, accuracy on corrupted images; without it the section is left out
    head_robustness  the same for each head alone, by its name
    float_weights  what bench/export/float_weights.py found about the weights that training starts from
    tilt        what bench/runtime/tilt.py found about tilted and turned heads; without it the card says that nobody did
    """
    if reports is None:
        named = [(key.partition(", ")[0], Report.from_dict(raw)) for key, raw in spec.scores.items()]
    else:
        named = [(r.split, r) for r in reports]
    shown = [r for _, r in named]
    parts = [
        f"# Model card: {plain(spec.name)}\n",
        section("What it is", _facts(spec, parameters, file_bytes, float_weights)),
        section("Data", _data(spec)),
        section("Scores", _scores(named) + _seeds(seeds or {})),
        *(_per_class(*pair) for pair in named[:1]),
        *([section("Calibration", _calibration(spec))] if "threshold" in spec.calibration else []),
        *([section("How both heads make one answer", _answer(spec))] if spec.answer else []),
        *(_head(h, (head_seeds or {}).get(h.name, {}), (head_robustness or {}).get(h.name)) for h in spec.heads),
        *(_reliability(*pair) for pair in named[:1]),
        *([robustness_section(Robustness.from_dict(robustness))] if robustness is not None else []),
        pose_section(tilt),
        section("Intended use", bullets(INTENDED)),
        section("Limits", bullets(LIMITS)),
        section("Licence", plain(spec.licence) or "Not stated: ask the authors before you use the weights."),
        section("Conditions", _conditions(spec, shown)),
    ]
    return "\n".join(parts)


def data_terms(data: Mapping[str, Any]) -> str:
    """What may be said about a data set of which ``ModelSpec.data`` tells: origin, rights, noise; "" where unknown."""
    words = " ".join(str(v) for v in data.values()).lower().replace("fer+", "ferplus")
    return " ".join(text for key, text in _TERMS if key in words)


def with_interval(report: Report | None) -> str:
    """Accuracy with its 95 % interval: ``"65.31 % (63.7 to 66.9)"``; a dash where there is no report."""
    if report is None:
        return "–"
    low, high = report.accuracy_ci95
    return f"{percent(report.accuracy)} ({100 * low:.1f} to {100 * high:.1f})"


def _facts(
    spec: ModelSpec, parameters: int | None, file_bytes: int | None, float_weights: Mapping[str, Any] | None
) -> str:
    kind = str(spec.model.get("name", ""))
    rows = {
        "Task": f"names the expression of one face, {len(spec.labels)} classes: {', '.join(spec.labels)}",
        "Network": kind or spec.name,
        "Paper": _PAPERS.get(kind, ""),
        "Parameters": f"{parameters:,}" if parameters else "",
        "Size of the file": f"{file_bytes / 1024:,.0f} KiB" if file_bytes else "",
        "Input": f"{spec.size} x {spec.size} pixels, {'grey' if spec.channels == 1 else 'RGB'}, "
        f"mean {_numbers(spec.mean)} and standard deviation {_numbers(spec.std)} on the 0..1 scale",
        "Output": "one probability a class: softmax of the logits, in an exported file divided by the temperature",
    }
    lines = [f"{key}: {plain(value)}" for key, value in rows.items() if value]
    return bullets(lines + ([] if float_weights is None else [_float_weights(float_weights)]))


def _numbers(value: Scale) -> str:
    return ", ".join(f"{v:.4f}" for v in (value if isinstance(value, tuple) else (value,)))


def _float_weights(found: Mapping[str, Any]) -> str:
    split, figures = next((k, v["default answer"]) for k, v in found.items() if isinstance(v, Mapping))
    return (
        f"Weights to train from: {plain(found['weights'])}, in half precision, {found['bytes'] / 1024:,.0f} KiB "
        "(`mien train finetune --init`); on "
        f"{split} {percent(figures['float'])} right where this file has {percent(figures['shipped'])}, and the same "
        f"answer for {percent(figures['same answer'])} of the faces"
    )


def _data(spec: ModelSpec) -> str:
    shown = {k: v for k, v in spec.data.items() if k != "learnt" and v not in (None, "")}  # a sketch, for machines
    rows = bullets(f"{plain(k)}: {plain(v)}" for k, v in shown.items())
    terms = data_terms(spec.data) or "Terms not recorded: find out before you use the weights."
    return f"{rows}\n\n{terms}" if rows else terms


def _scores(reports: Sequence[tuple[str, Report]]) -> str:
    if not reports:
        return "Not evaluated: run `mien evaluate`."
    columns = "Split", "Views", "Images", "Accuracy (95 % interval)", "Clean accuracy", "Macro-F1", "Log loss", "ECE"
    rows = [
        f"| {plain(name) or '–'} | {plain(r.conditions.get('views', '–'))} | {r.n:,} | {with_interval(r)} | "
        f"{with_interval(r.clean)} | {r.macro_f1:.3f} | {r.log_loss:.3f} | {percent(r.ece)} |"
        for name, r in reports
    ]
    notes = (
        "Intervals are Wilson's, over the images of one run. Clean leaves out the images with a near-duplicate in "
        "Training. Log loss is in nats; ECE, the expected calibration error, is the mean gap between confidence and "
        "accuracy, taken in 15 bins."
    )
    return "\n".join([f"| {' | '.join(columns)} |", "|" + " --- |" * 8, *rows, "", notes])


def _seeds(seeds: Mapping[str, Sequence[float]]) -> str:
    lines = []
    for split, values in seeds.items():
        mean, spread = mean_and_spread(values)
        if spread is None:
            lines.append(f"One seed, its float weights, {plain(split)}: {100 * mean:.2f} %.")
            continue
        figure = f"{100 * mean:.2f} ± {100 * spread:.2f} % (mean and standard deviation)"
        lines.append(f"Over {len(values)} seeds, {plain(split)}: {figure}.")
    if any(len(values) > 1 for values in seeds.values()):
        lines.append("The weights are those of the seed that did best, so expect the mean rather than their own score.")
    return "\n\n" + "\n".join(lines) if lines else ""


def _per_class(split: str, report: Report) -> str:
    rows = [
        f"| {plain(name)} | {r['n']:,} | {percent(r['recall'])} | {percent(r['precision'])} | {r['f1']:.3f} |"
        for name, r in report.per_class.items()
    ]
    title = f"Per class ({split})" if split else "Per class"
    return section(title, "\n".join(["| Class | Images | Recall | Precision | F1 |", "|" + " --- |" * 5, *rows]))


def _reliability(split: str, report: Report) -> str:
    """The reliability plot in letters, which a terminal and a browser both show: ``#`` accuracy, ``|`` confidence."""
    width = 40
    lines = ["confidence   accuracy   faces   0 %" + " " * (width - 9) + "100 %"]
    for n, confidence, accuracy in report.reliability:
        bar = list(("#" * round(width * accuracy)).ljust(width + 1, "."))
        bar[round(width * confidence)] = "|"
        lines.append(f"{100 * confidence:8.1f} %  {100 * accuracy:7.1f} %  {n:6,}   {''.join(bar)}")
    notes = (
        f"How often the answers were right ({plain(split) or 'one part'}), by how sure the network was: for a "
        "calibrated network the bar of # ends at the |. Bins of few faces scatter."
    )
    return section("Reliability", "\n".join([notes, "", "```text", *lines, "```"]))


def _answer(spec: ModelSpec) -> str:
    """The weights of the mean, and what other weights and balances would have done."""
    (first, second), (one, two) = spec.answer["heads"], spec.answer["weights"]
    balance = spec.answer.get("balance", 0)  # absent in files that were made before there was one
    words = (
        f"The default answer is the weighted geometric mean of the heads' probabilities, {first} with {one:g} and "
        f"{second} with {two:g}, each divided by the share of the class in its labelling to the power of {balance:g}. "
        "Neither labelling is the truth, so both count alike; and nobody knows which mix of expressions a user has, so "
        "rare ones are preferred a little (a balance of 0 would ask for the mix of these faces, 1 take all for equally "
        "likely). The table says what others do on PublicTest's faces without a "
        "near-duplicate in Training. The "
        f'heads alone answer where they are asked for: `Predictor(labels="{first}")`, `labels="{second}"`, and '
        "`Face.heads` has both."
    )
    if "tried" not in spec.answer:
        return words
    columns = ("labels", "others", "agree")
    rows = [
        f"| {row['weight']:g} | {row['balance']:g}{' (taken)' * ((row['weight'], row['balance']) == (one, balance))} | "
        + " | ".join(percent(row[kind + name]) for kind in ("", "recall_") for name in columns)
        + " |"
        for row in spec.answer["tried"]
    ]
    figures = "Accuracy, FER2013's labels | FER+'s majority | Both agree | Mean recall, labels | Majority | Both agree"
    return "\n".join([words, "", f"| Weight of {first} | Balance | {figures} |", "|" + " --- |" * 8, *rows])


def _head(head: Head, seeds: Mapping[str, Sequence[float]], robustness: Mapping[str, Any] | None) -> str:
    """One head alone: its scores, its recall of each class, its calibration, what is left of it on corrupted faces."""
    named = [(key.partition(", ")[0], Report.from_dict(raw)) for key, raw in head.scores.items()]
    parts = [f"Names {len(head.labels)} classes: {', '.join(head.labels)}.", _scores(named) + _seeds(seeds)]
    if named:
        parts.append(_per_class(*named[0]).replace("## ", "### ", 1).rstrip())
    if "threshold" in head.calibration:
        parts.append(f"### Calibration of {plain(head.name)}\n\n{_calibration(head)}")
    if robustness is not None:
        parts.append(robustness_section(Robustness.from_dict(robustness), 3).rstrip())
    return section(f"The head {head.name} alone", "\n\n".join(parts))


def _calibration(spec: ModelSpec | Head) -> str:
    c = spec.calibration
    rows = {
        "Temperature": f"{c['temperature']:.3g}, fitted on {c['n']:,} faces of {c.get('split') or 'one part'}",
        "Scale and shift of each class": _scaling(spec),
        "Right answers": f"{percent(c['accuracy_before'])} before, {percent(c['accuracy'])} after"
        if c.get("scale")
        else "",
        "Expected calibration error": f"{percent(c['ece_before'])} before, {percent(c['ece'])} after" + _chance(c),
        "Log loss": f"{c['log_loss_before']:.3f} nats before, {c['log_loss']:.3f} after",
        "Prediction set": f"the classes with a probability of at least {percent(c['threshold'])}, "
        f"{c['mean_size']:.2f} of {len(spec.labels)} on average",
        "Coverage": f"the prediction set holds the true class for {percent(c['coverage'])} of the faces; "
        f"the target is {percent(c['coverage_target'])}",
        "Corrupted faces": _corrupted(c),
        "Sets of one class": f"{percent(c['singles'])} of the faces"
        + ("" if c["singles_accuracy"] is None else f", and {percent(c['singles_accuracy'])} of these are right"),
    }
    note = (
        f"All but the temperature and the prediction set's least probability is measured by cross-fit in {c['folds']} "
        "parts: each is measured by what was fitted on the rest. Coverage is an average over faces like these; it need "
        "not hold for each class, for each group of people, for stronger corruption or on other pictures."
    )
    return bullets(f"{key}: {plain(value)}" for key, value in rows.items() if value) + f"\n\n{note}"


def _scaling(spec: ModelSpec | Head) -> str:
    """Of the last layer's change, which the weights have in them."""
    scale, shift = (spec.calibration.get(key, ()) for key in ("scale", "shift"))
    told = (f"{name} {a:.2f} {b:+.2f}" for name, a, b in zip(spec.labels, scale, shift, strict=False))
    return f"{', '.join(told)}; fitted on the same faces, and part of the weights" if scale else ""


def _chance(c: Mapping[str, Any]) -> str:
    """What the error would be by chance alone."""
    if "ece_by_chance" not in c:
        return ""
    mean, high = c["ece_by_chance"]
    return f"; by chance a network without any error shows {percent(mean)} on so many faces, up to {percent(high)}"


def _corrupted(c: Mapping[str, Any]) -> str:
    """What the prediction sets promise of corrupted faces, and what the promise costs."""
    found = c.get("corrupted")
    if not found:
        return ""
    return (
        f"moderately corrupted (severity {moderate()} of every kind of mien evaluate --corrupt), a set holds the true "
        f"class for {percent(found['coverage'])} and has {found['mean_size']:.2f} classes on average; the target is "
        f"{percent(found['target'])}. Without it sets would have {c['plain_size']:.2f} classes on faces as they are"
    )


def _conditions(spec: ModelSpec, reports: Sequence[Report]) -> str:
    found: dict[str, Any] = {}
    for report in reports[:1]:
        found.update(report.conditions)
    found.update({f"trained with {k}": v for k, v in spec.versions.items()})
    found.update({f"recipe: {k}": v for k, v in _flat(spec.recipe)})
    return bullets(f"{plain(k)}: {plain(v)}" for k, v in found.items()) or "Not recorded."


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and plain values."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
