"""The house: imports run one way down, importing stays light, public names are what they are."""

import ast
import subprocess
import sys
from pathlib import Path

import convarium as cv

SOURCE = Path(cv.__file__).parent
FLOORS = ["_spec", "_native", "_engines", "_planner", "_maps"]  # from the ground up; the face stands on them
ABOVE = ["_train", "_cli", "__main__"]  # users of the face: nothing below knows that they exist


def floor(module):
    first = module.split(".")[0]
    return FLOORS.index(first) if first in FLOORS else (len(FLOORS) + 1 if first in ABOVE else len(FLOORS))


def test_imports_run_one_way_down():
    for path in SOURCE.rglob("*.py"):
        inside = path.relative_to(SOURCE)
        package = inside.parts[:-1]
        own = floor(inside.parts[0].removesuffix(".py"))
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                base = package[: len(package) - node.level + 1]
                target = ".".join([*base, *((node.module or "").split(".") if node.module else [])])
                names = [target] if target else [alias.name for alias in node.names]
                if path.name == "__init__.py" and path.parent == SOURCE:
                    continue
                assert all(floor(name) <= own for name in names), f"{inside} imports {names}"


def test_importing_is_light():
    program = "import sys, convarium; print(*sorted(m for m in sys.modules if '.' not in m))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"matplotlib", "sklearn", "scipy", "jax", "typer", "rich", "safetensors", "PIL", "triton"}
    assert not heavy & set(loaded)


def test_public_names_are_there_and_documented():
    assert (SOURCE / "py.typed").exists()
    for module in (cv, cv.nn, cv.grad, cv.matrix, cv.signal):
        assert list(module.__all__) == sorted(module.__all__)
        for name in module.__all__:
            assert getattr(module, name).__doc__, f"{module.__name__}.{name} has no docstring"


def test_readme_commands_exist():
    root = SOURCE.parent.parent
    makefile = (root / "Makefile").read_text()
    assert all(f"\n{target}:" in makefile for target in ("demo", "test", "test-all", "lint", "bench"))
