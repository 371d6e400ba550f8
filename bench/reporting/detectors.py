"""The face detector's figures in docs/pictures.md, from results/detectors.json and results/bench_search.json.

Leaves out: how they come about (``bench.runtime.detectors``, ``bench.runtime.search``).
"""

from __future__ import annotations

from typing import Any

from bench.reporting.records import record_of

__all__ = ["detectors", "search"]

_WAYS = {"centerface": "`centerface`", "fast": "`fast`"}


def detectors() -> str:
    """Both files at several sizes, beside float32 at 640 pixels."""
    record = record_of("detectors")
    rows = [
        "| `--detector` | size | of the faces that float32 finds at 640 | false, of all scenes | IoU "
        "| landmarks off by | time, float32 at 640 = 1 |",
        "|" + " --- |" * 7,
    ]
    for name, way in record["ways"].items():
        detector, size = name.split()
        kept, error = way["kept"], way["landmark_error_percent"]
        rows.append(
            f"| {_WAYS[detector]} | {size} | {100 * kept['share']:.1f} % of {kept['n']} | {way['false']} "
            f"| {way['iou_mean']:.3f} | {error:.1f} % | {way['detect_ratio']:.2f} |"
        )
    told, scenes, files = record["conditions"], sum(record["scenes"].values()), record["files"]
    note = (
        f"{scenes} generated scenes of 640x480 with {record['faces']} faces, many of them dark, turned, blurred or "
        "small; of these the faces of 24 pixels and up. Landmarks in percent of the face's side. `centerface` is "
        f"{files['centerface']['bytes'] / 1e6:.1f} MB, `fast` {files['fast']['bytes'] / 1e6:.1f}. Processor time, one "
        f"thread, onnxruntime {told['versions']['onnxruntime']}, {told['date']}."
    )
    return "\n".join([*rows, "", note, "", _answers(record)])


def _answers(record: dict[str, Any]) -> str:
    """What the boxes and landmarks of ``fast`` do to the answers."""
    whole, fast = (record["answers"][name] for name in ("centerface", "fast"))
    photographs = record["photographs"]
    kept = photographs["fast"]
    return (
        f"Of {record['labelled']} faces of FER2013's PublicTest pasted into grey, 130 and 60 pixels wide, `centerface` "
        f"finds {whole['found']} and `fast` {fast['found']}; of the {fast['n']} that both find `mien-small` names "
        f"{100 * whole['accuracy']:.1f} and {100 * fast['accuracy']:.1f} % rightly. In {photographs['photographs']} "
        f"photographs that packages ship, at up to five sizes, `fast` finds {100 * kept['kept']:.1f} % of the "
        f"{kept['n']} faces of `centerface` and {kept['others']} more; {100 * kept['same_label']:.1f} % get the same "
        "label."
    )


def search() -> str:
    """What ``--detector-size auto`` finds and costs beside 640 pixels."""
    record = record_of("bench_search")
    told, crowds = record["conditions"], record["crowds"]
    sides, large = sorted({row["face"] for row in crowds}), max(row["picture"] for row in crowds)
    faces, found, fixed, false = (sum(row[key] for row in crowds) for key in _COUNTED)
    ordinary = [row["ratio"] for row in record["one_large_face"]]
    none = ", ".join(f"{row['ratio']:.1f} at {row['picture'][0]} x {row['picture'][1]}" for row in record["no_face"])
    return (
        f"Of {faces} faces of {sides[0]} to {sides[-1]} pixels in pictures up to {large[0]} x {large[1]} it finds "
        f"{found}, with {false} false boxes; a look at 640 pixels finds {fixed}. A photo with one large face costs "
        f"{min(ordinary):.2f} to {max(ordinary):.2f} times what it does with `--detector-size 640`, which keeps to one "
        f"size; one without any face {none} pixels. Processor time, one thread, median of {told['repeats']} (without a "
        f"face: one), {told['date']}."
    )


_COUNTED = ("faces", "found", "found_at_640", "false")
