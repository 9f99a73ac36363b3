"""The house: imports run one way down, importing stays light, public names are what they are."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import convarium as cv

SOURCE = Path(cv.__file__).parent
FLOORS = [  # from the ground up: a floor imports itself and what lies below
    {"_files"},
    {"_spec"},
    {"_native"},
    {"_engines"},
    {"_planner"},
    {"_maps"},
    {"_signal"},
    {"functional", "grad", "matrix", "planning", "signal", "design", "export"},
    {"nn"},
    {"_look", "models", "_convert", "_blockwise"},
    {"looking", "convert", "blockwise", "distributed"},
    {"__init__"},
    {"_train"},
    {"_cli"},
    {"__main__"},
]


SHOWN_BY = {("_spec/channels.py", "_look"), ("_spec/stack.py", "_look")}  # methods that import inside the call


def floor(name):
    (found,) = (height for height, names in enumerate(FLOORS) if name in names)  # what is not in the table has no place
    return found


def imported(path):
    """What a file imports of this package, each as a path of names below it, and where."""
    package = path.relative_to(SOURCE).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*package[: len(package) - node.level + 1], *(node.module.split(".") if node.module else [])]
            for alias in node.names:
                yield [*base, alias.name], node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "convarium":
            yield [*node.module.split(".")[1:], node.names[0].name], node.lineno
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "convarium":
                    yield (alias.name.split(".")[1:] or ["__init__"]), node.lineno


def test_imports_run_one_way_down():
    for path in SOURCE.rglob("*.py"):
        inside = path.relative_to(SOURCE)
        own = floor(inside.parts[0].removesuffix(".py"))
        for names, line in imported(path):
            first = names[0] if (SOURCE / names[0]).is_dir() or (SOURCE / f"{names[0]}.py").exists() else "__init__"
            assert floor(first) <= own or (inside.as_posix(), first) in SHOWN_BY, (
                f"{inside}:{line} imports {'.'.join(names)}, which stands above it"
            )


def test_importing_is_light():
    program = "import sys, convarium; print(*sorted(m for m in sys.modules if '.' not in m))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    heavy = {
        "matplotlib",
        "sklearn",
        "scipy",
        "jax",
        "typer",
        "rich",
        "safetensors",
        "PIL",
        "triton",
        "h5py",
        "onnx",
        "sympy",
        "dask",
        "zarr",
    }
    assert not heavy & set(loaded)


def test_what_few_need_is_imported_when_it_is_asked_for():
    later = {
        "convarium.blockwise",
        "convarium.convert",
        "convarium.design",
        "convarium.distributed",
        "convarium.looking",
        "convarium.models",
    }
    program = f"""
import sys, convarium as cv
later = {later}
assert not later & set(sys.modules), later & set(sys.modules)
assert set(cv.__all__) <= set(dir(cv))
from convarium import look, models
assert callable(look) and cv.look is look and cv.models is models
assert cv.blockwise.store and cv.convert.load and cv.design_block and cv.distributed.shard_spatially
try:
    cv.conv4d
except AttributeError as error:
    assert str(error) == "module 'convarium' has no attribute 'conv4d'"
else:
    raise SystemExit("conv4d?")
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_public_names_are_there_and_documented():
    assert (SOURCE / "py.typed").exists()
    for module in (
        cv,
        cv.blockwise,
        cv.distributed,
        cv.nn,
        cv.convert,
        cv.export,
        cv.grad,
        cv.matrix,
        cv.models,
        cv.signal,
    ):
        assert list(module.__all__) == sorted(module.__all__)
        for name in module.__all__:
            assert getattr(module, name).__doc__, f"{module.__name__}.{name} has no docstring"


def test_public_names_are_these():
    """A name that is here is used by someone: changing this list is breaking their code."""
    layers = [f"{kind}{n}d" for n in (1, 2, 3) for kind in
              ("Conv", "ConvTranspose", "TiledConv", "TiledConvTranspose", "LocalConv", "LocalConvTranspose",
               "LazyLocalConv", "LazyLocalConvTranspose", "ChannelConv", "ChannelConvTranspose")]  # fmt: skip
    assert set(cv.nn.__all__) == {*layers, "Layer"}
    assert set(cv.blockwise.__all__) == {"blur", "convolve", "correlate", "local", "richardson_lucy", "store"}
    assert set(cv.distributed.__all__) == {
        "LayerCost",
        "Prediction",
        "Traffic",
        "counting",
        "predict",
        "shard_spatially",
    }
    assert cv.export.__all__ == ["aten"]
    assert set(cv.convert.__all__) == {
        "from_keras", "from_torch", "load", "local_from_flax", "local_from_torch7", "local_from_unfold", "to_safetensors",
    }  # fmt: skip
    assert set(cv.grad.__all__) == {f"conv{n}d_{of}" for n in (1, 2, 3) for of in ("input", "weight")}
    assert set(cv.matrix.__all__) == {"Tables", "col2im", "conv_matrix", "im2col", "tables"}
    assert set(cv.__all__) == {
        *(f"conv{n}d" for n in (1, 2, 3)), *(f"conv_transpose{n}d" for n in (1, 2, 3)), *(f"plan{n}d" for n in (1, 2, 3)),
        "BlockDesign", "ChannelGraph", "ChannelStack", "FunctionConvolution", "Plan", "Shapes", "Terms", "Trace", "View",
            "blockwise", "choose_method", "convert", "convolve",
        "convolve_functions", "correlate", "design_block", "distributed", "empty_cache", "engines", "export", "grad", "look",
            "matrix", "memory_stats", "models",
        "nn", "shapes", "weighted_average",
    }  # fmt: skip


def test_readme_commands_exist():
    root = SOURCE.parent.parent
    makefile = (root / "Makefile").read_text()
    assert all(f"\n{target}:" in makefile for target in ("demo", "test", "test-all", "lint", "bench"))


def test_what_is_shipped_has_its_licence():
    root = SOURCE.parent.parent
    bundled = json.loads((root / "page" / "package.json").read_text())["dependencies"]
    page = (SOURCE / "_look" / "page.html").read_text()
    assert {path.stem for path in (root / "LICENSES").iterdir()} == set(bundled)
    for name in bundled:
        text = (root / "LICENSES" / f"{name}.txt").read_text()
        assert "MIT" in text
        assert text.strip() in page
