"""Tables of docs/scale.md: devices, what a batch does in a second, what a million and a billion photos take, and
training on a set that memory does not hold.
"""

from __future__ import annotations

from typing import Any

from bench.reporting.records import record_if_there, record_of

__all__ = ["batch", "cost", "devices", "larger"]

_KINDS = {"photos": "photo of 512 x 512, one face", "crops": "face crop of 48 x 48 (`--detector none`)"}


def devices() -> str:
    record = record_of("bench_devices")
    rows = ["| file | input | 10^6 multiply-adds | onnxruntime, ms | OpenVINO, ms | ratio |", "|" + " --- |" * 6]
    for r in record["rows"]:
        n, _, height, width = r["shape"]
        size = f"{width} x {height}" + (f", {n} faces" if n > 1 else "")
        ratio = r["cpu_ms"] / r["openvino_ms"]
        rows.append(
            f"| {r['file']} | {size} | {r['multiply_adds'] / 1e6:,.0f} | {r['cpu_ms']:.2f} | {r['openvino_ms']:.2f} | "
            f"{ratio:.2f} |"
        )
    boards = [
        f"{name}: detector at 320 x 256 {e['centerface']:.0f} ms, `mien-nano` {e['mien-nano']:.0f} ms, so about "
        f"{e['frames_a_second']['one core']:.0f} frames a second on one core"
        for name, e in record["estimates"].items()
    ]
    c = record["conditions"]
    note = (
        f"Processor time with one thread of {c['processor']}, onnxruntime {c['versions']['onnxruntime']}, OpenVINO "
        f"{c['versions']['openvino']}, {c['date']}, {_load(c)}.\n\n**Estimated, not measured** (half of a core's "
        f"peak, `bench/runtime/devices.py`; good to a factor of two): {'; '.join(boards)}."
    )
    return "\n".join([*rows, "", note])


def batch() -> str:
    record = record_of("bench_batch")
    rows = ["| what | way | a second | processor time, ms | x the loop |", "|" + " --- |" * 5]
    crowded = record["conditions"]["load_1min_at_start"] > record["conditions"]["cpus"]
    for kind, words in _KINDS.items():
        ways: dict[str, Any] = record[kind]
        loop = (ways["plain loop"]["per_second"] + ways["plain loop again"]["per_second"]) / 2
        for name, found in ways.items():
            rate = found["per_second"]
            own = f"{found['cpu_ms']:.1f}" if "cpu_ms" in found else ""
            rows.append(f"| {words} | {name} | {rate:,.1f} | {own} | {'' if crowded else f'{rate / loop:.2f}'} |")
    n, c = record["n"], record["conditions"]
    note = (
        f"{n['photos']:,} photos of {n['mean photo bytes'] / 1e3:,.0f} kB and {n['crops']:,} crops, {c['cpus']} cores, "
        f"{c['date']}, {_load(c)}. The processor time of an engine's row includes its start."
        + " **With more work than processors only the processor time says something: to be run again.**"
        * crowded
    )
    return "\n".join([*rows, "", note])


def cost() -> str:
    record = record_of("bench_batch")
    rows = ["| photos | core hours | on 2 cores | on 64 cores | on 1,000 cores |", "|" + " --- |" * 5]
    for kind, words in _KINDS.items():
        ms = min(record[kind][name]["cpu_ms"] for name in ("plain loop", "plain loop again"))
        for label, number in (("a million", 1e6), ("a billion", 1e9)):
            hours = ms * number / 3.6e6
            times = " | ".join(_time(hours / cores) for cores in (2, 64, 1000))
            rows.append(f"| {label}: {words} | {hours:,.0f} | {times} |")
    size = record["n"]["mean photo bytes"]
    note = (
        "Processor time of the plain loop, the shorter of two, times the number. "
        f"A billion photos of {size / 1e3:,.0f} kB are {size / 1e3:,.0f} TB to be read."
    )
    return "\n".join([*rows, "", note])


def larger() -> str:
    record = record_if_there("larger")
    if record is None:
        return "Not measured yet."
    whole, killed, rates, reads = (record[k] for k in ("undisturbed", "killed", "rates", "random_reading"))
    c = record["conditions"]
    rows = ["| what | in memory | on the disk |", "| --- | --- | --- |"]
    rows.append(
        f"| faces a second, steps of {rates['faces_a_round']:,} faces in turns, median of {rates['rounds']} | "
        f"{rates['memory_per_second']:,.0f} | {rates['stored_per_second']:,.0f} ({rates['ratio']:.0%}) |"
    )
    rows.append(
        f"| processor time a face, ms | {rates['memory_cpu_ms_a_face']:.2f} | {rates['stored_cpu_ms_a_face']:.2f} |"
    )
    peak = max(whole["peak_rss_mb"], killed["peak_rss_mb"])
    rows.append(f"| most resident memory of `mien train`, MB | | {peak:,} |")
    limit = f", under a limit of {g:g} GB that page cache counts into" if (g := record["limit_gigabytes"]) else ""
    said = "are equal, bit for bit" if record["equal_weights"] else "DIFFER"
    raw, parquet = (
        f"{reads[f'{kind}_cold_per_second']:,} and {reads[f'{kind}_warm_per_second']:,} a second "
        f"({reads[f'{kind}_warm_cpu_ms']:.2f} ms of processor time each)"
        for kind in ("raw", "parquet")
    )
    note = (
        f"{record['faces']:,} drawn faces of {record['side']} x {record['side']} in colour, {record['gigabytes']:g} GB"
        f"{limit}; two epochs of `mien-nano` on views of 32 pixels, one thread. The weights of the run that was killed "
        f"and resumed {said}. "
        f"Faces at random, out of the page cache and from it: raw pixels {raw}, from Parquet with row groups of "
        f"{reads['row_group']} PNG {parquet}. {c['cpus']} cores, {c['date']}, {_load(c)}."
    )
    crowded = " **With more work than processors rates say little: the processor time does.**"
    return "\n".join([*rows, "", note + crowded * (c["load_1min_at_start"] > c["cpus"])])


def _time(hours: float) -> str:
    return f"{hours / 24:,.0f} days" if hours > 72 else f"{hours:,.1f} h" if hours >= 1 else f"{60 * hours:,.0f} min"


def _load(conditions: dict[str, Any]) -> str:
    start = conditions.get("load_1min_at_start")
    load = conditions["load_1min_at_end"]
    busy = f"{start} at the start and {load} at the end" if start is not None else str(load)
    return f"with a load of {busy} from other work"
