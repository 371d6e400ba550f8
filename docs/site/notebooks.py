"""Runs a notebook's cells in this process and writes what they say into it: text, and pictures of a last line.

    python -m docs.site.notebooks        # all in examples/notebooks, in an empty folder each

So that notebooks run in CI without Jupyter, and their outputs stay small: pictures are at most 900 pixels wide. Leaves
out: everything else that a kernel does.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

__all__ = ["NOTEBOOKS", "execute", "main"]

ROOT = Path(__file__).parents[2]
#: The notebooks, in the order of their names.
NOTEBOOKS = tuple(sorted((ROOT / "examples" / "notebooks").glob("*.ipynb")))

_WIDEST = 900  # pixels


def execute(notebook: Path, folder: Path) -> dict[str, Any]:
    """The notebook with fresh outputs; its cells ran in ``folder``, which gets the photo of ``examples/``."""
    found: dict[str, Any] = json.loads(notebook.read_text(encoding="utf-8"))
    shutil.copy(ROOT / "examples" / "astronaut.jpg", folder)
    namespace, before, count = {"__name__": "__main__"}, Path.cwd(), 0
    os.chdir(folder)
    try:
        for cell in found["cells"]:
            if cell["cell_type"] == "code":
                count += 1
                cell["execution_count"] = count
                cell["outputs"] = list(_outputs("".join(cell["source"]), namespace, count))
    finally:
        os.chdir(before)
    return found


def _outputs(source: str, namespace: dict[str, Any], count: int) -> Iterator[dict[str, Any]]:
    """What a cell prints, and the value of its last line where that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    value, said = None, io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(tree, "cell", "exec"), namespace)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), namespace)
    if text := said.getvalue():
        yield {"output_type": "stream", "name": "stdout", "text": text.splitlines(keepends=True)}
    if value is not None:
        data = {"text/plain": [repr(value) if not isinstance(value, Image.Image) else f"a picture, {value.size}"]}
        if isinstance(value, Image.Image):
            data["image/png"] = _png(value)  # type: ignore[assignment]
        yield {"output_type": "execute_result", "execution_count": count, "metadata": {}, "data": data}


def _png(picture: Image.Image) -> str:
    picture.thumbnail((_WIDEST, _WIDEST))
    small, buffer = picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=64), io.BytesIO()
    small.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def main() -> None:
    """Run them all, and write their outputs into them."""
    for notebook in NOTEBOOKS:
        with tempfile.TemporaryDirectory() as folder:
            found = execute(notebook, Path(folder))
        notebook.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"{notebook.name}: {notebook.stat().st_size / 1000:,.0f} kB", file=sys.stderr)


if __name__ == "__main__":
    main()
