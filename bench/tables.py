"""Figures in README.md, docs/ and the heads of the recipes, written from results/: ``python bench/tables.py``.

docs/results.md is made whole, from what ``mien compare`` left in results/compare-NAME.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mien.benchmark import METHODS, Row, markdown
from mien.evaluation.metrics import mean_and_spread
from mien.files import write_text
from mien.reporting import plots

ROOT = Path(__file__).resolve().parents[1]
RESULTS, DOCS = ROOT / "results", ROOT / "docs"
NETWORKS = (
    "mien-base",
    "mien-small",
    "mien-small-scratch",
    "mien-nano",
    "deep-emotion-2019",
    "deep-emotion-2019-distilled",
    "report",
)
COMPARED = {"fer2013": "FER2013, judged on PublicTest", "drawn": "Drawn faces of people it has not seen, for FERG"}
FERPLUS = tuple(f"{name}-ferplus" for name in NETWORKS)


def main() -> None:
    for file, tables in (
        (
            ROOT / "README.md",
            {
                "results": _results(),
                "ferplus": _ferplus(),
                "networks": _networks(),
                "speed": _speed(),
                "compare": _side_by_side(),
                "faithfulness": _faithfulness(),
                "wild": _wild(),
            },
        ),
        (
            ROOT / "docs" / "log.md",
            {
                "trials": _trials("2019"),
                "family trials": _trials("family"),
                "six teachers": _teachers("six"),
                "six students": _students("six"),
                "copies": _trials("copies"),
                "graph": _graph(),
                "teachers": _teachers("eight"),
                "students": _students("eight"),
                "words": _words(),
            },
        ),
    ):
        text = file.read_text(encoding="utf-8")
        for name, table in tables.items():
            start, end = f"<!-- {name}: written by bench/tables.py -->", f"<!-- /{name} -->"
            before, rest = text.split(start)
            text = f"{before}{start}\n\n{table}\n\n{end}{rest.split(end)[1]}"
        write_text(file, text)
    write_text(DOCS / "results.md", _compared())
    for file in sorted((ROOT / "src" / "mien" / "recipes").glob("*.toml")):
        record = _record(file.stem)
        expected = _expected(record) if record is not None else _expected_by_comparison(file.stem)
        if expected is None:
            continue
        lines = file.read_text(encoding="utf-8").splitlines()
        at = next(i for i, line in enumerate(lines) if line.startswith("# Expected"))
        lines[at] = expected
        write_text(file, "\n".join(lines) + "\n")


def _compared() -> str:
    """Every comparison in full, with the methods that are still missing."""
    parts = [
        "# The report's tables, run again\n\nEvery method that the report names, trained and judged by `mien compare` "
        "under one protocol; written by `bench/tables.py` from `results/`. The report's figures come from different "
        "papers, with other protocols, other training data and, for FER2013, the easier PrivateTest part. Times were "
        "taken on a machine that did other work too.\n"
    ]
    for name, title in COMPARED.items():
        parts.append(f"## {title}\n")
        record = _record(f"compare-{name}")
        if record is None:
            parts.append("Not run yet.\n")
            continue
        rows = _rows(record)
        missing = _missing(record, rows)
        picture = plots.speed(
            {r.method: (r.faces_per_second, r.scored) for r in rows if not r.error}, DOCS / f"compare-{name}.png"
        )
        parts.append(f"![Accuracy against speed]({picture.name})\n")
        parts.append(markdown(rows, [*record["left_out"], *(f"{n}: not yet" for n in missing)]))
    return "\n".join(parts)


def _missing(record: dict[str, Any], rows: list[Row]) -> list[str]:
    """The methods that the data allow and that were not run."""
    known = "identities unknown" not in record["conditions"]
    done = {r.method for r in rows}
    return [n for n, m in METHODS.items() if n not in done and not _left_out(record, n) and (known or not m.people)]


def _rows(record: dict[str, Any]) -> list[Row]:
    return [Row(**{k: v for k, v in row.items() if k != "against"}) for row in record["rows"]]


def _side_by_side() -> str:
    """The report's two tables, its figure beside ours, and the best of the older two-step way."""
    parts = []
    for data, name, of in (
        ("FER2013", "fer2013", "mien on PublicTest"),
        ("FERG", "drawn", "mien on drawn faces, at most 3 min of training each"),
    ):
        if (record := _record(f"compare-{name}")) is None:
            continue
        lines = [f"| method | report, {data} | {of} | 95 % interval |", "| --- | --- | --- | --- |"]
        scored = sorted((r for r in _rows(record) if not r.error), key=lambda r: -r.scored.accuracy)
        older = next((r.method for r in scored if r.method.split("-")[0] in ("hog", "lbp", "sift", "haar")), "")
        for row in scored:
            reported = METHODS[row.method].reported.get(data)
            if reported is None and row.method != older:
                continue
            said = f"{reported:.2f}".rstrip("0").rstrip(".") if reported else "named, no figure"
            low, high = row.scored.accuracy_ci95
            accuracy = f"{100 * row.scored.accuracy:.1f}"
            lines.append(f"| `{row.method}` | {said} | {accuracy} | {100 * low:.1f} to {100 * high:.1f} |")
        parts.append("\n".join(lines))
        missing = [f"`{n}`" for n in _missing(record, scored) if data in METHODS[n].reported]
        parts.append(
            f"One seed, one view, {scored[0].scored.n:,} faces judged; {scored[0].conditions['protocol']}."
            + (f" Not run yet: {', '.join(missing)}." if missing else "")
        )
    return "\n\n".join(parts) or "Not run yet."


def _left_out(record: dict[str, Any], name: str) -> bool:
    return any(line.startswith(f"{name}:") for line in record["left_out"])


def _record(name: str) -> dict[str, Any] | None:
    file = RESULTS / f"{name}.json"
    return json.loads(file.read_text()) if file.is_file() else None


def _minutes(record: dict[str, Any]) -> float:
    return mean_and_spread([s["training_minutes"] for s in record["seeds"]])[0]


def _expected(record: dict[str, Any]) -> str:
    s = record["summary"]
    return (
        f"# Expected on PublicTest: {_mean(s['accuracy_views1'])} %, 10 views {_mean(s['accuracy_views10'])} % "
        f"({len(record['seeds'])} seeds{_learnt(record)}), {_minutes(record):.0f} min on {_place(record)}"
    )


def _place(record: dict[str, Any]) -> str:
    return "a GPU" if "NVIDIA" in record["hardware"] else "one core"


def _learnt(record: dict[str, Any]) -> str:
    """Where seeds have not learnt all of Training."""
    return f"; trained on {record['trained_on']}" if "trained_on" in record else ""


def _expected_by_comparison(name: str) -> str | None:
    """For a network that only ``mien compare`` has trained: one seed."""
    for data, of in (("fer2013", "PublicTest"), ("drawn", "drawn faces, 3 minutes of training")):
        for row in _rows(_record(f"compare-{data}") or {"rows": []}):
            if row.method == name and not row.error and METHODS[name].settings(0).get("model"):
                if data == "drawn" and not METHODS[name].people:
                    continue  # for want of time, not a network's level
                return (
                    f"# Expected on {of}: {100 * row.scored.accuracy:.1f} % (one seed), "
                    f"{row.fit_seconds / 60:.0f} min on one core"
                )
    return None


def _results() -> str:
    rows = [
        "| network | parameters | PublicTest | 10 views | clean | spread of theta | training |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    records = [r for r in map(_record, NETWORKS) if r is not None]
    for record in records:
        s, seeds = record["summary"], record["seeds"]
        theta = [x["last_epoch"]["theta_spread"] for x in seeds]
        cells = [
            f"`{record['name']}`",
            f"{seeds[0]['parameters']:,}",
            *(_mean(s[k]) for k in ("accuracy_views1", "accuracy_views10", "clean_views1")),
            "none"
            if seeds[0]["recipe"]["options"].get("transformer") == "none"
            else f"{min(theta):.3f} to {max(theta):.3f}",
            f"{seeds[0]['epochs']} epochs, {_minutes(record):.0f} min on {_place(record)}"
            + (", distilled" if seeds[0].get("teachers") else "")
            + _learnt(record),
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(
        [*rows, "", _conditions(records, "1", "without images that have an exact or near copy in Training")]
    )


def _ferplus() -> str:
    rows = [
        "| network | strict majority | 10 views | arg-max | 10 views | clean, strict majority |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    records = [r for r in map(_record, FERPLUS) if r is not None]
    keys = (
        "majority accuracy_views1",
        "majority accuracy_views10",
        "argmax accuracy_views1",
        "argmax accuracy_views10",
    )
    for record in records:
        s = record["summary"]
        cells = [f"`{record['name']}`", *(_mean(s[k]) for k in (*keys, "majority clean_views1"))]
        rows.append("| " + " | ".join(cells) + " |")
    if not records:
        return "Not measured yet."
    argmax = records[0]["seeds"][0]["reports"]["argmax 1"]["n"]
    return "\n".join([*rows, "", _conditions(records, "majority 1", f"strict majority; arg-max n = {argmax:,}")])


def _networks() -> str:
    record = _record("bench_networks")
    if record is None:
        return "Not measured yet."
    rows = [
        "| network | weights | parameters | 10^6 multiply-adds | file, kB | one face, ms | faces/s, batches of 32 |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in record["networks"]:
        times = r["times_reference"]
        rows.append(
            f"| {r['name']} | {r['precision']} | {r['parameters']:,} | {r['mmac']:.1f} | {r['kB']:,.0f} | "
            f"{r['batch1_ms']:.2f} (speed x {times['batch1']:.2f}) | "
            f"{r['batch32_faces_per_second']:,.0f} (x {times['batch32']:.2f}) |"
        )
    c = record["conditions"]
    note = (
        f"One thread of {c['cpu']}, onnxruntime {c['versions']['onnxruntime']}, all in one run, {c['date'][:10]}; in "
        "brackets the speed as a multiple of mini-Xception's (Arriaga et al. 2017), written by us, with random "
        "weights: only its speed is measured."
    )
    return "\n".join([*rows, "", note])


def _conditions(records: list[dict[str, Any]], key: str, clean: str) -> str:
    counts = sorted({len(r["seeds"]) for r in records})
    report = records[0]["seeds"][0]["reports"][key]
    hardware = "; ".join(sorted({r["hardware"] for r in records}))
    dates = sorted({s["reports"][key]["conditions"]["date"] for r in records for s in r["seeds"]})
    return (
        f"Accuracy in %, mean ± standard deviation over {' or '.join(map(str, counts))} seeds, n = {report['n']:,} "
        f"({report['clean']['n']:,} clean: {clean}); weights of the last epoch; fingerprint of PublicTest "
        f"{report['conditions']['fingerprint']}; {hardware}; mien {report['conditions']['mien']}, torch "
        f"{report['conditions']['torch']}, {' to '.join(dict.fromkeys((dates[0], dates[-1])))}."
    )


def _mean(entry: dict[str, float]) -> str:
    spread = "" if entry["sd"] is None else f" ± {100 * entry['sd']:.1f}"
    return f"{100 * entry['mean']:.1f}{spread}"


def _speed() -> str:
    read, train, predict, drawn = (
        json.loads((RESULTS / f"{n}.json").read_text())
        for n in ("bench_read_csv", "bench_train_throughput", "bench_predict", "synthetic_baseline")
    )
    ways, cold, warm = read["ways"], predict["cold"], predict["warm"]
    usual, ours = train["usual"]["images_per_second"], train["ours"]["images_per_second"]
    rows = [
        "| what | the usual way | mien | ratio |",
        "| --- | --- | --- | --- |",
        f"| reading FER2013, {read['csv_bytes'] / 1e6:.0f} MB of CSV | {ways['tutorial']['seconds']:.1f} s, "
        f"{ways['tutorial']['peak_mb']:.0f} MB (pandas, then `split` for each row) | {ways['cold']['seconds']:.1f} s, "
        f"{ways['cold']['peak_mb']:.0f} MB | {read['tutorial_over_cold']:.1f} |",
        f"| the same again, from the cache | | {ways['cached']['seconds']:.2f} s | |",
        f"| training the 2019 network, {train['conditions']['threads']} threads | {usual:,.0f} images/s (PNG files, "
        f"one-image transforms, DataLoader, float32) | {ours:,.0f} images/s | {train['ratio']:.1f} |",
        *_family_row(),
        f"| first answer on a photo, from a cold start | | {cold['median_s']:.2f} s | |",
        f"| a photo afterwards, nearly all of it finding the face | | {warm['predict_ms']:.0f} ms | |",
        f"| the network alone, one face | | {warm['classify_1_ms']:.2f} ms | |",
        "",
        f"{train['conditions']['cpu']}, {train['conditions']['cpus']} cores, Python {read['python']}. On drawn faces "
        f"of people it has not seen, the 2019 network reaches {100 * drawn['network']['accuracy']:.1f} % and logistic "
        f"regression on pixels {100 * drawn['linear']['accuracy']:.1f} % (n = {drawn['images']['validation']:,}): the "
        "embedded data is a lesson, not a benchmark.",
    ]
    return "\n".join(rows)


def _faithfulness() -> str:
    record = _record("faithfulness")
    if record is None:
        return "Not measured yet."
    names = {
        "occlusion": "what decided, by covering",
        "attention": "where it attended",
        "centre": "the middle of the crop first",
        "another face": "another face's map",
        "random": "random order",
    }
    rows = ["| order | deletion, less is better | insertion, more is better |", "| --- | --- | --- |"]
    for key, name in names.items():
        areas = [record["orders"][key][kind] for kind in ("deletion", "insertion")]
        cells = [f"{a['mean']:.3f} ({a['ci95'][0]:.3f} to {a['ci95'][1]:.3f})" for a in areas]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    note = (
        f"Area under the class's probability, mean and 95 % interval over {record['n']} faces of {record['split']} "
        f"(seed {record['seed']}, {record['random_orders']} random orders a face), `{record['model']}`; after Petsiuk "
        f"et al. 2018 (RISE); {record['conditions']['date']}."
    )
    return "\n".join([*rows, "", note])


def _wild() -> str:
    """Videos and the server, each beside what a user would write."""
    video, serve = _record("bench_video"), _record("bench_serve")
    if video is None or serve is None:
        return "Not measured yet."
    speed, memory = video["speed"], video["memory"]
    rows = ["| what | the obvious way | mien | ratio |", "| --- | --- | --- | --- |"]
    loop = speed["obvious loop, 2 threads"]["frames_per_s"]
    for name, words in (
        ("predict_video", "whole picture every 0.2 s, windows between"),
        ("predict_video, whole picture at 640 px in every frame", "whole picture at 640 pixels in every frame"),
    ):
        ours = speed[name]
        rows.append(
            f"| {video['video']}: {words} | {loop:.0f} frames/s (OpenCV, `predict` for each frame) | "
            f"{ours['frames_per_s']:.0f} frames/s | {ours['times_the_obvious_loop']:.1f} |"
        )
    rows.append(
        f"| memory, {memory['frames']:,} frames | | {memory['peak_mb_at_5_percent']:.0f} MB at 5 % of them, "
        f"{memory['peak_mb_at_100_percent']:.0f} MB at the end | |"
    )
    for name, found in serve["results"].items():
        ours, plain = found["mien"], found["plain"]
        who = name.replace("1 clients", "one client")
        rows.append(
            f"| server, {who} | {plain['requests_per_s']:.0f} requests/s (FastAPI, one `Predictor`) | "
            f"{ours['requests_per_s']:.0f} requests/s, half within {ours['ms_p50']:.0f} ms | "
            f"{found['mien_over_plain']['median']:.2f} |"
        )
    shares = sorted(video["parts"]["share"].items(), key=lambda item: -item[1])
    said = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares if share >= 0.01)
    boxes = video["quality"]["windows, 640 px every 0.2 s"]
    note = (
        f"{video['conditions']['cpus']} cores, {video['model']}. Processor time of a video: {said}. The boxes overlap "
        f"those of a full search by {100 * boxes['iou_mean']:.0f} % (IoU), with the same label in "
        f"{100 * boxes['same_label']:.0f} % of {video['quality']['frames']} frames."
    )
    return "\n".join([*rows, "", note])


def _family_row() -> list[str]:
    """Training mien-small beside a ResNet18 in the usual loop: another network, so the multiply-adds are told too."""
    if (record := _record("bench_train_family")) is None:
        return []
    usual, ours = (
        f"{record[way]['images_per_second']:,.0f} images/s, {record[way]['training_gmac_per_second']:,.0f} GMAC/s"
        for way in ("usual", "ours")
    )
    own, others = record["ours"]["mmac"], record["usual"]["mmac"]
    return [
        f"| training, {record['conditions']['threads']} threads | {usual} (a plain ResNet18 of {others:,.0f} million "
        f"multiply-adds, same loop) | {ours} (`mien-small` at 48 pixels, {own:.0f} million) | {record['ratio']:.1f} |"
    ]


def _teachers(group: str) -> str:
    """The members of an ensemble, each kind of them, and its mean."""
    record = _record(f"teachers-{group}")
    if record is None:
        return "Not measured yet."
    rows = [
        "| teacher | PublicTest | 10 views | clean | strict majority, 10 views | faces it has not seen | has seen |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    unseen, seen = (
        " to ".join(f"{100 * f(m[k] for m in record['members']):.1f}" for f in (min, max))
        if k in record["members"][0]
        else ""
        for k in ("right_unseen", "right_seen")
    )
    for kind, plus in zip(record.get("kinds", []), record.get("kinds-ferplus", []), strict=True):
        s, own = kind["summary"], plus["summary"]
        where = "on the feature map" if kind["options"].get("transformer") == "feature" else "on the input"
        rows.append(
            f"| transformer {where} ({_plural(s['accuracy_views1']['n_seeds'])}) | {_mean(s['accuracy_views1'])} | "
            f"{_mean(s['accuracy_views10'])} | {_mean(s['clean_views1'])} | {_mean(own['majority accuracy_views10'])} "
            "| | |"
        )
    s, plus = record["summary"], record["summary-ferplus"]
    rows.append(
        f"| one of {len(record['members'])} | {_mean(s['accuracy_views1'])} | {_mean(s['accuracy_views10'])} | "
        f"{_mean(s['clean_views1'])} | {_mean(plus['majority accuracy_views10'])} | {unseen} | {seen} |"
    )
    one, ten = record["mean"]["1"], record["mean"]["10"]
    said = [
        one["accuracy"],
        ten["accuracy"],
        one["clean"]["accuracy"],
        record["mean-ferplus"]["majority 10"]["accuracy"],
    ]
    cells = " | ".join(f"{100 * value:.1f}" for value in said)
    targets = f"{100 * record['targets']['right']:.1f}" if "targets" in record else ""
    rows.append(f"| the mean of them | {cells} | {targets} | |")
    return "\n".join([*rows, "", f"{record['hardware']}; n = {one['n']:,}."])


def _students(group: str) -> str:
    """Networks that follow the teachers, beside the same networks as they were published before."""
    record = _record(f"students-{group}")
    if record is None:
        return "Not measured yet."
    # mien-base had another shape when it was a student
    before = {"mien-small": "mien-small-scratch", "mien-nano": "mien-nano-with-transformer", "mien-base": "-"}
    rows = [
        "| network | which | epochs | PublicTest | clean | before: epochs | PublicTest | clean |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for run in record["runs"]:
        share = run.get("share")
        counted = f"weight {share:g}" if share else "silent"
        what = run.get("what", f"those that have learnt a face: {counted}")
        groups.setdefault((run["network"], what), []).append(run)
    for (network, which), runs in groups.items():
        figures = []
        for key in ("accuracy", "clean"):
            mean, sd = mean_and_spread([r[key] for r in runs])
            figures.append(_mean({"mean": mean, "sd": sd}))
        known = _record(before.get(network, network))
        published = ["", "", ""]
        if known is not None:
            own = known["summary"]
            published = [str(known["seeds"][0]["epochs"]), _mean(own["accuracy_views1"]), _mean(own["clean_views1"])]
        cells = [f"`{network}`", which, f"{runs[0]['epochs']} ({_plural(len(runs))})", *figures, *published]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join([*rows, "", f"{record['conditions']}."])


def _graph() -> str:
    """What a CUDA graph of the step saves."""
    record = json.loads((RESULTS / "bench_graph.json").read_text())
    rows = [
        "| network | which | batch | kernels one by one, ms a step | as a graph, ms | ratio |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for s in record["steps"]:
        rows.append(
            f"| `{s['network']}` | {s['what']} | {s['batch_size']} | {s['eager_ms']:.1f} | {s['graph_ms']:.1f} | "
            f"{s['eager_ms'] / s['graph_ms']:.1f} |"
        )
    return "\n".join([*rows, "", f"Conditions: {record['conditions']}."])


def _words() -> str:
    """What was tried for the bag of visual words."""
    record = json.loads((RESULTS / "trials_bow.json").read_text())
    rows = ["| bags of words, linear SVM | C | faces to learn from | PublicTest |", "| --- | --- | --- | --- |"]
    for t in record["trials"]:
        rows.append(f"| {t['what']} | {t['C']:g} | {t['faces']:,} | {100 * t['accuracy']:.1f} |")
    return "\n".join([*rows, "", f"Conditions: {record['conditions']}."])


def _plural(seeds: int) -> str:
    return "one seed" if seeds == 1 else f"{seeds} seeds"


def _trials(name: str) -> str:
    record = json.loads((RESULTS / f"trials_{name}.json").read_text())
    rows = [
        "| trial | epochs done | validation accuracy after each, % | spread of theta | images/s, median |",
        "| --- | --- | --- | --- | --- |",
    ]
    for t in record["trials"]:
        history = t["history"]
        accuracy = ", ".join(f"{100 * e['val_accuracy']:.1f}" for e in history)
        rate = sorted(e["images_per_second"] for e in history)[len(history) // 2]
        done = f"{len(history)} of {t['recipe']['epochs']}"
        rows.append(f"| {t['what']} | {done} | {accuracy} | {history[-1]['theta_spread']:.3f} | {rate:,.0f} |")
    return "\n".join([*rows, "", f"Conditions: {record['conditions']}."])


if __name__ == "__main__":
    main()
