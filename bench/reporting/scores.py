"""Tables of published networks, and the line that the head of a recipe expects."""

from __future__ import annotations

from typing import Any

from bench.reporting.comparison import rows_of
from bench.reporting.records import mean_cell, record_of, seeds_word
from mien.benchmark import METHODS
from mien.evaluation.metrics import mean_and_spread

__all__ = ["RECORDS", "expected", "expected_by_comparison", "ferplus", "heads", "results", "summary"]

NETWORKS = (
    "mien-base",
    "mien-small",
    "mien-small-first",
    "mien-small-scratch",
    "mien-nano",
    "mien-nano-first",
    "deep-emotion-2019",
    "deep-emotion-2019-distilled",
    "deep-emotion-2019-light",
    "report",
)
SHOWN = ("mien-base", "mien-small", "mien-nano", "deep-emotion-2019")  # in the README
#: recipe -> the record of its runs, where that has another name: shipped networks go on from their recipe's with robust
RECORDS = {"mien-small": "mien-small-first", "mien-nano": "mien-nano-first", "robust": "mien-small"}
FERPLUS = tuple(f"{name}-ferplus" for name in NETWORKS)


def summary() -> str:
    """The README's one table: what each network scores, weighs and costs."""
    rows = [
        "| network | size | one face | PublicTest | 10 views | clean | FER+ |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    speeds = {row["name"]: row for row in (record_of("bench_networks") or {"networks": []})["networks"]}
    for name in SHOWN:
        record, votes, speed = record_of(name), record_of(f"{name}-ferplus"), speeds.get(name)
        if record is None:
            continue
        s = record["summary"]
        cells = [
            f"`{name}`",
            f"{speed['kB']:,.0f} kB" if speed else "a recipe",
            f"{speed['batch1_ms']:.2f} ms" if speed else "",
            *(mean_cell(s[k]) for k in ("accuracy_views1", "accuracy_views10", "clean_views1")),
            mean_cell(votes["summary"]["majority accuracy_views10"]) if votes else "",
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def results() -> str:
    rows = [
        "| network | parameters | PublicTest | 10 views | clean | spread of theta | training |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    records = [r for r in map(record_of, NETWORKS) if r is not None]
    for record in records:
        s, seeds = record["summary"], record["seeds"]
        theta = [x["last_epoch"]["theta_spread"] for x in seeds]
        cells = [
            f"`{record['name']}`",
            f"{seeds[0]['parameters']:,}",
            *(mean_cell(s[k]) for k in ("accuracy_views1", "accuracy_views10", "clean_views1")),
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


def ferplus() -> str:
    rows = [
        "| network | strict majority | 10 views | arg-max | 10 views | clean, strict majority |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    records = [r for r in map(record_of, FERPLUS) if r is not None]
    keys = (
        "majority accuracy_views1",
        "majority accuracy_views10",
        "argmax accuracy_views1",
        "argmax accuracy_views10",
    )
    for record in records:
        s = record["summary"]
        cells = [f"`{record['name']}`", *(mean_cell(s[k]) for k in (*keys, "majority clean_views1"))]
        rows.append("| " + " | ".join(cells) + " |")
    if not records:
        return "Not measured yet."
    argmax = records[0]["seeds"][0]["reports"]["argmax 1"]["n"]
    return "\n".join([*rows, "", _conditions(records, "majority 1", f"strict majority; arg-max n = {argmax:,}")])


def heads() -> str:
    """Shipped files with two heads: how the default answer and each head alone agree with both labellings."""
    rows = [
        "| file | answer | FER2013's labels | 10 views | FER+'s majority | 10 views |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    n = {}
    for name in SHOWN:
        shipped = (record_of(name) or {}).get("shipped", {})
        if "answer" not in shipped:
            continue
        both, alone = shipped["reports"], shipped["heads"]
        (first, second), (one, two) = shipped["answer"]["heads"], shipped["answer"]["weights"]
        ferplus = "PublicTest (FER+ majority)"
        for answer, own, other in (
            (f"both ({first} {one:g}, {second} {two:g})", _pair(both, "PublicTest"), _pair(both, ferplus)),
            (f"`{first}` alone", _pair(alone[first], "PublicTest"), ["", ""]),
            (f"`{second}` alone, eight classes", ["", ""], _pair(alone[second], "PublicTest (majority)")),
        ):
            rows.append("| " + " | ".join([f"`{name}`", answer, *own, *other]) + " |")
        n = {"labels": both["PublicTest"]["n"], "majority": both[ferplus]["n"]}
    if not n:
        return "Not measured yet."
    note = (
        f"Agreement in % of the very files, PublicTest, n = {n['labels']:,} labels and {n['majority']:,} faces with a "
        "strict majority among the seven common classes. The weights were chosen on the clean part of the same faces."
    )
    return "\n".join([*rows, "", note])


def _pair(reports: dict[str, Any], split: str) -> list[str]:
    """Accuracy with one view and with ten."""
    return [f"{100 * reports[key]['accuracy']:.1f}" for key in (split, f"{split}, 10 views")]


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
        for row in rows_of(record_of(f"compare-{data}") or {"rows": []}):
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
