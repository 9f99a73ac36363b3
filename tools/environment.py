"""Make the project's virtual environment: ``python tools/environment.py [extra ...]``.

Installs the pinned versions of ``constraints.txt`` and the project itself, editable, with the extras named. On Linux the
PyTorch of the package index brings gigabytes of CUDA, so a CPU build is looked for first, unless an NVIDIA driver is there.
A second call with the same pins, extras and C++ core does nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
CONSTRAINTS = ROOT / "constraints.txt"
CPU_BUILDS = "https://download.pytorch.org/whl/cpu"


def pip(*arguments: str, python: Path = PYTHON, check: bool = True, quiet_errors: bool = False) -> bool:
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-qq", *arguments]
    streams = subprocess.DEVNULL if quiet_errors else None
    return subprocess.run(command, check=check, stderr=streams, stdout=streams).returncode == 0


def install_torch(python: Path = PYTHON) -> None:
    (pin,) = (line for line in CONSTRAINTS.read_text().splitlines() if line.startswith("torch=="))
    if sys.platform == "linux" and not shutil.which("nvidia-smi"):
        on_disk = ("--no-index", "--no-deps", pin)
        from_cpu_builds = ("--no-deps", "--retries", "1", "--timeout", "20", "--index-url", CPU_BUILDS, pin)
        for source in (on_disk, from_cpu_builds):
            if pip(*source, python=python, check=False, quiet_errors=True):
                return
    pip("-c", str(CONSTRAINTS), pin, python=python)


def what_is_built() -> list[Path]:
    """The files that an installation depends on; Python sources are used where they lie."""
    core = sorted(path for path in (ROOT / "native").rglob("*") if path.is_file())
    return [CONSTRAINTS, ROOT / "pyproject.toml", ROOT / "CMakeLists.txt", *core]


def main(extras: list[str]) -> None:
    if sys.version_info < (3, 11):  # noqa: UP036 (this is where an older Python is told)
        sys.exit(f"convarium needs Python 3.11 or newer; this is {sys.version.split()[0]}")
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in what_is_built())).hexdigest()
    stamp = ENVIRONMENT / "installed"
    done = stamp.read_text().split() if stamp.exists() else []
    have = set(done[1:]) if done[:1] == [wanted] else set()
    if stamp.exists() and set(extras) <= have:
        return
    print("setting up .venv (the first time takes a few minutes) ...", flush=True)
    if not PYTHON.exists():
        venv.create(ENVIRONMENT, with_pip=True)
    install_torch()
    every = sorted(have | set(extras))
    project = f"{ROOT}[{','.join(every)}]" if every else str(ROOT)
    pip("-c", str(CONSTRAINTS), "--editable", project)
    stamp.write_text("\n".join([wanted, *every]) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
