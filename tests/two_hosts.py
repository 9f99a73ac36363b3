"""Two hosts for a test: network namespaces joined by a cable, and a job of ``torchrun`` that has processes on both."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

_PORTS = itertools.count(29511)  # a job's own


@contextlib.contextmanager
def joined() -> Iterator[list[str]]:
    """The names of two namespaces; where they cannot be made the test is skipped, with the reason."""
    names = [f"cv{os.getpid()}{end}" for end in "ab"]
    try:
        for name in names:
            _ip("netns", "add", name)
        _ip(*f"link add cable0 netns {names[0]} type veth peer name cable0 netns {names[1]}".split())
        for number, name in enumerate(names, start=1):
            for words in (f"addr add 10.77.0.{number}/24 dev cable0", "link set cable0 up", "link set lo up"):
                _ip("-n", name, *words.split())
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        _remove(names)
        why = getattr(error, "stderr", b"") or str(error).encode()
        pytest.skip(f"two network namespaces cannot be made here: {why.decode().strip()}")
    try:
        yield names
    finally:
        _remove(names)


def run(hosts: list[str], ranks: int, *program: str, **environment: str) -> None:
    """Run a program on so many processes of each host, and wait until it is through without an error."""
    port = next(_PORTS)
    started = [
        subprocess.Popen(
            ["ip", "netns", "exec", host, sys.executable, "-m", "torch.distributed.run", "--nnodes=2", f"--node-rank={number}",
             "--master-addr=10.77.0.1", f"--master-port={port}", f"--nproc-per-node={ranks}", *program],
            env=os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "cable0"} | environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for number, host in enumerate(hosts)
    ]  # fmt: skip
    for process in started:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said[-6000:]


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _remove(names: list[str]) -> None:
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
