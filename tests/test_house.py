"""The laws of the house that import-linter does not hold."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from gemmalocal import errors
from tests.conftest import LONGEST_FILES

ROOT = Path(__file__).parent.parent
EVERY_COMMAND = "from gemmalocal.cli import group\nfor name in group.list_commands(None): group.get_command(None, name)"
ERRORS = {name for name, kind in vars(errors).items() if isinstance(kind, type)} - {"OutputUnwanted"}  # is not told
HEAVY = {"mlx", "mlx_lm", "torch", "transformers", "numpy", "tokenizers", "datasets", "pydantic"}
HEAVY |= {"tensorboard", "wandb", "trackio", "mlflow"}
OTHERS = {"wandb", "peft", "bitsandbytes"}  # brought by parts of mlx-lm and transformers that few jobs use, in seconds


@cache
def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after `code`."""
    script = f"{code}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


FROM_PYTHON = "import gemmalocal\nfor name in gemmalocal.__all__: getattr(gemmalocal, name)"


@pytest.mark.parametrize("code", ["import tui.app", EVERY_COMMAND, "import gemmalocal.jobs.history", FROM_PYTHON])
def test_watchers_load_nothing_heavy(code: str) -> None:
    assert not loaded_by(code) & HEAVY


def test_to_import_gemmalocal_is_to_import_nearly_nothing() -> None:
    """Modules are counted, which no busy machine changes; `benchmarks.import_time` measures the time."""
    counted = "import sys\nbare = set(sys.modules)\n{}\nprint(len(set(sys.modules) - bare))"
    for code, most in (("import gemmalocal", 40), (FROM_PYTHON, 200)):
        script = [sys.executable, "-c", counted.format(code)]
        assert int(subprocess.run(script, capture_output=True, check=True, cwd=ROOT).stdout) <= most


def test_the_backend_does_arrive_when_asked_for() -> None:
    assert "mlx" in loaded_by("from gemmalocal.backends import open_backend\nopen_backend('mlx')")


def test_mlx_brings_no_torch_and_torch_comes_whole_after_it() -> None:
    both = "from gemmalocal.backends import open_backend\nopen_backend('mlx')"
    assert not loaded_by(both) & {"torch", "transformers", *OTHERS}
    both += "\nopen_backend('torch')\nimport mlx_lm.server, torch\nfrom transformers import Gemma3ForCausalLM"
    both += "\nassert issubclass(Gemma3ForCausalLM, torch.nn.Module)"
    assert loaded_by(both) & {"torch", *OTHERS} == {"torch"}


def test_the_first_engine_stays_and_is_not_looked_through_for_garbage() -> None:
    """Of the second one the first may have models, which must not stay."""
    frozen = "print('frozen', gc.isenabled(), gc.get_freeze_count() > 50_000)"
    first = f"import gc\nfrom gemmalocal.backends import open_backend, to_stay\nopen_backend('mlx')\n{frozen}"
    second = "count = gc.get_freeze_count()\nwith to_stay(): print('second', gc.isenabled())"
    script = [sys.executable, "-c", f"{first}\n{second}\nprint(gc.isenabled(), gc.get_freeze_count() == count)"]
    done = subprocess.run(script, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "frozen True True\nsecond True\nTrue True\n"


def test_a_test_process_holds_no_engine_that_its_tests_do_not_use() -> None:
    session = "import pytest\nassert pytest.main(['-q', '-p', 'no:cacheprovider', {}]) == 0"
    assert not loaded_by(session.format("'tests/recipe/test_bounds.py'")) & {"mlx", "torch", "transformers"}
    by_mlx = "'tests/pipelines/test_chat.py', '-k', 'two_voices'"
    assert loaded_by(session.format(by_mlx)) & {"mlx", "torch"} == {"mlx"}


def test_rooms_are_small() -> None:
    rooms = ("gemmalocal", "tui", "tests", "benchmarks", "docs")
    files = [file for room in rooms for file in (ROOT / room).rglob("*.py")]
    assert len(files) > 500
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert text.count("\n") <= 400, f"{file} has grown past 400 lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                assert length <= 50, f"{file}: {node.name} has {length} lines"


def test_only_backends_are_asked_for_by_name() -> None:
    for file in ROOT.glob("gemmalocal/**/*.py"):
        if "backends" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare):
                values = [part.value for part in node.comparators if isinstance(part, ast.Constant)]
                assert not {"mlx", "torch"} & set(map(str, values)), f"{file}:{node.lineno} compares a backend's name"


def errors_in(file: Path) -> Iterator[ast.Call]:
    """Where one of our errors is made with a sentence that stands there."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Name(id=name), args=[ast.Constant() | ast.JoinedStr(), *_]) if name in ERRORS:
                yield node


def test_an_error_is_a_sentence_and_a_remedy() -> None:
    calls = [(file, call) for file in ROOT.glob("gemmalocal/**/*.py") for call in errors_in(file)]
    assert len(calls) > 150
    for file, call in calls:
        assert len(call.args) + len(call.keywords) == 2, f"{file}:{call.lineno} says no remedy"


def imported_modules(file: Path, modules: set[str]) -> set[str]:
    """Those of `modules` that a file imports: inside functions too, and for types alone."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            members = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= members & modules or {node.module}
            names |= {node.module} if members - modules else set()
    return names & modules


def test_no_module_imports_itself_by_way_of_others() -> None:
    files = [*ROOT.glob("gemmalocal/**/*.py"), *ROOT.glob("tui/**/*.py")]
    named = {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}
    imports = {module: imported_modules(file, set(named)) for module, file in named.items()}
    assert sum(map(len, imports.values())) > 500
    TopologicalSorter(imports).prepare()  # raises CycleError, which names the modules


def test_the_files_that_come_first_are_there() -> None:
    assert not [file for file in LONGEST_FILES if not (ROOT / file).is_file()]
