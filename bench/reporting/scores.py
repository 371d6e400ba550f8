"""Tables of published networks: scores, heads, corruption; and the line that the head of a recipe expects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bench.reporting.comparison import rows_of
from bench.reporting.records import mean_cell, percent, record_if_there, record_of, seeds_word, table
from mien.benchmark import METHODS
from mien.evaluation.metrics import Robustness, mean_and_spread

__all__ = ["RECORDS", "expected", "expected_by_comparison", "ferplus", "heads", "results", "robust", "summary"]

NETWORKS = (
    "mien-base",
    "mien-base-scratch",
    "mien-small",
    "mien-small-first",
    "mien-small-scratch",
    "mien-nano",
    "mien-nano-first",
    "deep-emotion-2019",
    "deep-emotion-2019-first",
    "deep-emotion-2019-distilled",
    "report",
)
SHOWN = ("mien-base", "mien-small", "mien-nano", "deep-emotion-2019")  # in the README
#: recipe -> the record of its runs, where that has another name: what is shipped was made by a later recipe
RECORDS = {
    "mien-small": "mien-small-first",
    "mien-nano": "mien-nano-first",
    "robust": "mien-small",
    "deep-emotion-2019": "deep-emotion-2019-first",
    "deep-emotion-2019-light": "deep-emotion-2019",
}
_PARTS = ("accuracy_views1", "accuracy_views10", "clean_views1")


def summary() -> str:
    """The README's one table: what each network scores, weighs and costs."""
    rows, records = [], [record_of(name) for name in SHOWN]
    speeds = {row["name"]: row for row in record_of("bench_networks")["networks"]}
    for name, record in zip(SHOWN, records, strict=True):
        speed, votes = speeds.get(name, {}), record_if_there(f"{name}-ferplus")
        shipped = record.get("shipped")
        size = [f"{shipped['bytes'] / 1000:,.0f} kB", f"{speed['batch1_ms']:.2f} ms"] if shipped else ["a recipe", ""]
        scores = [mean_cell(record["summary"][key]) for key in _PARTS]
        scores.append(mean_cell(votes["summary"]["majority accuracy_views10"]) if votes else "")
        rows.append([f"`{name}`", *size, *scores])
    report = records[0]["seeds"][0]["reports"]["1"]
    note = (
        f"Accuracy in % on FER2013's PublicTest, mean ± standard deviation over {_seeds(records)} (one seed where no "
        "deviation stands), and on FER+ (strict majority, 10 views); conditions in [docs/models.md](docs/models.md).\n"
        "*10 views* is the mean answer about a face, its mirror image and both shifted by two pixels; *clean* leaves "
        f"out the {report['n'] - report['clean']['n']} of {report['n']:,} faces\nthat have an exact or near copy in "
        f"Training, which every published score counts. Scores are those of the head for that labelling; {_default()}."
    )
    return table(["network", "size", "one face", "PublicTest", "10 views", "clean", "FER+"], rows, note)


def _default() -> str:
    """How often the shipped files agree with both labellings where no head is asked for."""
    pairs = {n: [s["reports"][f"PublicTest{end}"] for end in ("", " (FER+ majority)")] for n, s in _shipped(SHOWN)}
    found = [f"`{n}` {' and '.join(percent(r['accuracy']) for r in pair)} %" for n, pair in pairs.items()]
    return (
        f"the default answer, the mean of both, agrees with FER2013's labels and FER+'s majority for {', '.join(found)}"
    )


def _seeds(records: Iterable[dict[str, Any]]) -> str:
    """``"3 seeds"``, of those that have several."""
    counts = sorted({len(r["seeds"]) for r in records} - {1})
    return f"{' or '.join(map(str, counts))} seeds"


def results() -> str:
    """Every network with its size and training."""
    rows, records = [], [record_of(name) for name in NETWORKS]
    for record in records:
        first, theta = record["seeds"][0], [seed["last_epoch"]["theta_spread"] for seed in record["seeds"]]
        still = first["recipe"]["options"].get("transformer") == "none"
        taught = ", distilled" if first.get("teachers") else ""
        trained = f"{first['epochs']} epochs, {_minutes(record):.0f} min on {_place(record)}{taught}{_learnt(record)}"
        scores = [mean_cell(record["summary"][key]) for key in _PARTS]
        spread = "none" if still else " to ".join(dict.fromkeys(f"{t(theta):.3f}" for t in (min, max)))
        rows.append([f"`{record['name']}`", f"{first['parameters']:,}", *scores, spread, trained])
    head = ["network", "parameters", "PublicTest", "10 views", "clean", "spread of theta", "training"]
    note = _conditions(records, "1", "without images that have an exact or near copy in Training")
    return table(head, rows, note)


def ferplus() -> str:
    """The second heads, on both of FER+'s tests."""
    keys = [f"{kind} accuracy_views{views}" for kind in ("majority", "argmax") for views in (1, 10)]
    records = [r for name in NETWORKS if (r := record_if_there(f"{name}-ferplus")) is not None]
    rows = [
        [f"`{r['name']}`", *(mean_cell(r["summary"][key]) for key in (*keys, "majority clean_views1"))] for r in records
    ]
    argmax = records[0]["seeds"][0]["reports"]["argmax 1"]["n"]
    head = ["network", "strict majority", "10 views", "arg-max", "10 views", "clean, strict majority"]
    return table(head, rows, _conditions(records, "majority 1", f"strict majority; arg-max n = {argmax:,}"))


def _shipped(names: Iterable[str]) -> Iterable[tuple[str, dict[str, Any]]]:
    """The files that have two heads, and what was measured of them."""
    for name in names:
        if "answer" in (shipped := record_of(name).get("shipped", {})):
            yield name, shipped


def heads() -> str:
    """Shipped files with two heads: how the default answer and each head alone agree with both labellings."""
    rows, majority, n = [], "PublicTest (FER+ majority)", dict[str, int]()
    for name, shipped in _shipped(SHOWN):
        both, alone = shipped["reports"], shipped["heads"]
        (first, second), (one, two) = shipped["answer"]["heads"], shipped["answer"]["weights"]
        corrupted = {head: _corrupted(found) for head, found in shipped["robustness of heads"].items()}
        answer = f"both ({first} {one:g}, {second} {two:g})"
        labels = [*_pair(both, "PublicTest"), _corrupted(shipped["robustness"])]
        rows.append([f"`{name}`", answer, *labels, *_pair(both, majority), ""])
        labels, votes = _pair(alone[first], "PublicTest"), _pair(alone[second], "PublicTest (majority)")
        rows.append([f"`{name}`", f"`{first}` alone", *labels, corrupted[first], "", "", ""])
        rows.append([f"`{name}`", f"`{second}` alone, eight classes", "", "", "", *votes, corrupted[second]])
        n = {"labels": both["PublicTest"]["n"], "majority": both[majority]["n"]}
    note = (
        f"Agreement in % of the very files, PublicTest, n = {n['labels']:,} labels and {n['majority']:,} faces with a "
        "strict majority among the seven common classes; corrupted: the mean of nine kinds in five severities."
    )
    head = ["file", "answer", "FER2013's labels", "10 views", "corrupted", "FER+'s majority", "10 views", "corrupted"]
    return table(head, rows, note)


def _pair(reports: dict[str, Any], split: str) -> list[str]:
    """Accuracy with one view and with ten."""
    return [percent(reports[key]["accuracy"]) for key in (split, f"{split}, 10 views")]


def _corrupted(robustness: dict[str, Any]) -> str:
    return percent(Robustness.from_dict(robustness).mean)


def robust() -> str:
    """Accuracy under each kind of corruption, the mean of its five severities, before and after the recipe robust."""
    columns, n = dict[str, dict[str, float]](), 0
    for name, shipped in _shipped(f"{name}{old}" for name in ("mien-small", "mien-nano") for old in ("-first", "")):
        found = Robustness.from_dict(shipped["robustness of heads"]["fer2013"])
        n = found.n
        columns[f"`{name.removesuffix('-first')}` {'before' if name.endswith('-first') else 'now'}"] = {
            "as they are": found.clean,
            "corrupted": found.mean,
            **{kind.replace("_", " "): value for kind, value in found.by_kind.items()},
        }
    rows = [[what, *(percent(c[what]) for c in columns.values())] for what in next(iter(columns.values()))]
    note = (
        f"Accuracy in % of the head fer2013 of the very files, PublicTest, n = {n:,}; corrupted: the mean of nine "
        "kinds in five severities (`mien evaluate --corrupt`), then each kind. Before: the int8 files that training "
        "went on from."
    )
    return table(["", *columns], rows, note)


def _conditions(records: list[dict[str, Any]], key: str, clean: str) -> str:
    reports = [seed["reports"][key] for record in records for seed in record["seeds"]]
    told, n = [report["conditions"] for report in reports], reports[0]["n"]
    counts = " or ".join(map(str, sorted({len(r["seeds"]) for r in records})))
    hardware = "; ".join(sorted({r["hardware"] for r in records}))
    prints, ours, torch, dates = (sorted({t[key] for t in told}) for key in ("fingerprint", "mien", "torch", "date"))
    return (
        f"Accuracy in %, mean ± standard deviation over {counts} seeds, n = {n:,} ({reports[0]['clean']['n']:,} clean: "
        f"{clean}); weights of the last epoch; fingerprint of PublicTest {', '.join(prints)}; {hardware}; mien "
        f"{', '.join(ours)}, torch {', '.join(torch)}, {' to '.join(dict.fromkeys((dates[0], dates[-1])))}."
    )


def _minutes(record: dict[str, Any]) -> float:
    return mean_and_spread([s["training_minutes"] for s in record["seeds"]])[0]


def expected(record: dict[str, Any]) -> str:
    s = record["summary"]
    return (
        f"# Expected on PublicTest: {mean_cell(s['accuracy_views1'])} %, 10 views {mean_cell(s['accuracy_views10'])} % "
        f"({seeds_word(len(record['seeds']))}{_learnt(record)}), {_minutes(record):.0f} min on {_place(record)}"
    )


def expected_by_comparison(name: str) -> str | None:
    """For a network that only ``mien compare`` has trained: one seed."""
    for data, of in (("fer2013", "PublicTest"), ("drawn", "drawn faces, 3 minutes of training")):
        for row in rows_of(record_of(f"compare-{data}")):
            if row.method == name and not row.error and METHODS[name].settings(0).get("model"):
                if data == "drawn" and not METHODS[name].people:
                    continue  # for want of time, not a network's level
                return (
                    f"# Expected on {of}: {100 * row.scored.accuracy:.1f} % (one seed), "
                    f"{row.fit_seconds / 60:.0f} min on one core"
                )
    return None


def _place(record: dict[str, Any]) -> str:
    return "a GPU" if "NVIDIA" in record["hardware"] else "one core"


def _learnt(record: dict[str, Any]) -> str:
    """Where seeds have not learnt all of Training."""
    return f"; trained on {record['trained_on']}" if "trained_on" in record else ""
