"""The rules of the house that no linter knows."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "src").rglob("*.py"))
HEAVY = ("torch", "polars", "numpy", "transformers", "sklearn", "pydantic")
LIMIT = 400  # lines; a longer file has more than one purpose
DELETING = {"unlink", "rmdir", "rmtree", "removedirs", "TemporaryDirectory", "NamedTemporaryFile", "mkdtemp"}
DELETING_OF = {"os": {"remove", "replace", "rename", "renames"}, "shutil": {"move"}}
VAGUE = {"utils.py", "helpers.py", "common.py", "misc.py"}


def test_modules_are_found() -> None:
    assert len(MODULES) > 20


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_is_small_named_and_documented(path: Path) -> None:
    source = path.read_text("utf-8")
    assert source.count("\n") <= LIMIT
    assert path.name not in VAGUE
    assert source.startswith('"""')


def imported(path: Path, modules: set[str]) -> set[str]:
    """Return the modules that a file imports anywhere, for type checkers alone or inside functions, too."""
    nodes = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)]
    names = {(node.module, alias.name) for node in nodes if node.module for alias in node.names}
    return {one if (one := f"{module}.{name}") in modules else module for module, name in names} & modules


def test_no_import_leads_round_in_a_circle() -> None:
    paths = {".".join(path.relative_to(ROOT / "src").with_suffix("").parts): path for path in MODULES}
    paths = {name.removesuffix(".__init__"): path for name, path in paths.items()}
    graph = {name: imported(path, set(paths)) - {name} for name, path in paths.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(paths)  # raises CycleError, which names them


def test_no_two_test_files_have_one_name() -> None:
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []  # pytest would import only one of them


def deletions(source: str) -> list[str]:
    """Return the names of what a module calls that can remove files, or can put others in their place unseen."""
    calls = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    found = []
    for call in calls:
        name = call.attr if isinstance(call, ast.Attribute) else call.id if isinstance(call, ast.Name) else ""
        owner = call.value.id if isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name) else ""
        if name in DELETING or (name in DELETING_OF.get(owner, ())):
            found.append(f"{owner}.{name}".strip("."))
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_one_module_deletes(path: Path) -> None:
    found = deletions(path.read_text("utf-8"))
    assert bool(found) == (path.name == "removal.py"), found


def test_deletions_are_found() -> None:
    source = "import os, shutil\nos.remove(a)\np.unlink()\nwords.remove('x')\nshutil.move(a, b)\nrmtree(c)"
    assert deletions(source) == ["os.remove", "p.unlink", "shutil.move", "rmtree"]


def loaded_by(code: str) -> set[str]:
    """Return the modules that a fresh process has loaded after some code."""
    report = "import atexit, sys; atexit.register(lambda: print('LOADED', *sys.modules))\n"
    result = subprocess.run([sys.executable, "-c", report + code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    loaded = set(result.stdout.rsplit("LOADED", 1)[1].split())
    assert "luban" in loaded
    return loaded


@pytest.mark.parametrize(
    "code", ["import luban", "import luban.cli, sys; sys.argv = ['luban', '--help']; luban.cli.main()"]
)
def test_start_loads_nothing_heavy(code: str) -> None:
    assert not loaded_by(code) & set(HEAVY)


def test_the_list_of_samples_loads_no_models() -> None:
    assert not loaded_by("import luban.data.samples") & {"torch", "tokenizers", "safetensors", "transformers"}


def test_what_a_training_needs_at_last_is_not_loaded_first() -> None:
    loaded = loaded_by("import luban, luban.pipeline, luban.interface")
    assert not loaded & {
        "scipy.stats",
        "scipy.sparse",
        "scipy.special",
        "scipy.fft",
        "sklearn",
        "matplotlib",
        "transformers",
        "captum",
    }
