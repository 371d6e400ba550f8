"""The face detector's figures in docs/pictures.md, from results/detectors.json.

Leaves out: how they come about (``bench.runtime.detectors``).
"""

from __future__ import annotations

from bench.reporting.records import record_of

__all__ = ["detectors"]

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
    return "\n".join([*rows, "", note])
