"""Tables of what was timed side by side, and of whether maps are faithful."""

from __future__ import annotations

import json

from bench.conditions import RESULTS
from bench.reporting.records import record_of

__all__ = ["faithfulness", "networks", "speed", "wild"]


def networks() -> str:
    record = record_of("bench_networks")
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


def speed() -> str:
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


def _family_row() -> list[str]:
    """Training mien-small beside a ResNet18 in the usual loop: another network, so the multiply-adds are told too."""
    if (record := record_of("bench_train_family")) is None:
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


def wild() -> str:
    """Videos and the server, each beside what a user would write."""
    video, serve = record_of("bench_video"), record_of("bench_serve")
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
    boxes = video["quality"]["windows, one look in five at 640 px, the others at 320"]
    note = (
        f"{video['conditions']['cpus']} cores, {video['model']}. Processor time of a video: {said}. The boxes overlap "
        f"those of a full search by {100 * boxes['iou_mean']:.0f} % (IoU), with the same label in "
        f"{100 * boxes['same_label']:.0f} % of {video['quality']['frames']} frames."
    )
    return "\n".join([*rows, "", note])


def faithfulness() -> str:
    record = record_of("faithfulness")
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
