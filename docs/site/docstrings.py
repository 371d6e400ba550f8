"""From our docstrings to Markdown: paragraphs, aligned lists of fields, indented code, and inline code.

Docstrings are written to be read in a terminal. A list of fields is a block of lines ``name  what it is``, aligned in
one column, that go on below it. Leaves out: where docstrings come from (``reference``).
"""

from __future__ import annotations

import inspect
import re

__all__ = ["to_markdown"]

_FIELD = re.compile(r"^(\S.*?) {2,}(?=\S)")
_ROLE = re.compile(r":\w+:`~?\.?([^`]+)`")
_CODE = re.compile(r"(`[^`\n]+`)")


def to_markdown(docstring: str) -> str:
    """The docstring as Markdown, without a heading."""
    blocks = re.split(r"\n\s*\n", inspect.cleandoc(docstring))
    merged = list[str]()
    for block in blocks:  # code that has empty lines in it is one block
        if merged and block.startswith("    ") and merged[-1].startswith("    "):
            merged[-1] += f"\n\n{block}"
        else:
            merged.append(block)
    return "\n\n".join(_block(block) for block in merged)


def _block(block: str) -> str:
    lines = block.split("\n")
    if all(line.startswith("    ") or not line.strip() for line in lines):
        code = "\n".join(line[4:] for line in lines)
        language = "python" if re.search(r"^(from|import) |\w\(.*\)|^\w+ = ", code) and "──" not in code else "text"
        return f"```{language}\n{code}\n```"
    if (column := _column(lines)) is not None:
        return _fields(lines, column)
    return _inline(" ".join(line.strip() for line in lines))


def _column(lines: list[str]) -> int | None:
    """Where the descriptions of a list of fields begin; None where the lines are a paragraph."""
    found = [match.end() for line in lines if (match := _FIELD.match(line))]
    if not found:
        return None
    column = found[0]
    for line in lines:
        begins = len(line) > column and line[column - 1] == " " and line[column] != " "
        if line.startswith(" ") and not line[:column].strip():
            continue
        if not begins:
            return None
    return column


def _fields(lines: list[str], column: int) -> str:
    items = list[str]()
    for line in lines:
        name, text = line[:column].strip(), line[column:].strip()
        if name:
            items.append(f"- **{_inline(name)}**: {_inline(text)}")
        else:
            items[-1] += f" {_inline(line.strip())}"
    return "\n".join(items)


def _inline(text: str) -> str:
    """Code stays code, roles become code, and everything else is text."""
    text = _ROLE.sub(r"`\1`", text).replace("``", "`")
    parts = _CODE.split(text)
    return "".join(part if i % 2 else re.sub(r"([*<\[\]{}|])", r"\\\1", part) for i, part in enumerate(parts))
