"""A model layer by layer, from shapes alone: sizes, receptive fields, coverage and costs, up to the layer that does not fit.

Nothing is computed: the model runs on tensors without numbers. Which part of the input a position of a tensor sees is carried
along with each tensor, through branches too, by watching the operations that make them.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from .._planner.choice import check_engine, choose
from .._spec.arguments import shape as shape_of
from .._spec.call import Call
from .._spec.geometry import Axis
from .._spec.limits import fits_memory
from .._spec.problem import Problem
from .._spec.shown import shown
from . import capture, coverage_figure
from .fields import Fields, directions, each, own, reached, union, window, wrapped
from .following import follow, whole_of

POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
HEADS = (
    "layer", "kind", "output", "kernel", "stride", "padding", "sees", "step", "from", "covered", "param.", "m-adds", "engine",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A layer of the table; what it does not have is None."""

    name: str
    kind: str
    input: tuple[int, ...]
    output: tuple[int, ...] | None  # None: the layer does not fit
    kernel: tuple[int, ...] | None = None
    stride: tuple[int, ...] | None = None
    padding: tuple[tuple[int, int], ...] | None = None
    dilation: tuple[int, ...] | None = None
    field: Fields | None = None
    # in each direction, the windows that each place is in; and of these, away from borders, the fewest and the most
    counts: tuple[tuple[int, ...], ...] | None = None
    covers: tuple[tuple[int, int], ...] | None = None
    parameters: int = 0
    multiply_adds: int = 0
    engine: str | None = None
    error: str | None = None


class Shapes:
    """What :func:`convarium.shapes` has found; printing it gives the table.

    Attributes:
        rows: a :class:`Row` for each call of a layer that has parameters or changes the shape.
        error: why the model did not run to its end, with the fix where one is likely; None if it did.
        parameters: of the whole model, each once.
    """

    def __init__(self, rows: Sequence[Row], error: str | None, parameters: int) -> None:
        self.rows = tuple(rows)
        self.error = error
        self.parameters = parameters

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def multiply_adds(self) -> int:
        """Of one sample."""
        return sum(row.multiply_adds for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """All that is printed, as data."""
        rows = []
        for row in self.rows:
            found = asdict(row)
            del found["counts"]
            if row.field is not None:
                found["field"] = [
                    {"start": float(f.start), "jump": float(f.jump), "size": float(f.size)} for f in row.field
                ]
            rows.append(found)
        return {
            "rows": rows, "parameters": self.parameters, "multiply_adds": self.multiply_adds, "error": self.error,
        }  # fmt: skip

    def figure(self) -> Any:
        """A heatmap for each convolution: how many windows each place of what it reads is in (of a transposed one: writes).

        An even field, away from borders, is what one wants; a checkerboard comes of a stride that does not divide the kernel.

        Returns:
            A ``matplotlib.figure.Figure``.
        """
        return coverage_figure.figure([(row.name, row.counts) for row in self.rows if row.counts is not None])

    def __str__(self) -> str:
        table = [HEADS, *(_cells(row) for row in self.rows)]
        table.append((*[""] * 10, f"{self.parameters:,}", f"{self.multiply_adds:,}", ""))
        widths = [max(len(line[k]) for line in table) for k in range(len(HEADS))]
        lines = []
        for number, line in enumerate(table):
            cells = [
                f"{cell:>{width}}" if k in (10, 11) else f"{cell:{width}}"
                for k, (cell, width) in enumerate(zip(line, widths, strict=True))
            ]
            lines.append("  ".join(cells).rstrip())
            if number and number <= len(self.rows) and (error := self.rows[number - 1].error):
                lines.append(f"  {error}")
        if self.error is not None and (not self.rows or self.rows[-1].error is None):
            lines.append(f"  {self.error}")
        return "\n".join(lines)


def shapes(call: str, model: Any, input_size: Any, engine: str = "auto") -> Shapes:
    """See :func:`convarium.shapes`."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    if not isinstance(model, nn.Module):
        raise TypeError(f"{call}: model must be a torch.nn.Module, got {shown(model)}")
    check_engine(call, engine)
    size = shape_of(call, "input_size", input_size)
    capture.check_made(call, model)
    fits_memory(call, input=(1, *size))
    dtypes = capture.dtypes_of(model)
    watch, error = _Watch(engine), None
    with capture.as_it_was(model), torch.no_grad(), _quiet(), FakeTensorMode(allow_non_fake_inputs=True):
        input = torch.empty((1, *size), dtype=dtypes[0] if dtypes else torch.float32)
        watch.set(input, own(max(len(size) - 1, 0)))
        with watch.hooks(model):
            try:
                with watch:
                    model(input)
            except Exception as raised:  # whatever a model raises belongs into the table
                error = watch.fail(raised)
    return Shapes(watch.rows, error, sum(parameter.numel() for parameter in model.parameters()))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What PyTorch logs of an operation that does not fit, the table says."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


class _Watch(TorchDispatchMode):
    """Follows fields from tensor to tensor, and keeps a row for each layer."""

    def __init__(self, engine: str) -> None:
        super().__init__()
        self.rows: list[Row] = []
        self._engine = engine
        self._fields: dict[int, tuple[Tensor, Fields]] = {}  # with the tensor, so that no other gets its id
        self._running: list[tuple[str, nn.Module, Any]] = []
        self._names = capture.CallNames()

    def get(self, tensor: Any) -> Fields | None:
        return self._fields[id(tensor)][1] if id(tensor) in self._fields else None

    def set(self, tensor: Tensor, fields: Fields | None) -> None:
        if fields is None:
            self._fields.pop(id(tensor), None)
        else:
            self._fields[id(tensor)] = (tensor, fields)

    # -- operations ------------------------------------------------------------------------------------------------------

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        given = [*args, *kwargs.values()]
        flat = [each for one in given for each in (one if isinstance(one, (tuple, list)) else (one,))]
        seen = [(each, fields) for each in flat if isinstance(each, Tensor) and (fields := self.get(each)) is not None]
        first = result[0] if isinstance(result, (tuple, list)) and result else result
        if not seen or not isinstance(first, Tensor):
            return result
        self.set(first, follow(func, args, first, seen))
        if func._schema.is_mutable and isinstance(args[0], Tensor) and (base := args[0]._base) is not None:
            both = [(first, whole_of(first, self.get(first) or ()))]
            if (before := self.get(base)) is not None:
                both.append((base, whole_of(base, before)))
            self.set(base, union([fields for _, fields in both]))  # a part of it was written
        return result

    # -- layers ----------------------------------------------------------------------------------------------------------

    def hooks(self, model: nn.Module) -> Any:
        stack = contextlib.ExitStack()
        for name, module in model.named_modules():
            own_parameters = any(True for _ in module.parameters(recurse=False))
            if capture.is_convolution(module) or own_parameters or not any(True for _ in module.children()):
                before = module.register_forward_pre_hook(self._before(name), with_kwargs=True)
                after = module.register_forward_hook(self._after(name), with_kwargs=True)
                stack.callback(before.remove)
                stack.callback(after.remove)
        return stack

    def _before(self, name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, keywords: Any) -> None:
            self._running.append((name, module, capture.input_of(inputs, keywords)))

        return hook

    def _after(self, name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, keywords: Any, output: Any) -> None:
            self._running.pop()
            input = capture.input_of(inputs, keywords)
            output = output[0] if isinstance(output, (tuple, list)) and output else output
            if not isinstance(input, Tensor) or not isinstance(output, Tensor):
                return
            own = sum(parameter.numel() for parameter in module.parameters(recurse=False))
            if capture.is_convolution(module):
                self._convolution(name, module, input, output, own)
            elif own or isinstance(module, POOLS) or tuple(output.shape[1:]) != tuple(input.shape[1:]):
                self._other(name, module, input, output, own)

        return hook

    def _convolution(self, name: str, module: Any, input: Tensor, output: Tensor, parameters: int) -> None:
        call = capture.call_of(module, tuple(input.shape), tuple(output.shape))
        transposed = capture.is_transposed(module)
        problem = call.problem(input.shape[0], module.weight.dtype, module.weight.device.type)
        map = "grad_input" if transposed else "forward"
        fields = self.get(input)
        if fields is not None:
            before = [pair[0] for pair in call.pads]
            step = reached if transposed else window
            fields = each(step, fields, call.kernel_size, call.stride, call.dilation, before)
            fields = fields if call.mode is None else wrapped(fields)
        self.set(output, fields)
        chosen = choose(map, problem, getattr(module, "engine", self._engine))  # type: ignore[arg-type]
        self.rows.append(
            Row(
                self._names.next(name, module), _kind(module, problem), tuple(input.shape), tuple(output.shape),
                call.kernel_size, call.stride, call.pads, call.dilation, fields, *_coverage(call), parameters,
                problem.multiply_adds, chosen.engine,
            )
        )  # fmt: skip

    def _other(self, name: str, module: Any, input: Tensor, output: Tensor, parameters: int) -> None:
        sizes: dict[str, Any] = {}
        n = input.ndim - 2
        fields = self.get(output)
        fields = fields if fields is not None and output.ndim == len(fields) + 2 else None
        if isinstance(module, POOLS):
            kernel, stride, padding = (
                directions(value, n)
                for value in (module.kernel_size, module.stride or module.kernel_size, module.padding)
            )
            dilation = directions(getattr(module, "dilation", 1), n)
            sizes = {
                "kernel": kernel,
                "stride": stride,
                "padding": tuple((p, p) for p in padding),
                "dilation": dilation,
            }
            if (seen := self.get(input)) is not None:
                fields = each(window, seen, kernel, stride, dilation, padding)
                self.set(output, fields)
        products = math.prod(output.shape) * module.in_features if isinstance(module, nn.Linear) else 0
        self.rows.append(
            Row(
                self._names.next(name, module), capture.kind_of(module), tuple(input.shape), tuple(output.shape), field=fields,
                parameters=parameters, multiply_adds=products, **sizes,
            )
        )  # fmt: skip

    def fail(self, raised: Exception) -> str:
        """The row of the layer that did not fit, and why."""
        if not self._running:
            return f"between the layers: {_line(raised)}"
        name, module, input = self._running[-1]
        sizes = tuple(input.shape) if isinstance(input, Tensor) else ()
        why = _why(module, sizes, raised)
        self.rows.append(Row(self._names.next(name, module), capture.kind_of(module), sizes, None, error=why))
        return f"{name}: {why}" if name else why


def _coverage(call: Call) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, int], ...]]:
    """In each direction, how many windows each place is in; and of those away from borders, the fewest and the most."""
    counts, covers = [], []
    sizes = zip(
        call.input_size, call.kernel_size, call.output_size, call.stride, call.dilation, call.padding, strict=True
    )
    for one in sizes:
        axis = Axis(*one)
        table = axis.table()
        found = np.bincount(table[table >= 0], minlength=axis.size)
        inner = found[axis.reach - 1 : axis.size - axis.reach + 1]
        inner = inner if len(inner) >= axis.stride else found
        counts.append(tuple(found.tolist()))
        covers.append((int(inner.min()), int(inner.max())))
    return tuple(counts), tuple(covers)


def _kind(module: nn.Module, problem: Problem) -> str:
    return f"{capture.kind_of(module)}{'' if type(module).__module__.startswith('torch') else f', {problem.sharing}'}"


def _why(module: nn.Module, sizes: tuple[int, ...], raised: Exception) -> str:
    """What does not fit, and which argument would make it fit."""
    name = capture.kind_of(module)
    if capture.is_convolution(module):
        assert isinstance(module.kernel_size, tuple)
        n = len(module.kernel_size)
        if len(sizes) not in (n + 1, n + 2):
            needs = f"{n + 2} dimensions, a batch and channels included"
            return f"{name}: reads {needs}, but {sizes} has {len(sizes)}"
        channels = sizes[-1 - n]
        if channels != module.in_channels:
            return f"{name}: reads {module.in_channels} channels, but {sizes} has {channels}; in_channels={channels} would fit"
        if not isinstance(raised, (ValueError, TypeError)):  # of a layer of torch's: in our words
            try:
                capture.call_of(module, sizes, None)
            except (ValueError, TypeError) as error:
                return _line(error)
    features = sizes[-1] if sizes else 0
    if isinstance(module, nn.Linear) and features != module.in_features:
        return (
            f"Linear: reads {module.in_features} features, but {sizes} has {features}; in_features={features} would fit"
        )
    channels = sizes[1] if len(sizes) > 1 else 0
    if isinstance(module, nn.modules.batchnorm._NormBase) and channels != module.num_features:
        return (
            f"{name}: has {module.num_features} features, but {sizes} has {channels} channels; "
            f"num_features={channels} would fit"
        )
    return f"{name}: {_line(raised).removeprefix(f'{name}: ')}"


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _cells(row: Row) -> tuple[str, ...]:
    def short(values: Any) -> str:
        """One where all are alike."""
        found = [] if values is None else [str(value) for value in values]
        return found[0] if len(set(found)) == 1 else "x".join(found)

    def spans(pairs: Any, between: str) -> str:
        return short(None if pairs is None else [a if a == b else f"{a}{between}{b}" for a, b in pairs])

    kernel, fields = short(row.kernel), row.field or ()
    if row.dilation is not None and max(row.dilation) > 1:
        kernel += f" every {short(row.dilation)}"
    return (
        row.name, row.kind, "does not fit" if row.output is None else "x".join(map(str, row.output[1:])),
        kernel, short(row.stride),
        spans(row.padding, "+"), short(f.size for f in fields), short(f.jump for f in fields), short(f.start for f in fields),
        spans(row.covers, "-"), f"{row.parameters:,}" if row.parameters else "",
        f"{row.multiply_adds:,}" if row.multiply_adds else "", row.engine or "",
    )  # fmt: skip
