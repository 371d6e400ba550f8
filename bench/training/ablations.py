"""What each ingredient of the family is worth: short runs of one budget, two seeds each, into docs/ablations.md.

    python -m bench.training.ablations run --data fer2013.csv --votes fer2013new.csv [--only NAME ...] [--threads 1]
    python -m bench.training.ablations table

Every row changes one thing in the recipe ablations.toml beside this file, trained for EPOCHS epochs on Training; the
figures are those of the averaged weights after the last epoch on PublicTest. A run that is in results/ablations.json
already is not repeated, so the command can be stopped and called again, and two can share the work by --only. Short
runs favour what learns fast: an effect counts from about a point, and only for this budget.
"""

from __future__ import annotations

import argparse
import fcntl
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from bench.conditions import RESULTS, ROOT
from mien.data import read_faces, read_votes, train_val, with_votes
from mien.evaluation.metrics import mean_and_spread
from mien.evaluation.scoring import versions
from mien.files import write_text
from mien.models import create_model
from mien.training.loop import fit
from mien.training.recipe import Recipe, load_recipe

BASE = Path(__file__).with_suffix(".toml")
FILE, PAGE = RESULTS / "ablations.json", ROOT / "docs" / "ablations.md"
EPOCHS, SEEDS = 8, (0, 1)


def _options(**options: Any) -> Callable[[Recipe], Recipe]:
    return lambda r: replace(r, options={**r.options, **options})


def _slow(factor: float) -> Callable[[Recipe], Recipe]:
    return lambda r: replace(r, optimizer=replace(r.optimizer, transformer_lr_factor=factor))


#: row -> how it changes the recipe, in the order of the table
ROWS: dict[str, Callable[[Recipe], Recipe]] = {
    "base": lambda r: r,
    "no transformer": _options(transformer="none"),
    "transformer on the feature map": _options(transformer="feature"),
    "transformer's learning rate x 0.1": _slow(0.1),
    "transformer's learning rate x 0.3": _slow(0.3),
    "no channel attention": _options(channel="none"),
    "squeeze and excitation": _options(channel="se"),
    "mean pooling": _options(pool="mean"),
    "no label smoothing": lambda r: replace(r, smoothing=0.0),
    "no erasing": lambda r: replace(r, augment=replace(r.augment, erase=0.0)),
    "full size throughout": lambda r: replace(r, sizes=()),
    "no second head (FER2013 labels only)": lambda r: replace(r, votes_weight=0.0),
    "copies kept": lambda r: replace(r, deduplicate=False),
    "no weight average": lambda r: replace(r, ema=0.0),
}


def run(data: str, votes: str, only: list[str]) -> None:
    """Train what is not in the results yet."""
    train, val = train_val(with_votes(read_faces(data), read_votes(votes), "both"))
    for row in only or ROWS:
        for seed in SEEDS:
            if any((r["row"], r["seed"]) == (row, seed) for r in _read()):
                continue
            recipe = ROWS[row](load_recipe(str(BASE))).override(epochs=EPOCHS, seed=seed)
            torch.manual_seed(seed)
            second = {"second": len(train.second_names)} if recipe.votes_weight else {}
            model = create_model(recipe.model, **recipe.options, **second)
            _, history = fit(model, train, val, recipe)
            last = history[-1]
            print(f"{row}, seed {seed}: {last['val_accuracy']:.3f}", flush=True)
            _add(
                {
                    "row": row,
                    "seed": seed,
                    "recipe": recipe.to_dict(),
                    "last": last,
                    "seconds": sum(e["seconds"] for e in history),
                    "val": val.fingerprint,
                    **versions(),
                }
            )


def _read() -> list[dict[str, Any]]:
    return json.loads(FILE.read_text())["runs"] if FILE.is_file() else []


def _add(record: dict[str, Any]) -> None:
    with open(__file__) as lock:  # two processes may share the work
        fcntl.flock(lock, fcntl.LOCK_EX)
        write_text(FILE, json.dumps({"runs": [*_read(), record]}, indent=1) + "\n")


def table() -> None:
    """Write docs/ablations.md from results/ablations.json."""
    runs = _read()
    found = {row: [r for r in runs if r["row"] == row] for row in ROWS}
    base = _accuracy(found["base"])[0]
    rows = [
        "| what is changed | PublicTest, % | against base | spread of theta | training time against base |",
        "| --- | --- | --- | --- | --- |",
    ]
    seconds = {row: mean_and_spread([r["seconds"] for r in own])[0] for row, own in found.items() if own}
    for row, own in found.items():
        if not own:
            continue
        mean, sd = _accuracy(own)
        theta = mean_and_spread([r["last"]["theta_spread"] for r in own])[0]
        spread = "" if sd is None else f" ± {100 * sd:.1f}"
        change = "" if row == "base" else f"{100 * (mean - base):+.1f}"
        rows.append(
            f"| {row} | {100 * mean:.1f}{spread} ({len(own)}) | {change} | {theta:.3f} | "
            f"{seconds[row] / seconds['base']:.2f} |"
        )
    first = runs[0]
    words = (
        "# Ablations\n\n"
        "Written by `bench/training/ablations.py` from `results/ablations.json`. Each row changes one thing in\n"
        f"`bench/training/ablations.toml` (`mien-nano`, two heads, no teacher), trained for {EPOCHS} epochs;\n"
        "accuracy on PublicTest of the averaged weights after the last epoch, without test-time views, mean ±\n"
        "standard deviation over seeds (number in brackets). The runs are short and few: believe only effects of a\n"
        "point or more, only for such a budget; label smoothing, erasing and other regularisation pay in long runs,\n"
        "which these are not. Times were taken on a machine that did other work too.\n\n"
    )
    end = f"\n\nConditions: mien {first['mien']}, torch {first['torch']}, PublicTest {first['val']}, one CPU core.\n"
    write_text(PAGE, words + "\n".join(rows) + end)


def _accuracy(runs: list[dict[str, Any]]) -> tuple[float, float | None]:
    return mean_and_spread([r["last"]["val_accuracy"] for r in runs])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    one = commands.add_parser("run")
    one.add_argument("--data", required=True)
    one.add_argument("--votes", required=True)
    one.add_argument("--only", nargs="*", default=[], choices=list(ROWS), metavar="ROW")
    one.add_argument("--threads", type=int, default=1)
    commands.add_parser("table")
    a = parser.parse_args()
    if a.command == "run":
        torch.set_num_threads(a.threads)
        run(a.data, a.votes, a.only)
    else:
        table()


if __name__ == "__main__":
    main()
