"""A network in bands on 1, 2 and 4 processes: time, bytes and memory measured, a model of the time checked against them, and
carried on to 1,024 ranks as a simulation.

The model of a step, from what is measured here: ``operations of the busiest rank / rate of one thread`` (times the ranks that
share a core) ``+ bytes of its rows / bandwidth + messages * latency``, and ``2 (N - 1) / N * shared bytes / bandwidth`` for the
sums. Data parallelism in the same terms: as many operations, and sums of all gradients.

``python -m benchmarks.ranks FILE`` is one of the processes.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor

import convarium as cv

from .measure import interleaved

BATCH, SIZE = (32, 32, 112, 112), 56
GRID = (8, 8, 721, 1440)  # of the simulation: fields of the weather on a quarter of a degree
OURS, THEIRS, INK = "#c2410c", "#6b7280", "#71717a"
SIMULATED = (8, 16, 32, 64, 128, 256, 512, 1024)


def network() -> nn.Module:
    return nn.Sequential(
        cv.nn.LocalConv2d(32, 64, 3, padding=1, input_size=(2 * SIZE, 2 * SIZE)), nn.ReLU(),
        cv.nn.LocalConv2d(64, 64, 3, stride=2, padding=1, input_size=(2 * SIZE, 2 * SIZE)), nn.ReLU(),
        cv.nn.LocalConv2d(64, 64, 3, padding=1, input_size=(SIZE, SIZE)), nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


def grid() -> nn.Module:
    """Built on the meta device: 2.4 GB a layer."""
    with torch.device("meta"):
        return nn.Sequential(*(cv.nn.LocalConv2d(8, 8, 3, padding=1, input_size=GRID[2:]) for _ in range(3)))


@dataclass(frozen=True)
class Run:
    """One number of ranks, each with ``threads``: seconds of a step, and of the busiest rank bytes sent, of tensors that it
    holds (weights, gradients, the optimiser's state), and resident beyond what importing takes; the link between two."""

    ranks: int
    threads: int
    step: float
    sent: int
    held: int
    resident: int
    latency: float
    bandwidth: float


@dataclass(frozen=True)
class Ranks:
    runs: list[Run]
    predicted_bytes: list[int]
    predicted_seconds: list[float]
    simulated: list[tuple[int, float, float]]  # ranks, seconds in bands, seconds with data parallelism

    def __str__(self) -> str:
        alone, link = self.runs[0], self.runs[1]
        head = (
            "ranks x threads",
            "step",
            "of one",
            "model",
            "sent",
            "predicted",
            "tensors",
            "of one",
            "resident",
            "of one",
        )
        rows = [
            (
                f"{run.ranks} x {run.threads}", f"{1e3 * run.step:.1f} ms", f"{run.step / alone.step:.2f}",
                f"{1e3 * seconds:.0f} ms", f"{run.sent / 2**10:.0f} KiB", f"{sent / 2**10:.0f} KiB",
                f"{run.held / 2**20:.0f} MiB", f"{run.held / alone.held:.3f}", f"{run.resident / 2**20:.0f} MiB",
                f"{run.resident / alone.resident:.3f}",
            )
            for run, sent, seconds in zip(self.runs, self.predicted_bytes, self.predicted_seconds, strict=True)
        ]  # fmt: skip
        apart = max(
            abs(said / run.step - 1) for run, said in zip(self.runs[1:], self.predicted_seconds[1:], strict=True)
        )
        speeds = f"{link.bandwidth / 1e9:.2f} GB/s, {1e6 * link.latency:.0f} µs a message"
        where = f"{GRID[2]}x{GRID[3]} (7.2 GB of weights), batch {GRID[0]}"
        lines = [
            "A network in bands: LocalConv2d 32->64, 64->64 (stride 2), 64->64, Conv2d 64->64, 3x3 on 112x112 and 56x56, Adam",
            *(
                "  " + "".join(f"{cell:>16}" if k == 0 else f"{cell:>11}" for k, cell in enumerate(row))
                for row in (head, *rows)
            ),
            f"  between two ranks {speeds}; {os.cpu_count()} cores; tensors: weights, gradients, the optimiser's state",
            "",
            f"Simulated, not measured: three LocalConv2d 8->8, 3x3, on {where}, a core a rank, this link between any two;",
            f"the model is up to {100 * apart:.0f} % from what was measured on 2 and 4 ranks",
            f"{'ranks':>8}{'bands':>14}{'data parallel':>18}",
        ]
        lines += [f"{ranks:8}{1e3 * bands:11.1f} ms{1e3 * data:15.1f} ms" for ranks, bands, data in self.simulated]
        return "\n".join(lines)

    def draw(self, path: Path) -> None:
        """The simulation as a picture."""
        import matplotlib.pyplot as plt

        plt.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "ranks", "font.size": 9, "text.color": INK,
                         "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.labelcolor": INK}  # fmt: skip
        figure, axes = plt.subplots(figsize=(7, 4))
        ranks, bands, data = zip(*self.simulated, strict=True)
        for times, colour, name in ((bands, OURS, "bands of space"), (data, THEIRS, "data parallel")):
            axes.plot(ranks, times, color=colour, marker="o", markersize=4)
            axes.annotate(name, (ranks[0], times[0]), xytext=(8, 9), textcoords="offset points", color=colour)
        axes.set(
            xscale="log",
            yscale="log",
            xticks=ranks,
            xticklabels=map(str, ranks),
            xlabel="ranks",
            ylabel="seconds a step",
        )
        axes.minorticks_off()
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_title("Simulated from what was measured: 7.2 GB of local weights", fontsize=9, loc="left", color=INK)
        figure.tight_layout()
        figure.savefig(path, transparent=True, metadata={"Date": None})
        plt.close(figure)


def measure() -> Ranks:
    runs = [_run(1, 2), _run(2, 1), _run(4, 1)]
    single = _run(1, 1)
    link, cores = runs[1], os.cpu_count() or 1
    costs = {run.ranks: cv.distributed.predict(network(), BATCH, run.ranks) for run in runs}
    rate = costs[1].operations(0) / single.step
    shared = [max(1, run.ranks / cores) for run in runs[1:]]
    seconds = [_model(costs[run.ranks], rate, link, together) for run, together in zip(runs[1:], shared, strict=True)]
    simulated = []
    wide, alone = grid(), cv.distributed.predict(grid(), GRID, 1)
    for ranks in SIMULATED:
        bands = _model(cv.distributed.predict(wide, GRID, ranks), rate, link)
        sums = 2 * (ranks - 1) / ranks * alone.held(0) / link.bandwidth
        simulated.append((ranks, bands, max(alone.operations(0) / ranks, alone.operations(0) / GRID[0]) / rate + sums))
    sent = [max(map(costs[run.ranks].sent, range(run.ranks))) for run in runs]
    return Ranks(runs, sent, [runs[0].step, *seconds], simulated)


def _model(cost: Any, rate: float, link: Run, together: float = 1.0) -> float:
    busiest = max(map(cost.operations, range(cost.ranks)))
    messages = 2 * 2 * len(cost.layers)
    rows = max(map(cost.sent, range(cost.ranks))) / link.bandwidth + messages * link.latency
    shared = sum(layer.shared for layer in cost.layers)
    return together * busiest / rate + rows + 2 * (cost.ranks - 1) / cost.ranks * shared / link.bandwidth


def _run(ranks: int, threads: int) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
        file = Path(folder) / "run.json"
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        subprocess.run(
            [*command, "-m", "benchmarks.ranks", str(file)],
            check=True,
            env=environment,
            capture_output=True,
            timeout=600,
        )
        return Run(**json.loads(file.read_text()))


def _resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 2**10


def main(file: Path) -> None:
    threads = int(os.environ["OMP_NUM_THREADS"])
    torch.set_num_threads(threads)
    dist.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (dist.get_world_size(),), mesh_dim_names=("space",))
    small = cv.distributed.shard_spatially(
        nn.Conv2d(1, 1, 3, padding=1), mesh
    )  # imports, connections, the code that runs once
    small(torch.ones(1, 1, 8, 8)).sum().backward()
    torch.optim.Adam(small.parameters(), 1e-3, fused=True).step()
    torch.manual_seed(0)
    images, labels = torch.randn(BATCH), torch.randint(10, BATCH[:1])
    begin = _resident()
    if mesh.size() == 1:
        net = network()
    else:
        with torch.device("meta"):
            net = network()
        cv.distributed.shard_spatially(net, mesh)
    optimiser = torch.optim.Adam(net.parameters(), 1e-3, fused=True)

    def step() -> None:
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(images), labels).backward()
        optimiser.step()

    with cv.distributed.counting() as traffic:
        step()
    timing = interleaved({"step": step}, 8.0 if mesh.size() == 1 else 0.0, least=20, most=20)["step"]
    parameters = list(net.parameters())
    tensors = [*parameters, *(p.grad for p in parameters), *(t for s in optimiser.state.values() for t in s.values())]
    held = sum(local.numel() * local.element_size() for local in map(_local, tensors))
    mine = torch.tensor([timing.median, traffic.bytes, held, _resident() - begin], dtype=torch.float64)
    dist.all_reduce(mine, dist.ReduceOp.MAX)
    latency, bandwidth = _link() if mesh.size() > 1 else (0.0, 1e18)
    if mesh.get_rank() == 0:
        numbers = [float(mine[0]), *map(int, mine[1:])]
        names = ("step", "sent", "held", "resident")
        result = dict(zip(names, numbers, strict=True)) | {"latency": latency, "bandwidth": bandwidth}
        file.write_text(json.dumps(result | {"ranks": mesh.size(), "threads": threads}))
    dist.barrier()
    dist.destroy_process_group()


def _local(tensor: Any) -> torch.Tensor:
    local: torch.Tensor = tensor.to_local() if isinstance(tensor, DTensor) else tensor
    return local


def _link() -> tuple[float, float]:
    """Seconds of a small message and bytes a second of large ones, between the first two ranks."""
    rank, took = dist.get_rank(), []
    for size, rounds in ((8, 200), (2**22, 30)):
        buffer = torch.zeros(size, dtype=torch.uint8)
        dist.barrier()
        start = time.perf_counter()
        for _ in range(rounds if rank < 2 else 0):
            for sender in (0, 1):
                (dist.send if rank == sender else dist.recv)(buffer, 1 - rank)
        took.append((time.perf_counter() - start) / (2 * rounds))
    both = torch.tensor(took, dtype=torch.float64)
    dist.broadcast(both, 0)
    latency = float(both[0])
    return latency, 2**22 / max(float(both[1]) - latency, 1e-9)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
