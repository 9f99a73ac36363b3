"""A look inside: what a convolution did with an input, and what its gradients are made of."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ._files import atomic
from ._look import capture, notebook, trace_figure, trace_text
from ._look.fields import Fields
from ._look.page import page as make_page
from ._look.shapes import Shapes
from ._look.shapes import shapes as find_shapes
from ._look.trace import Numbers, Terms, Trace, place_of
from ._spec.shown import shown
from ._spec.stack import ChannelStack

__all__ = ["Shapes", "Terms", "Trace", "View", "look", "shapes"]


class View:
    """What :func:`look` has seen: a :class:`Trace` for each call of a convolution.

    Attributes:
        traces: the traces by name, in the order in which the layers ran.
        fields: what the outputs of each layer see of the model's input; None where that is not known.
        input: what the model was given, ``(batch, channels, *size)``.
    """

    def __init__(
        self, traces: list[Trace], input: Numbers | None = None, fields: dict[str, Fields | None] | None = None
    ) -> None:
        self.traces = {trace.name: trace for trace in traces}
        self.input = traces[0].input if input is None else input
        self.fields = fields or {}

    def __getitem__(self, name: str) -> Trace:
        """The trace of this name.

        Raises:
            KeyError: no layer of this name has run.
        """
        if name not in self.traces:
            raise KeyError(f"no convolution named {name!r} ran; there are {', '.join(self.traces)}")
        return self.traces[name]

    def sees(self, name: str, position: Sequence[int]) -> tuple[range, ...]:
        """What a position of a layer's output may see of the model's input at the most, in each direction, without padding.

        Raises:
            KeyError: no layer of this name has run.
            ValueError: there is no such position, or it is not known what it sees.

        Examples:
            >>> import torch, convarium as cv
            >>> layers = torch.nn.Conv1d(1, 2, 3, stride=2), torch.nn.ReLU(), torch.nn.Conv1d(2, 1, 3, padding=1)
            >>> model = torch.nn.Sequential(*layers)
            >>> view = cv.look(model, torch.randn(1, 1, 15))
            >>> view.sees("2", (0,)), view.sees("2", (3,))
            ((range(0, 5),), (range(4, 11),))
        """
        place = place_of("sees", "position", position, self[name].output.shape[2:])
        fields = self.fields.get(name)
        if fields is None:
            raise ValueError(f"sees: it is not known what {name} sees of the model's input")
        lengths = self.input.shape[2:]
        return tuple(field.of(s, length) for field, s, length in zip(fields, place, lengths, strict=True))

    @property
    def channels(self) -> ChannelStack:
        """The channel graphs of the layers, one after the other: which channels of the input the last outputs see.

        Raises:
            ValueError: the layers do not follow each other (a model with branches): the channels of one are not the next one's.

        Examples:
            >>> import torch, convarium as cv
            >>> layers = cv.nn.ChannelConv1d(cv.ChannelGraph.interlaced(8, 8, 4), 3), torch.nn.Conv1d(8, 8, 1, groups=4)
            >>> stack = cv.look(torch.nn.Sequential(*layers), torch.randn(1, 8, 5)).channels
            >>> stack.receptive_field(5)[0]
            (0, 1, 4, 5)
        """
        return ChannelStack(*(trace.graph for trace in self.traces.values()))

    def html(self, path: str | os.PathLike[str], title: str | None = None) -> Path:
        """Write a page of all traces: one file that opens in any browser, without a network.

        It stays below 5 MiB: of what is larger, the first samples (at most 16), channels and places are shown, and what the
        rest adds is a part of each sum. A link may name a view, ``look.html#view=matrix``, or a step of the tour,
        ``look.html#stride``.

        Args:
            path: where to write it; what was there is replaced once the page is whole.
            title: what the page calls itself; default: the names of the layers.

        Returns:
            The path.

        Raises:
            ValueError: numbers that are complex, or more than three directions.
            OSError: the system does not let us write there.
        """
        target = Path(path)
        atomic.replace(target, self.page(title).encode("utf-8"))
        return target

    def page(self, title: str | None = None) -> str:
        """The page of :meth:`html`, as text."""
        if not isinstance(title, (str, type(None))):
            raise TypeError(f"html: title must be a string, got {shown(title)}")
        return make_page(list(self.traces.values()), title or self._title(), self.input, self.fields)

    def text(self, name: str | None = None, output: Sequence[int] | None = None) -> str:
        """One cell of the output, the gradient of one weight and of one cell of the input, each with its products.

        Args:
            name: of a layer; default: each in turn.
            output: sample, channel and position of the cell; default: the middle of the first channel of the first sample.

        Raises:
            KeyError: no layer of this name has run.
            ValueError: the output has no such cell.

        Examples:
            >>> import torch, convarium as cv
            >>> weight, input = torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[3.0, 4.0, 5.0]]])
            >>> print(cv.look(weight, input).text())
            conv1d: shared convolution, kernel 2
            input (1, 1, 3) -> output (1, 1, 2)
            <BLANKLINE>
            output[0, 0, 0], (sample, channel, *position)
              input channel 0: 11
                window    kernel    product
                3 4       1 2       3 8
              together 11
            <BLANKLINE>
            gradient of weight[0], from channel 0 to 0 of the convolution, kernel [0] of the tile, tap [1]
              input times gradient of the output, added over the 2 positions that share it and 1 samples
                4 * 1 = 4
                5 * 1 = 5
              together 9
            <BLANKLINE>
            gradient of input[0, 0, 1], of all outputs that have read it
              gradient of the output times weight
                1 * 2 = 2
                1 * 1 = 1
              together 3
        """
        return "\n\n".join(trace_text.text(self[each], output) for each in ([name] if name else self.traces))

    def figure(self, kind: str, name: str | None = None, output: Sequence[int] | None = None) -> Any:
        """A figure for print: ``savefig`` writes it as SVG, PDF or PNG.

        Args:
            kind: ``"forward"``, ``"weight_grad"``, ``"input_grad"``: a map, with the cell that is taken apart; ``"matrix"``:
                the convolution as a matrix, with its row and column; ``"connections"``: positions as shared, tiled and local.
            name: of a layer; default: the first.
            output: as in :meth:`text`.

        Returns:
            A ``matplotlib.figure.Figure``.

        Raises:
            KeyError: no layer of this name has run.
            ValueError: another kind, complex numbers, a cell that reads nothing, or a matrix too large to draw.
            MissingExtra: matplotlib is not installed.
        """
        return trace_figure.figure(self[name or next(iter(self.traces))], kind, output)

    def _title(self) -> str:
        names = list(self.traces)
        return ", ".join(names) if len(names) < 4 else f"{names[0]} to {names[-1]}, {len(names)} layers"

    def widget(self, title: str | None = None) -> Any:
        """The page as a widget for Jupyter, VS Code, Colab or marimo (a view also shows itself there).

        Returns:
            An ``anywidget.AnyWidget``. Its trait ``selection`` says what the reader looks at: ``layer``, ``view``, ``sample``,
            ``in_channel``, ``out_channel``, ``output``, ``tap`` and ``input``, places of the convolution.

        Raises:
            MissingExtra: anywidget is not installed.
        """
        return notebook.widget(self.page(title))

    def _repr_html_(self) -> str:
        return notebook.frame(self.page())

    def __repr__(self) -> str:
        return f"View({', '.join(self.traces)})"


def look(model: nn.Module | Tensor, input: Tensor, grad_output: Tensor | None = None, **arguments: Any) -> View:
    """Look inside a layer, a model, or a bare weight, while it works on an input.

    Every convolution in it (of this package or of :mod:`torch.nn`) is traced: its input and output, and the gradients of a loss
    by its input and its weight. A model evaluates while it is looked at (no dropout, no running averages) and is left as it was.

    Args:
        model: a layer or a model that returns one tensor; or a weight as :func:`convarium.conv2d` takes it.
        input: the input, batched or not; with a bare weight batched, ``(batch, in_channels, *size)``.
        grad_output: the gradient of a loss by the model's output, of its shape; default: ones, of a loss that sums up the output.
        arguments: with a bare weight, the arguments of the convolution: bias, stride, padding, dilation, groups, padding_mode,
            channels, flip, engine.

    Returns:
        A :class:`View`; its traces have every product of every sum.

    Raises:
        TypeError: ``model`` is neither a module nor a tensor, or an argument is none of a convolution's.
        ValueError: shapes that do not fit, or no convolution ran.

    Examples:
        >>> import torch, convarium as cv
        >>> layer = torch.nn.Conv2d(1, 1, 2, bias=False)
        >>> trace = cv.look(layer, torch.arange(9.0).reshape(1, 3, 3))["Conv2d"]
        >>> terms = trace.at_output(0, (1, 1))
        >>> terms.left.tolist()
        [4.0, 5.0, 7.0, 8.0]
        >>> bool(abs(terms.total - trace.output[0, 0, 1, 1]) < 1e-5)
        True
    """
    if isinstance(model, Tensor):
        return View([capture.of_weight("look", model, input, grad_output, arguments)])
    if not isinstance(model, nn.Module):
        raise TypeError(f"look: model must be a torch.nn.Module or a weight, got {shown(model)}")
    if arguments:
        raise TypeError(f"look: {sorted(arguments)[0]} is the layer's own; it is only given with a bare weight")
    try:
        traces = capture.of_model("look", model, input, grad_output)
    except RuntimeError as error:  # of a layer of torch's: in our words, where a shape is wrong
        if isinstance(input, Tensor) and (why := find_shapes("look", model, input.shape[1:]).error):
            raise ValueError(f"look: {why}") from error
        raise
    batched = input.ndim == traces[0].problem.ndim + 2
    rows = find_shapes("look", model, input.shape[1:] if batched else input.shape)
    return View(traces, capture.numbers_of(input if batched else input[None]), {row.name: row.field for row in rows})


def shapes(model: nn.Module, input_size: Sequence[int], engine: str = "auto") -> Shapes:
    """A model layer by layer, from shapes alone: sizes, receptive fields, coverage and costs.

    Nothing is computed. The table goes on up to the layer that does not fit, and says which argument would make it fit.

    Args:
        model: any module with convolutions in a chain or branches, that takes one tensor.
        input_size: ``(channels, *size)``, without a batch.
        engine: for torch's own layers, the engine that would run them as one of ours.

    Returns:
        A :class:`Shapes`: printing it shows the table, its rows are data. ``sees`` is the size of the receptive field, ``step``
        how far those of neighbours lie apart, ``from`` where the first one begins (less than 0: in the padding), ``covered`` how
        many windows each place is in, away from borders: where that varies (``1-2``), the stride does not divide the kernel, and
        a checkerboard shows. One number stands for all directions that have the same.

    Raises:
        TypeError: ``model`` is no module.
        ValueError: a layer has no shape before its first input.

    Examples:
        >>> import torch, convarium as cv
        >>> model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3, stride=2), torch.nn.Flatten(), torch.nn.Linear(100, 10))
        >>> found = cv.shapes(model, (1, 9, 9))
        >>> found.rows[0].output
        (1, 4, 4, 4)
        >>> print(found.error)
        2: Linear: reads 100 features, but (1, 64) has 64; in_features=64 would fit
    """
    return find_shapes("shapes", model, input_size, engine)
