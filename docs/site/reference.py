"""The pages of the API reference, from what each package exports: signature, docstring, methods.

A public name without a docstring is named as missing, as is a method of a public class. Leaves out: the form of
docstrings (``docstrings``), and the command line (``commands``).
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any

from sphinx.pycode import ModuleAnalyzer

from docs.site.docstrings import to_markdown

__all__ = ["MODULES", "Reference"]

#: What the reference covers, in the order of its contents: what people use first, then what it stands on.
MODULES = (
    "mien", "mien.runtime", "mien.faces", "mien.video", "mien.explain", "mien.diagnostics", "mien.results",
    "mien.study", "mien.batch", "mien.hub", "mien.data", "mien.models", "mien.training", "mien.evaluation",
    "mien.export.onnx", "mien.export.quantize", "mien.classical", "mien.benchmark", "mien.reporting.plots",
    "mien.reporting.card", "mien.visualization.overlay", "mien.web", "mien.browser", "mien.labels", "mien.spec",
    "mien.preprocessing", "mien.images", "mien.picture_files", "mien.errors",
)  # fmt: skip

_OURS = "mien"
_UNSAID = {"forward", "extra_repr"}  # of a network: its class says what goes in and comes out


class Reference:
    """Writes the pages; ``missing`` names what has no docstring."""

    def __init__(self) -> None:
        self.missing = list[str]()

    def page(self, name: str) -> str:
        """The page of a module: what it is for, and each name that it exports."""
        module = importlib.import_module(name)
        parts = [f"# {name}", self._said(name, module.__doc__), f":::{{py:module}} {name}\n:::"]
        values = {n: getattr(module, n) for n in module.__all__ if n != "__version__"}
        for n in sorted(values, key=lambda n: (not inspect.isclass(values[n]), not callable(values[n]), n.lower())):
            parts.append(self._entry(module, n, values[n]))
        return "\n\n".join(parts) + "\n"

    def _entry(self, module: ModuleType, name: str, value: Any) -> str:
        where = f"{module.__name__}.{name}"
        # at the top of mien stand names that a package exports too: one of both is in the index
        options = f":module: {module.__name__}" + "\n:no-index:" * (module.__name__ == _OURS)
        if inspect.isclass(value) and value.__module__.startswith(_OURS):
            kind = "exception" if issubclass(value, BaseException) else "class"
            body = "\n\n".join([self._said(where, _own_words(value)), *self._members(where, value)])
            return _directive(kind, f"{name}{_signature(value)}", options, body, 5)
        if inspect.isroutine(value):
            return _directive("function", f"{name}{_signature(value)}", options, self._said(where, value.__doc__), 4)
        if inspect.ismodule(value):
            return _directive("attribute", name, options, self._said(where, value.__doc__), 4)
        return _directive("data", name, options, self._constant(module, name, value), 4)

    def _members(self, where: str, value: type) -> Iterator[str]:
        """Methods and properties that a class defines itself."""
        for member, own in vars(value).items():
            function = own.__func__ if isinstance(own, classmethod | staticmethod) else own
            if member.startswith("_") or member in _UNSAID:
                continue
            said = inspect.getdoc(getattr(value, member))
            if isinstance(own, property) and not said and re.search(rf"(?m)^\s*{member}  ", value.__doc__ or ""):
                continue  # the class's docstring lists it
            if isinstance(own, property):
                yield _directive("property", member, "", self._said(f"{where}.{member}", said), 4)
            elif inspect.isfunction(function):
                words = f"{member}{_signature(function, method=not isinstance(own, staticmethod))}"
                yield _directive("method", words, "", self._said(f"{where}.{member}", said), 4)

    def _said(self, where: str, docstring: str | None) -> str:
        if not docstring:
            self.missing.append(where)
        return to_markdown(docstring or "")

    def _constant(self, module: ModuleType, name: str, value: Any) -> str:
        """What the comment ``#:`` above a constant says, where it was made, and its value where that is short."""
        for source, own_name in ((module, name), *_made_in(value, name)):
            if said := _comments(source.__name__).get(("", own_name)):
                short = repr(value)
                shown = f"\n\n`{short}`" if len(short) < 200 and not set("`<") & set(short) else ""
                return to_markdown("\n".join(said)) + shown
        self.missing.append(f"{module.__name__}.{name} (a comment that begins with #:)")
        return ""


def _own_words(value: type) -> str | None:
    """A class's docstring, unless it is what ``dataclass`` or ``NamedTuple`` writes itself."""
    doc = value.__doc__
    return None if doc and doc.startswith(f"{value.__name__}(") else doc


def _directive(kind: str, words: str, options: str, body: str, colons: int) -> str:
    head = f"{':' * colons}{{py:{kind}}} {words}"
    return "\n".join(filter(None, (head, options))) + f"\n\n{body}\n{':' * colons}"


@cache
def _comments(module: str) -> dict[tuple[str, str], list[str]]:
    """The comments ``#:`` of a module: ``("", "NAME")`` -> lines."""
    found: dict[tuple[str, str], list[str]] = ModuleAnalyzer.for_module(module).find_attr_docs()
    return found


def _made_in(value: Any, name: str) -> Iterator[tuple[ModuleType, str]]:
    """The modules of ours that hold this very object, with its name there, those where it has ``name`` first."""
    ours = [m for key, m in list(sys.modules.items()) if key.startswith(f"{_OURS}.") and not hasattr(m, "__path__")]
    yield from ((m, name) for m in ours if vars(m).get(name) is value)
    yield from ((m, other) for m in ours for other, held in vars(m).items() if held is value and other != name)


def _signature(value: Any, *, method: bool = False) -> str:
    if getattr(value, "_is_protocol", False):
        return ""
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return "()"
    parameters = list(found.parameters.values())[1 if method else 0 :]
    words, keyword_only = list[str](), False
    for p in parameters:
        if p.kind is p.KEYWORD_ONLY and not keyword_only:
            words.append("*")
            keyword_only = True
        keyword_only |= p.kind is p.VAR_POSITIONAL
        stars = "*" * (1 if p.kind is p.VAR_POSITIONAL else 2 if p.kind is p.VAR_KEYWORD else 0)
        annotation = "" if p.annotation is p.empty else f": {_plain(p.annotation)}"
        default = "" if p.default is p.empty else f" = {_default(p.default)}"
        words.append(f"{stars}{p.name}{annotation}{default}")
    gives = "" if inspect.isclass(value) or found.return_annotation is found.empty else found.return_annotation
    return f"({', '.join(words)})" + (f" -> {_plain(gives)}" if gives else "" if gives == "" else " -> None")


def _plain(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _default(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 and "<" not in text else "..."
