"""Tables of docs/scale.md: devices, what a batch does in a second, what a million and a billion photos take, training
on a set that memory does not hold, and on two processes.
"""

from __future__ import annotations

from typing import Any

from bench.reporting.records import record_if_there, record_of

__all__ = ["batch", "cost", "devices", "larger", "ranks"]

_KINDS = {"photos": "photo of 512 x 512, one face", "crops": "face crop of 48 x 48 (`--detector none`)"}


def devices() -> str:
    record = record_of("bench_devices")
    rows = ["| file | input | 10^6 multiply-adds | onnxruntime, ms | OpenVINO, ms | ratio |", "|" + " --- |" * 6]
    for r in record["rows"]:
        n, _, height, width = r["shape"]
        size = f"{width} x {height}" + (f", {n} faces" if n > 1 else "")
        rows.append(
            f"| {r['file']} | {size} | {r['multiply_adds'] / 1e6:,.0f} | {r['cpu_ms']:.2f} | {r['openvino_ms']:.2f} | "
            f"{r['ratio']:.2f} |"
        )
    boards = [
        f"{name}: detector at 320 x 256 {e['centerface']:.0f} ms, `mien-nano` {e['mien-nano']:.0f} ms, so about "
        f"{e['frames_a_second']['one core']:.0f} frames a second on one core"
        for name, e in record["estimates"].items()
    ]
    c = record["conditions"]
    v = c["versions"]
    note = (
        f"Processor time with one thread of {c['cpu']}, both in turns, onnxruntime {v['onnxruntime']}, OpenVINO "
        f"{v['openvino']}, {c['date']}, {_load(c)}.\n\n**Estimated, not measured** (half of a core's peak, "
        f"`bench/runtime/devices.py`; good to a factor of two): {'; '.join(boards)}."
    )
    return "\n".join([*rows, "", note])


def batch() -> str:
    record = record_of("bench_batch")
    crowded = record["conditions"]["load_1min_at_start"] > record["conditions"]["cpus"]
    rows = ["| what | way | a second | x the loop | x one worker | processor time, ms | start, s |", "|" + " --- |" * 7]
    for kind, words in _KINDS.items():
        for name, found in record[kind].items():
            rate = "" if crowded else f"{found['per_second']:,.1f}"
            ratios = ["" if crowded else f"{found[key]:.2f}" for key in ("x_loop", "x_one_worker")]
            start = f"{found['start_cpu_s']:.1f}" if "start_cpu_s" in found else ""
            rows.append(f"| {words} | {name} | {rate} | {' | '.join(ratios)} | {found['cpu_ms']:.2f} | {start} |")
    n, c = record["n"], record["conditions"]
    note = (
        f"{n['photos']:,} photos of {n['mean photo bytes'] / 1e3:,.0f} kB and {n['crops']:,} crops, "
        f"{'one round' if record['rounds'] == 1 else 'medians of ' + str(record['rounds']) + ' rounds'} in which all "
        f"ways take turns, {c['cpus']} cores, {c['date']}, {_load(c)}. "
        "Processor time is that of one picture, of all processes; the start (imports, opening models) is left out of "
        "all figures but the last column, seconds of processor time once a run."
        + " **With more work than processors only the processor time says something, so rates are left out.**"
        * crowded
    )
    return "\n".join([*rows, "", note])


def cost() -> str:
    record = record_of("bench_batch")
    rows = ["| photos | core hours | on 2 cores | on 64 cores | on 1,000 cores |", "|" + " --- |" * 5]
    for kind, words in _KINDS.items():
        ms = record[kind]["local, 2 workers"]["cpu_ms"]
        for label, number in (("a million", 1e6), ("a billion", 1e9)):
            hours = ms * number / 3.6e6
            times = " | ".join(_time(hours / cores) for cores in (2, 64, 1000))
            rows.append(f"| {label}: {words} | {hours:,.{0 if hours >= 10 else 1}f} | {times} |")
    size = record["n"]["mean photo bytes"]
    note = (
        "Processor time of `mien batch` with two workers times the number, without waiting for a disk or a network. "
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
        f"{limit}; two epochs of `mien-nano` on views of {record['view']} pixels, one thread. "
        "The weights of the run that was killed in its second epoch and resumed from step "
        f"{killed['resumed_from_step']:,} of {2 * record['steps_an_epoch']:,} {said}. "
        f"Ratios ranged from {min(rates['ratios']):.2f} to {max(rates['ratios']):.2f}. "
        f"Faces at random, out of the page cache and from it: raw pixels {raw}, from Parquet with row groups of "
        f"{reads['row_group']} PNG {parquet}. {c['cpus']} cores, {c['date']}, {_load(c)}."
    )
    crowded = " **With more work than processors rates say little: the processor time does.**"
    return "\n".join([*rows, "", note + crowded * (c["load_1min_at_start"] > c["cpus"])])


def ranks() -> str:
    record = record_if_there("bench_ranks")
    if record is None:
        return "Not measured yet."
    c = record["conditions"]
    crowded = c["load_1min_at_start"] > c["cpus"]
    rows = ["| processes | faces a second | x one | processor time a face, ms |", "|" + " --- |" * 4]
    for count in ("1", "2"):
        found = record[count]
        rate = "" if crowded else f"{found['faces_per_second']:,.0f}"
        rows.append(f"| {count} | {rate} | {'' if crowded else found['x_one']} | {found['cpu_ms']:.2f} |")
    note = (
        f"`{record['model']}`, one thread a process, {record['images']:,} drawn faces, in turns, {record['rounds']} "
        f"rounds, {c['cpus']} cores, {c['date']}, {_load(c)}; processor time with start and validation."
        + " **With more work than processors rates say nothing and are left out.**"
        * crowded
    )
    return "\n".join([*rows, "", note])


def _time(hours: float) -> str:
    for most, size, unit in ((1 / 60, 1 / 3600, "s"), (1, 1 / 60, "min")):
        if hours < most:
            return f"{hours / size:,.0f} {unit}"
    return f"{hours:,.1f} h" if hours <= 72 else f"{hours / 24:,.0f} days"


def _load(conditions: dict[str, Any]) -> str:
    start = conditions.get("load_1min_at_start")
    load = conditions["load_1min_at_end"]
    busy = f"{start} at the start and {load} at the end" if start is not None else str(load)
    return f"with a load of {busy} from other work"
