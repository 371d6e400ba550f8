"""The rooms of the house: who may import whom, what is exported, and that importing stays cheap."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mien.errors import MissingExtra

SOURCE = Path(__file__).parent.parent / "src" / "mien"

# The wings, from the ground up. A module may import from lower floors and from its own wing; circles are errors.
FLOORS = (
    ("installation", "errors", "lazy", "wording"),
    ("labels", "files", "decoding", "images", "picture_files", "spec", "preprocessing", "faces", "hub_files", "stored"),
    ("data", "models", "classical", "video"),
    ("runtime",),
    ("explain", "evaluation", "export"),
    ("diagnostics", "reporting", "results"),
    ("visualization", "training", "study", "batch", "browser", "hub"),
    ("benchmark", "web"),
    ("cli",),
    ("__main__",),
)
RANKS = {wing: floor for floor, wings in enumerate(FLOORS) for wing in wings}
GROUND = FLOORS[0] + FLOORS[1]
# Wings and modules that need torch; everything else works without.
TORCH = {"hub", "models", "training", "export", "benchmark", "cli", "explain", "evaluation"}
WITHOUT_TORCH = {
    "mien.evaluation.metrics",
    "mien.evaluation.calibration",
    "mien.evaluation.significance",
    "mien.evaluation.corruptions",
    "mien.evaluation.groups",
}

MODULES = sorted(SOURCE.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


KNOWN = {name_of(path) for path in MODULES}


def room(module: str) -> str:
    """``mien.data.readers.folders`` -> ``data``; ``mien`` itself -> ``""``."""
    return module.split(".")[1] if "." in module else ""


def imports(path: Path) -> set[str]:
    """Every module of mien that a file imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            module = node.module or ""
            # `from mien.data import cache` names a module, `from mien.data import read_faces` an attribute
            names = {f"{module}.{alias.name}" for alias in node.names}
            below = names & KNOWN
            found |= below
            if below != names:
                found.add(module)
    return {name for name in found if name.split(".")[0] == "mien"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_from_lower_floors(path):
    own = room(name_of(path))
    if not own:
        return  # the package's own __init__ only passes on what is asked for
    assert own in RANKS, f"{name_of(path)} has no floor: give it one in tests/test_architecture.py"
    for other in imports(path):
        target = room(other)
        if target in ("", own) or (own in GROUND and target in GROUND):
            continue
        assert target in RANKS, f"{name_of(path)} imports {other}, which has no floor"
        assert RANKS[target] < RANKS[own], f"{name_of(path)}, floor {RANKS[own]}: {other}, floor {RANKS[target]}"


def test_no_module_imports_itself_by_a_detour():
    known = {name_of(path): path for path in MODULES}
    arrows: dict[str, set[str]] = {}
    for name, path in known.items():
        own_package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        arrows[name] = {o for o in imports(path) if o in known and o != "mien"}
        assert own_package not in arrows[name] or name == own_package, f"{name} imports its own package {own_package}"
    done: set[str] = set()

    def follow(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join((*way[way.index(name) :], name))
        if name not in done:
            for other in sorted(arrows[name]):
                follow(other, (*way, name))
            done.add(name)

    for name in sorted(arrows):
        follow(name, ())


def test_no_room_of_leftovers_and_two_levels_at_most():
    for path in MODULES:
        assert path.stem not in ("utils", "common", "helpers", "misc"), path
        assert len(path.relative_to(SOURCE).parts) <= 3, path


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_says_what_it_is_for_and_lists_what_is_public(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{path}: no docstring"
    defined, listed = set(), None
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            defined.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                defined |= {name.id for name in ast.walk(target) if isinstance(name, ast.Name)}
                if isinstance(target, ast.Name) and target.id == "__all__":
                    assert node.value is not None
                    listed = ast.literal_eval(node.value)
        elif isinstance(node, ast.ImportFrom) and path.name == "__init__.py":
            defined |= {alias.asname or alias.name for alias in node.names}
    if listed is None:
        assert path.name == "__init__.py" or not {n for n in defined if n[0] != "_"}, f"{path}: no __all__"
        return
    assert len(listed) == len(set(listed)), f"{path}: __all__ names something twice"
    if "__getattr__" not in defined:  # else names come on first use
        assert set(listed) <= defined, f"{path}: __all__ names {set(listed) - defined}, which is not there"
    if "__getattr__" in defined:  # once it is imported, a module hides what is to come under its name
        beside = {other.stem for other in path.parent.iterdir()}
        assert not beside & set(listed), f"{path}: __all__ names {beside & set(listed)}, which are modules too"


@pytest.mark.parametrize("path", [path for path in MODULES if path.name == "__init__.py"], ids=name_of)
def test_every_listed_name_can_be_had_from_where_a_type_checker_finds_it(path):
    package = importlib.import_module(name_of(path))
    places = {
        alias.name: node.module
        for block in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(block, ast.If) and getattr(block.test, "id", "") == "TYPE_CHECKING"
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    listed = getattr(package, "__all__", ())
    assert set(places) <= set(listed)
    for name in listed:
        found = getattr(package, name)
        assert found is not None
        assert name not in places or found is getattr(importlib.import_module(places[name]), name), name


LAZY = [p for p in MODULES if p.name == "__init__.py" and "lazy_names(" in p.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", LAZY, ids=name_of)
def test_what_comes_on_first_use_is_listed_and_nothing_else_comes(path):
    package = importlib.import_module(name_of(path))
    assert dir(package) == sorted(package.__all__)
    with pytest.raises(AttributeError, match=f"module '{name_of(path)}' has no attribute 'nothing_of_this_name'"):
        package.nothing_of_this_name  # noqa: B018


@pytest.mark.parametrize(
    ("ask", "missing", "extra"),
    [
        ("mien.create_model", "torch", "train"),
        ("mien.train", "torch", "train"),
        ("mien.load_recipe", "msgspec", "train"),
        ("mien.evaluate", "torch", "train"),
        ("mien.benchmark.compare", "torch", "train"),
        ("mien.classical.make_classical", "skimage", "classical"),
    ],
)
def test_a_name_that_needs_an_extra_says_which(ask, missing, extra, monkeypatch):
    package, _, name = ask.rpartition(".")
    module = importlib.import_module(package)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtra, match=rf"needs {missing}, .*: pip install .*\[{extra}\]"):
        getattr(module, name)


def top_level_imports(path: Path) -> set[str]:
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_torch_stays_in_its_rooms(path):
    own = room(name_of(path))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    anywhere = {
        (alias.name if isinstance(node, ast.Import) else node.module or "").split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    if own not in TORCH or name_of(path) in WITHOUT_TORCH:
        assert "torch" not in anywhere, f"{name_of(path)} must work without torch"
    if own in ("cli", "explain"):
        assert "torch" not in top_level_imports(path), f"{name_of(path)} must import torch inside its functions"


@pytest.mark.parametrize(
    "code",
    [
        "import mien",
        "import mien; mien.Predictor",
        "import mien.runtime, mien.explain, mien.images, mien.spec, mien.evaluation.metrics",
        "import mien.data",
        "import mien.cli",
    ],
)
def test_torch_is_not_imported_by_what_predicts(code):
    check = f"import sys\n{code}\nprint(sorted({{'torch', 'matplotlib', 'sklearn'}} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
    assert run.stderr == ""


def test_import_of_the_package_alone_loads_nothing_heavy():
    check = "import sys, mien; print(sorted({'numpy', 'cv2', 'onnxruntime', 'rich', 'typer'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_help_needs_no_numerics():
    check = (
        "import sys\nfrom typer.testing import CliRunner\nfrom mien.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "print(sorted({'numpy', 'cv2', 'onnxruntime', 'torch'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_page_about_the_house_names_what_is_there():
    root = SOURCE.parents[1]
    text = (root / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawing = text.split("```")[1]
    assert {word for line in drawing.splitlines() for word in line[:66].split()} >= set(RANKS) - {"__main__"}
    for name in re.findall(r"`([\w/]+(?:\.py|/))`", text):
        assert (root / name).exists() or (SOURCE / name).exists(), f"docs/architecture.md names {name}"
