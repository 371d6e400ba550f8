"""Tables of what was timed side by side, and of whether maps are faithful."""

from __future__ import annotations

from bench.reporting.records import record_if_there, record_of, table

__all__ = ["faithfulness", "networks", "speed", "wild"]


def networks() -> str:
    """Every shipped network beside mini-Xception: size and speed."""
    record, rows = record_of("bench_networks"), []
    for r in record["networks"]:
        times = r["times_reference"]
        one = f"{r['batch1_ms']:.2f} (speed x {times['batch1']:.2f})"
        many = f"{r['batch32_faces_per_second']:,.0f} (x {times['batch32']:.2f})"
        size = [f"{r['parameters']:,}", f"{r['mmac']:.1f}", f"{r['kB']:,.0f}"]
        rows.append([r["name"], r["precision"], *size, one, many])
    c = record["conditions"]
    note = (
        f"One thread of {c['cpu']}, onnxruntime {c['versions']['onnxruntime']}, all in one run, {c['date'][:10]}; in "
        "brackets the speed as a multiple of mini-Xception's (Arriaga et al. 2017), written by us, with random "
        "weights: only its speed is measured."
    )
    head = ["network", "weights", "parameters", "10^6 multiply-adds", "file, kB", "one face, ms"]
    return table([*head, "faces/s, batches of 32"], rows, note)


def speed() -> str:
    """Reading, training and a photo, each beside the usual way."""
    names = ("bench_read_csv", "bench_train_throughput", "bench_predict", "synthetic_baseline")
    read, train, predict, drawn = map(record_of, names)
    cold, warm, told = predict["cold"], predict["warm"], train["conditions"]
    first, again, cached = (f"{read['ways'][way]['seconds']:.{d}f} s" for way, d in _READINGS)
    peaks = [f"{read['ways'][way]['peak_mb']:.0f} MB" for way in ("tutorial", "cold")]
    usual, ours = (f"{train[way]['images_per_second']:,.0f} images/s" for way in ("usual", "ours"))
    obvious = f"{usual} (PNG files, one-image transforms, DataLoader, float32)"
    rows = [
        [
            f"reading FER2013, {read['csv_bytes'] / 1e6:.0f} MB of CSV",
            f"{first}, {peaks[0]} (pandas, then `split` for each row)",
            f"{again}, {peaks[1]}",
            f"{read['tutorial_over_cold']:.1f}",
        ],
        ["the same again, from the cache", "", cached, ""],
        [f"training the 2019 network, {told['threads']} threads", obvious, ours, f"{train['ratio']:.1f}"],
        *_family_row(),
        ["first answer on a photo, from a cold start", "", f"{cold['median_s']:.2f} s", ""],
        ["a photo afterwards, nearly all of it finding the face", "", f"{warm['predict_ms']:.0f} ms", ""],
        ["the network alone, one face", "", f"{warm['classify_1_ms']:.2f} ms", ""],
    ]
    note = (
        f"{told['cpu']}, {told['cpus']} cores, Python {read['python']}. On drawn faces "
        f"of people it has not seen, the 2019 network reaches {100 * drawn['network']['accuracy']:.1f} % and logistic "
        f"regression on pixels {100 * drawn['linear']['accuracy']:.1f} % (n = {drawn['images']['validation']:,}): the "
        "embedded data is a lesson, not a benchmark."
    )
    return table(["what", "the usual way", "mien", "ratio"], rows, note)


_READINGS = (("tutorial", 1), ("cold", 1), ("cached", 2))


def _family_row() -> list[list[str]]:
    """Training mien-small beside a ResNet18 in the usual loop: another network, so the multiply-adds are told too."""
    if (record := record_if_there("bench_train_family")) is None:
        return []
    usual, ours = (
        f"{record[way]['images_per_second']:,.0f} images/s, {record[way]['training_gmac_per_second']:,.0f} GMAC/s"
        for way in ("usual", "ours")
    )
    own, others = record["ours"]["mmac"], record["usual"]["mmac"]
    plain = f"a plain ResNet18 of {others:,.0f} million multiply-adds, same loop"
    return [
        [
            f"training, {record['conditions']['threads']} threads",
            f"{usual} ({plain})",
            f"{ours} (`mien-small` at 48 pixels, {own:.0f} million)",
            f"{record['ratio']:.1f}",
        ]
    ]


def wild() -> str:
    """Videos and the server, each beside what a user would write."""
    video, serve = record_of("bench_video"), record_of("bench_serve")
    speed, memory = video["speed"], video["memory"]
    loop = f"{speed['obvious loop, 2 threads']['frames_per_s']:.0f} frames/s (OpenCV, `predict` for each frame)"
    rows = []
    for name, words in (
        ("predict_video", "whole picture every 0.2 s, windows between"),
        ("predict_video, whole picture at 640 px in every frame", "whole picture at 640 pixels in every frame"),
    ):
        own, ratio = f"{speed[name]['frames_per_s']:.0f} frames/s", f"{speed[name]['times_the_obvious_loop']:.1f}"
        rows.append([f"{video['video']}: {words}", loop, own, ratio])
    peaks = [f"{memory[f'peak_mb_at_{share}_percent']:.0f} MB" for share in (5, 100)]
    rows.append([f"memory, {memory['frames']:,} frames", "", f"{peaks[0]} at 5 % of them, {peaks[1]} at the end", ""])
    for name, found in serve["results"].items():
        ours, who = found["mien"], name.replace("1 clients", "one client")
        plain = f"{found['plain']['requests_per_s']:.0f} requests/s (FastAPI, one `Predictor`)"
        own = f"{ours['requests_per_s']:.0f} requests/s, half within {ours['ms_p50']:.0f} ms"
        rows.append([f"server, {who}", plain, own, f"{found['mien_over_plain']['median']:.2f}"])
    shares = sorted(video["parts"]["share"].items(), key=lambda item: -item[1])
    said = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares if share >= 0.01)
    boxes = video["quality"]["windows, one look in five at 640 px, the others at 320"]
    note = (
        f"{video['conditions']['cpus']} cores, {video['model']}. Processor time of a video: {said}. The boxes overlap "
        f"those of a full search by {100 * boxes['iou_mean']:.0f} % (IoU), with the same label in "
        f"{100 * boxes['same_label']:.0f} % of {video['quality']['frames']} frames."
    )
    return table(["what", "the obvious way", "mien", "ratio"], rows, note)


def faithfulness() -> str:
    """Deletion and insertion areas of maps and controls."""
    record, rows = record_of("faithfulness"), []
    for key, name in _ORDERS.items():
        areas = [record["orders"][key][kind] for kind in ("deletion", "insertion")]
        rows.append([name, *(f"{a['mean']:.3f} ({a['ci95'][0]:.3f} to {a['ci95'][1]:.3f})" for a in areas)])
    note = (
        f"Area under the class's probability, mean and 95 % interval over {record['n']} faces of {record['split']} "
        f"(seed {record['seed']}, {record['random_orders']} random orders a face), `{record['model']}`; after Petsiuk "
        f"et al. 2018 (RISE); {record['conditions']['date']}."
    )
    return table(["order", "deletion, less is better", "insertion, more is better"], rows, note)


_ORDERS = {
    "occlusion": "what decided, by covering",
    "attention": "where it attended",
    "centre": "the middle of the crop first",
    "another face": "another face's map",
    "random": "random order",
}
