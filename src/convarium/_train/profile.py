"""Where a step's time goes: by layer and map, the loss, the data, the optimiser, and what processes tell each other.

PyTorch's profiler times every operation. Those of a forward pass lie within their layer's; a backward one has the number of the
forward one that it belongs to, and numbers grow, so a layer's are those from its first one to the next layer's.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, record_function

from . import prepare
from .compare import new_network
from .config import Config
from .fit import Fit
from .results import Key
from .samples import Samples
from .team import Alone

STEPS, WARM = 20, 5
LAYER, DATA, LOSS = "layer: ", "data", "loss"
BACKWARD, OPTIMISER = "autograd::engine::evaluate_function", "Optimizer."
COMMUNICATION = ("communication", "c10d::", "_c10d_functional::", "FSDP::")


@dataclass(slots=True)
class Part:
    """Seconds of a step: forward, backward, and of that in our own maps; of what has neither, all in ``forward``."""

    name: str
    forward: float = 0.0
    backward: float = 0.0
    grad_input: float = 0.0
    grad_weight: float = 0.0


@dataclass(frozen=True, slots=True)
class Profile:
    """A step of training, on one process of ``processes``; ``parts`` and what they leave make ``seconds``."""

    network: str
    processes: int
    seconds: float
    parts: tuple[Part, ...]

    @property
    def rest(self) -> float:
        """What is in none of the parts, such as Python's own time."""
        return max(self.seconds - sum(part.forward + part.backward for part in self.parts), 0.0)

    def __str__(self) -> str:
        rows: list[tuple[str, ...]] = [("", "forward", "backward", "of it grad_input", "grad_weight", "share")]
        for part in (*self.parts, Part("rest", self.rest)):
            times = (part.forward, part.backward, part.grad_input, part.grad_weight)
            share = 100 * (part.forward + part.backward) / self.seconds
            rows.append((part.name, *(f"{1e6 * each:.0f} µs" if each else "" for each in times), f"{share:.0f} %"))
        first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
        whose = "" if self.processes == 1 else f", the first of {self.processes} processes"
        lines = [f"{self.network}: a step takes {1e3 * self.seconds:.2f} ms{whose}"]
        for name, *cells in rows:
            lines.append("  ".join([f"  {name:{first}}", *(f"{c:>{w}}" for c, w in zip(cells, others, strict=True))]))
        return "\n".join(lines)


def profiles(config: Config, samples: Samples, team: Alone) -> Iterator[Profile]:
    """Of a network of each kind, on the first task, trained for a few steps and thrown away."""
    task, parts = next(iter(prepare.tasks(samples, config).items()))
    for kind in config.kinds:
        key = Key(task, kind, config.seeds[0])
        network = new_network(key, config, samples.images.shape[1], samples.size, parts.train)
        fit = Fit(
            network, parts.train, parts.validation, config.rates[0], key.seed, config.epochs, config.batch, team
        )  # on the CPU, whose times it tells
        yield profile(f"{task}/{kind}", fit)


def profile(name: str, fit: Fit, steps: int = STEPS) -> Profile:
    """Train a few steps and see; the network is not to be used for anything else."""
    index = torch.arange(len(fit.train))[: fit.batch]
    with _marked(fit.network):
        fit.steps_on([index] * WARM)
        with torch.profiler.profile(activities=[ProfilerActivity.CPU], acc_events=True) as profiler:
            begin = time.perf_counter()
            fit.steps_on([index] * steps)
            seconds = (time.perf_counter() - begin) / steps
    return Profile(name, fit.team.size, seconds, tuple(_parts(profiler.events(), steps)))


@contextmanager
def _marked(network: nn.Module) -> Iterator[None]:
    """Each layer's forward pass as an event of the profiler."""
    running: list[record_function] = []

    def enter(name: str) -> Any:
        def hook(module: nn.Module, arguments: Any) -> None:
            running.append(record_function(LAYER + name))
            running[-1].__enter__()

        return hook

    def leave(module: nn.Module, arguments: Any, output: Any) -> None:
        running.pop().__exit__(None, None, None)

    with ExitStack() as stack:
        for name, module in network.named_modules():
            if name and not list(module.children()):
                shown = f"{name} ({type(module).__name__})"
                for handle in (module.register_forward_pre_hook(enter(shown)), module.register_forward_hook(leave)):
                    stack.callback(handle.remove)
        yield


def _parts(events: Iterable[Any], steps: int) -> Iterator[Part]:
    parts: dict[str, Part] = {}
    starts: list[tuple[int, str]] = []  # the number of a layer's first operation in each step
    backward, optimiser, communication = [], 0.0, 0.0

    def part(name: str) -> Part:
        return parts.setdefault(name, Part(name))

    events = list(events)
    ours = next((event.thread for event in events if event.name.startswith(LAYER)), None)  # others go on beside it
    for event in events:
        if event.thread != ours:
            continue
        seconds = (event.cpu_time_total - _talking(event)) / 1e6 / steps
        if event.name.startswith(COMMUNICATION):
            communication += 0.0 if _within(event, COMMUNICATION) else event.cpu_time_total / 1e6 / steps
        elif event.name.startswith(BACKWARD) and not _within(event, (BACKWARD,)):
            backward.append((event, seconds))
        elif event.name.startswith(OPTIMISER):
            optimiser += seconds
        elif event.name.startswith(LAYER) or event.name in (DATA, LOSS):
            name = event.name.removeprefix(LAYER)
            part(name).forward += seconds
            numbers = [each.sequence_nr for each in _below(event) if each.sequence_nr >= 0]
            if numbers and name != DATA:
                starts.append((min(numbers), name))
    starts.sort()
    for event, seconds in backward:
        place = bisect_right(starts, event.sequence_nr, key=lambda start: start[0]) - 1
        found = part("gradients, added up" if event.sequence_nr < 0 or place < 0 else starts[place][1])
        found.backward += seconds
        for inner in _below(event):
            took = inner.cpu_time_total / 1e6 / steps
            found.grad_input += took * (inner.name == "convarium::grad_input")
            found.grad_weight += took * (inner.name == "convarium::grad_weight")
    yield from parts.values()
    yield Part("optimiser", optimiser)
    if communication:
        yield Part("communication", communication)


def _talking(event: Any) -> float:
    """What an event spends on telling other processes, which is counted apart."""
    inner = event.cpu_children
    return sum(each.cpu_time_total if each.name.startswith(COMMUNICATION) else _talking(each) for each in inner)


def _within(event: Any, names: tuple[str, ...]) -> bool:
    outer = event.cpu_parent
    return outer is not None and (outer.name.startswith(names) or _within(outer, names))


def _below(event: Any) -> Iterator[Any]:
    for inner in event.cpu_children:
        yield inner
        yield from _below(inner)
