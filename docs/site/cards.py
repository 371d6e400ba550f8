"""A page for each model that mien ships: its card, and the plots of what its file says about it.

Leaves out: the cards' words (``mien.reporting.card``).
"""

from __future__ import annotations

from pathlib import Path

from mien.evaluation.metrics import Report
from mien.reporting import plots
from mien.runtime import Classifier, shipped_models

__all__ = ["card_pages"]

_SPLIT = "PublicTest"


def card_pages(folder: Path) -> None:
    """Write the pages and their pictures into ``folder``."""
    folder.mkdir()
    names = []
    for name, file in shipped_models().items():
        card, spec = file.with_suffix(".md"), Classifier(file, threads=1).spec
        if not card.is_file():
            continue
        text = card.read_text(encoding="utf-8")
        if _SPLIT in spec.scores:
            report = Report.from_dict(spec.scores[_SPLIT])
            plots.confusion(report, folder / f"{name}-confusion.png")
            plots.reliability(report, folder / f"{name}-reliability.png")
            title, rest = text.split("\n", 1)
            pictures = f"![{name}: confusion on {_SPLIT}]({name}-confusion.png)\n\n"
            pictures += f"![{name}: how often it is right at each confidence]({name}-reliability.png)\n"
            text = f"{title}\n{rest.rstrip()}\n\n## Plots ({_SPLIT}, one view)\n\n{pictures}"
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
        names.append(name)
    about = "# The models' cards\n\nWhat each shipped network is, how good, and what it must not be used for.\n"
    contents = "\n".join(names)
    (folder / "index.md").write_text(f"{about}\n```{{toctree}}\n{contents}\n```\n", encoding="utf-8")
