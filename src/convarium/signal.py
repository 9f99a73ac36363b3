"""Convolution and correlation of signals: of arrays with any number of dimensions, and of functions of time.

NumPy arrays in, NumPy arrays out; torch tensors in, torch tensors out, on their device and differentiable. Here a
convolution is the one of signal processing: an operand has no batch and no channels unless ``axes`` leaves them out,
the kernel is turned around, and ``'full'``, ``'same'`` and ``'valid'`` mean what they mean in :mod:`scipy.signal`.
The functions :func:`convarium.conv1d`, ``conv2d`` and ``conv3d`` are those of deep learning: they correlate, batch and
channels come first, and ``'same'`` puts the odd row of an even kernel's padding after the input.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, overload

import numpy as np
import torch
from torch import Tensor

from ._signal import density
from ._signal.arguments import number, one_axis
from ._signal.arrays import Array, ArrayLike, enter
from ._signal.average import average
from ._signal.choice import METHODS, choose, compute
from ._signal.functions import check_range, function, moments
from ._signal.integral import estimate, evaluate
from ._signal.window import MODES, Window, window
from ._spec.arguments import flag, one_of, whole

__all__ = [
    "FunctionConvolution",
    "choose_method",
    "convolve",
    "convolve_functions",
    "correlate",
    "weighted_average",
]

SampledOrCallable: TypeAlias = "Callable[[Any], Any] | tuple[Any, Any]"


@overload
def convolve(x: Tensor, w: Tensor, mode: str = ..., axes: Any = ..., method: str = ...) -> Tensor: ...
@overload
def convolve(x: ArrayLike, w: ArrayLike, mode: str = ..., axes: Any = ..., method: str = ...) -> Array: ...
def convolve(x: Any, w: Any, mode: str = "full", axes: Any = None, method: str = "auto") -> Any:
    r"""Convolves two arrays of any, equal number of dimensions.

    .. math::

        (x * w)[t] = \sum_a x[a]\, w[t - a]

    over all indices `a` at which both are defined: outside their entries both are zero. Convolution commutes. With
    :math:`n` entries of `x` and :math:`k` of `w` along an axis, the result has along it

    ========== ========================== =====================================================
    mode       entries                    which
    ========== ========================== =====================================================
    ``full``   :math:`n + k - 1`          all that are not zero by definition
    ``same``   :math:`n`                  the middle of ``full``, from index ``(k - 1) // 2`` on
    ``valid``  :math:`|n - k| + 1`        those at which the shorter lies inside the longer
    ========== ========================== =====================================================

    Values, shapes and dtypes follow :func:`scipy.signal.convolve`, in ``valid`` also where `w` is the longer operand.
    :func:`convarium.conv2d` and its kin differ: they correlate (do not turn the kernel), their first two dimensions are
    batch and channels, and their ``'same'`` starts at ``k // 2`` of ``full`` in the turned kernel where `k` is even.

    Args:
        x: an array, :math:`(n_1, \dots, n_d)`: a NumPy array or what becomes one, or a torch tensor. Of bool, integer,
            floating or complex numbers.
        w: an array :math:`(k_1, \dots, k_d)` of the same library (and device).
        mode: ``'full'``, ``'same'`` or ``'valid'``.
        axes: an axis, or several, to convolve along; all by default. Over the others `x` and `w` broadcast.
        method: ``'direct'`` sums the products. It is exact for integers (which wrap as NumPy's do), and a NaN or an
            infinity reaches the outputs whose sum it is in and no other. ``'fft'`` multiplies fast Fourier transforms:
            faster for large kernels, with an error relative to the largest values and not to each, and a NaN or infinity
            anywhere makes NaN of everything that shares its transform; integers are rounded at the end, exact while no
            sum gets near :math:`2^{53}`. ``'auto'`` is what :func:`choose_method` says.

    Returns:
        An array of the operands' library, in the dtype to which that library promotes theirs. float16 and bfloat16
        are computed in float32; the convolution of booleans says whether any product is true.

    Raises:
        TypeError: `x` and `w` are of different libraries, or not numbers; `mode` or `method` is no string.
        ValueError: an unknown `mode` or `method`; the numbers of dimensions differ; an axis is out of range, repeated
            or empty; the other axes do not broadcast; in ``valid``, each operand is longer along one of the axes.

    Example:
        >>> from convarium.signal import convolve
        >>> convolve([1, 2, 3], [1, 10])
        array([ 1, 12, 23, 30])
        >>> convolve([1, 2, 3], [1, 10], mode="same")
        array([ 1, 12, 23])
        >>> convolve([1, 2, 3], [1, 10], mode="valid")
        array([12, 23])

        One kernel for each of two signals, and what SciPy does not have, a gradient:

        >>> import torch
        >>> x = torch.tensor([[1.0, 2.0, 3.0], [1.0, 0.0, 0.0]])
        >>> w = torch.tensor([[1.0, -1.0], [0.5, 0.5]], requires_grad=True)
        >>> z = convolve(x, w, axes=1)
        >>> z
        tensor([[ 1.0000,  1.0000,  1.0000, -3.0000],
                [ 0.5000,  0.5000,  0.0000,  0.0000]], grad_fn=<...>)
        >>> (z ** 2).sum().backward()
        >>> w.grad
        tensor([[ 12., -12.],
                [  1.,   1.]])

    Source: Oppenheim and Schafer, *Discrete-Time Signal Processing*, ch. 2.3 and 8.7; Goodfellow, Bengio and Courville,
    *Deep Learning*, ch. 9.1.
    """
    (left, right), wanted, leave = _operands("convolve", x, w, mode, axes, method)
    return leave(compute(left, right, wanted, method))


@overload
def correlate(x: Tensor, w: Tensor, mode: str = ..., axes: Any = ..., method: str = ...) -> Tensor: ...
@overload
def correlate(x: ArrayLike, w: ArrayLike, mode: str = ..., axes: Any = ..., method: str = ...) -> Array: ...
def correlate(x: Any, w: Any, mode: str = "full", axes: Any = None, method: str = "auto") -> Any:
    r"""Correlates two arrays of any, equal number of dimensions: convolves `x` with `w` turned around and conjugated.

    .. math::

        (x \star w)[t] = \sum_a x[a]\, \overline{w[a - t + k - 1]}

    so that entry `k - 1` of ``full`` is the one at which `x` and `w` begin together. It gives the numbers of a convolution
    only for a kernel that turning leaves as it is, and unlike convolution it does not commute: with the operands swapped
    the result comes out turned around and conjugated. As in :func:`scipy.signal.correlate`, `w` is conjugated if it is
    complex. :func:`convarium.conv2d` and its kin do not conjugate, and see :func:`convolve` for what else differs.

    Args:
        x: as in :func:`convolve`.
        w: as in :func:`convolve`.
        mode: ``'full'``, ``'same'`` or ``'valid'``; their sizes are those of :func:`convolve`.
        axes: as in :func:`convolve`; `w` is turned around along these.
        method: as in :func:`convolve`.

    Returns:
        As :func:`convolve`.

    Raises:
        TypeError: as :func:`convolve`.
        ValueError: as :func:`convolve`.

    Example:
        >>> from convarium.signal import convolve, correlate
        >>> correlate([1, 2, 3], [0, 1, 10])
        array([10, 21, 32,  3,  0])
        >>> correlate([0, 1, 10], [1, 2, 3])
        array([ 0,  3, 32, 21, 10])
        >>> convolve([1, 2, 3], [10, 1, 0])
        array([10, 21, 32,  3,  0])

    Source: Oppenheim and Schafer, *Discrete-Time Signal Processing*, ch. 2.9; Goodfellow, Bengio and Courville, *Deep
    Learning*, ch. 9.1, eq. 9.6.
    """
    (left, right), wanted, leave = _operands("correlate", x, w, mode, axes, method)
    turned = right.flip(wanted.axes) if wanted.axes else right
    return leave(compute(left, turned.conj().resolve_conj(), wanted, method))


def choose_method(x: Any, w: Any, mode: str = "full", axes: Any = None) -> str:
    r"""Says which method ``method='auto'`` takes, in :func:`convolve` and :func:`correlate` alike.

    The direct sum costs its multiply-adds (along each axis about :math:`n k`) and a call for each entry of the smaller
    operand. The FFT costs three transforms of :math:`N \log_2 N`, `N` the product of the first lengths at which the wanted
    outputs stay apart and that have no prime factor above 7. The cheaper is taken, with weights that were measured, except

    - ``'direct'`` for integers where rounding the transform might not give the exact sum;
    - ``'direct'`` where `x` or `w` has a NaN or an infinity, which a transform would spread over everything.

    Both exceptions look at values only where the FFT would be cheaper. While ``torch.compile`` or ``export`` is tracing,
    and for tensors without values (``meta``), floating numbers go by cost alone and integers are summed.

    Args:
        x: as in :func:`convolve`.
        w: as in :func:`convolve`.
        mode: as in :func:`convolve`.
        axes: as in :func:`convolve`.

    Returns:
        ``'direct'`` or ``'fft'``.

    Raises:
        TypeError: as :func:`convolve`.
        ValueError: as :func:`convolve`.

    Example:
        >>> import numpy as np
        >>> from convarium.signal import choose_method
        >>> image = np.zeros((500, 500))
        >>> choose_method(image, np.ones((3, 3))), choose_method(image, np.ones((31, 31)))
        ('direct', 'fft')
        >>> image[2, 3] = np.nan
        >>> choose_method(image, np.ones((31, 31)))
        'direct'
    """
    (left, right), wanted, _ = _operands("choose_method", x, w, mode, axes, "auto")
    return choose(left, right, wanted)


def weighted_average(
    x: Any,
    w: Any,
    axis: int = -1,
    *,
    renormalize: bool = True,
    tolerance: float | None = None,
    method: str = "auto",
) -> Any:
    r"""Averages a track over its past: the weighted average that a convolution is if its kernel is a density.

    .. math::

        s[t] = \sum_{a=0}^{k-1} w[a]\, x[t - a], \qquad w[a] \ge 0, \quad \sum_a w[a] = 1

    ``w[a]`` is the weight of the observation `a` steps ago and ``w[0]`` that of the newest, so only the past is used (the
    average is causal) and `s` has an entry for each of `x`. At the start of the track, for :math:`t < k - 1`, weights fall
    before the first observation. With `renormalize` they are dropped and those that are left divided by their sum,

    .. math::

        s[t] = \frac{\sum_{a=0}^{\min(t, k-1)} w[a]\, x[t - a]}{\sum_{a=0}^{\min(t, k-1)} w[a]}

    which is NaN where no observation has any weight yet. Without it the track is taken to be zero before its start, and
    the first averages are drawn towards zero.

    Args:
        x: the observations, :math:`(\dots, n, \dots)` with time along `axis`: a NumPy array or what becomes one, or a torch
            tensor. Integers are averaged as floating numbers.
        w: the weights, :math:`(k)`, or with as many dimensions as `x`, :math:`(\dots, k, \dots)`, where the other axes
            broadcast: a density for each track. Of the same library (and device) as `x`, real.
        axis: the axis of `x` that is time.
        renormalize: whether the weights that are left at the start of the track are made to sum to 1.
        tolerance: how far from 1 the sum of the weights may be; by default the square root of the machine epsilon of
            the dtype of `w` (1.5e-8 for float64, 3.5e-4 for float32).
        method: as in :func:`convolve`.

    Returns:
        The averages, shaped like `x` (broadcast with `w`), of its library and differentiable in torch.

    Raises:
        TypeError: `x` and `w` are of different libraries, or not numbers; `w` is complex; an argument is of a wrong kind.
        ValueError: a weight is negative or not finite, or the weights do not sum to 1: the message says by how much.
            (While ``torch.compile`` or ``export`` is tracing there are no values to check.) The shapes do not fit, or `axis`
            is out of range.

    Example:
        A plane's noisy track, where more recent observations count for more:

        >>> import numpy as np
        >>> from convarium.signal import weighted_average
        >>> t = np.arange(200)
        >>> track = 0.01 * t + np.random.default_rng(0).normal(size=200)
        >>> w = 0.8 ** np.arange(20)
        >>> w /= w.sum()
        >>> s = weighted_average(track, w)
        >>> print(f"off by {np.std(track - 0.01 * t):.2f} before and {np.std(s - 0.01 * t):.2f} after")
        off by 0.96 before and 0.35 after
        >>> weighted_average([4.0, 2.0, 2.0], [0.5, 0.25, 0.25])
        array([4.        , 2.66666667, 2.5       ])
        >>> weighted_average([4.0, 2.0, 2.0], [0.5, 0.25, 0.25], renormalize=False)
        array([2. , 2. , 2.5])
        >>> weighted_average([4.0, 2.0, 2.0], [0.5, 0.25, 0.22])
        Traceback (most recent call last):
            ...
        ValueError: weighted_average: w must be a density, with sum 1; w sums to 0.97, 0.03 short; w / w.sum() would fit

    Source: Goodfellow, Bengio and Courville, *Deep Learning*, ch. 9.1, eq. 9.1-9.3.
    """
    call = "weighted_average"
    one_of(call, "method", method, METHODS)
    flag(call, "renormalize", renormalize)
    (track, weights), leave = enter(call, floating=True, x=x, w=w)
    if w.is_complex() if isinstance(w, Tensor) else np.iscomplexobj(w):
        raise TypeError(f"{call}: w must be real, as a density is, got complex numbers")
    if track.dim() == 0:
        raise ValueError(f"{call}: x must have an axis of time, got a single number")
    axis = one_axis(call, "axis", axis, track.dim())
    real = weights.real if weights.is_complex() else weights
    shared = weights.dim() == 1
    if shared:
        weights = weights.reshape([-1 if place == axis else 1 for place in range(track.dim())])
    full = window(call, track.shape, weights.shape, "full", axis)
    density.check(call, real, 0 if shared else axis, density.tolerated(call, w, tolerance))
    return leave(average(track, weights, full, renormalize, method))


@dataclass(frozen=True, eq=False)
class FunctionConvolution:
    r"""What :func:`convolve_functions` returns: the integral at each time, and how well it is known.

    Args:
        values: :math:`(x * w)(t)`, shaped like `t`.
        error: an estimate of how far each value is from the integral, shaped like `t`.
        step: the width of the widest panel of the sum that stands for the integral, shaped like `t`.
        converged: whether every error is within the tolerance that was asked for.
    """

    values: Any
    error: Any
    step: Any
    converged: bool


def convolve_functions(
    x: SampledOrCallable,
    w: SampledOrCallable,
    t: Any,
    *,
    x_support: Any = None,
    w_support: Any = None,
    tolerance: float = 1e-9,
    step: float | None = None,
    max_halvings: int = 8,
) -> FunctionConvolution:
    r"""Convolves two functions of time: evaluates the integral

    .. math::

        (x * w)(t) = \int_{-\infty}^{\infty} x(a)\, w(t - a)\, da

    The range of `a` on which neither function is zero is cut where either has a sample, an end or a jump, and each piece
    into panels, on which Gauss's rule with five points is summed. Panels are halved until three halvings in a row change the
    sum by less than `tolerance` times :math:`\int |x(a)\, w(t - a)|\, da`. Two sampled functions need no halving: the
    product of two straight lines is integrated exactly.

    The error is estimated from what the last three halvings changed, and is meant to be an upper bound. It is one where the
    functions are smooth between the places that are cut at. At a jump that is not in the support, or an end at which a
    function is infinite, changes shrink slowly and the estimate stays large, but chance has a hand in it: such a place
    belongs in the support. And it cannot know of what no evaluation has met: give the place of a feature that is much
    narrower than its function's support in the support, or a `step`.

    Args:
        x: the input: a callable, which takes an array of times and returns an array of values, or a sampled function, a
            pair ``(times, values)`` of vectors with increasing times. Between its samples it is interpolated linearly,
            outside them it is zero.
        w: the kernel, likewise.
        t: the times at which the convolution is evaluated, of any shape: a NumPy array or what becomes one, or a torch
            tensor. Callables are called with vectors of its library, in float64.
        x_support: for a callable `x`, an increasing sequence ``(low, high)`` outside which it is zero (it is not evaluated
            there), or ``(low, jump, ..., high)`` with the places between at which it jumps or has a kink. The ends may be
            infinite, as they are by default; but at every `t` the range on which both functions are not zero must be finite.
        w_support: likewise for `w`; ``(0, inf)`` for a causal kernel.
        tolerance: the error to reach, relative to the integral of the absolute value.
        step: the widest panel to begin with; by default a piece is one panel, and there are 16 panels or more in all.
        max_halvings: after how many halvings, 3 or more, to stop whatever the error; ``converged`` tells.

    Returns:
        A :class:`FunctionConvolution` with ``values``, ``error`` and ``step`` in float64 (``values`` complex128 if a function
        is complex), in the library of `t`. For torch, ``values`` is differentiable in `t`, in sampled values and in what a
        callable computes with.

    Raises:
        TypeError: `x` or `w` is neither callable nor a pair; `t` and a sampled function are of different libraries; an
            argument is of a wrong kind.
        ValueError: the range of the integral is infinite; times do not increase; shapes do not fit; an argument is out of
            range. What a callable raises is passed on.

    Example:
        A plane at 0.1 km/s is observed every second with an error of 1 km. The average over its past, with weights that
        decay over five seconds, :math:`w(a) = e^{-a/5} / 5` from 0 on, is less noisy, and five seconds behind:

        >>> import numpy as np
        >>> from convarium.signal import convolve_functions
        >>> times = np.arange(0.0, 121.0)
        >>> track = 0.1 * times + np.random.default_rng(0).normal(size=121)
        >>> now = np.array([60.0, 90.0, 120.0])
        >>> s = convolve_functions((times, track), lambda a: np.exp(-a / 5) / 5, now, w_support=(0, np.inf))
        >>> s.values.round(2)
        array([ 5.39,  8.79, 12.02])
        >>> print(f"panels of {s.step.max():.3f} s, the integral to {s.error.max():.0e}")
        panels of 0.067 s, the integral to 1e-13

        A plane whose position is known, and the same integral by hand, a second after the start:

        >>> s = convolve_functions(lambda a: 0.1 * a, lambda a: np.exp(-a / 5) / 5, 1.0, x_support=(0, 60), w_support=(0, np.inf))
        >>> abs(s.values - 0.1 * (1 - 5 * (1 - np.exp(-1 / 5)))) <= s.error
        np.True_

    Source: Oppenheim and Willsky, *Signals and Systems*, ch. 2.2; Davis and Rabinowitz, *Methods of Numerical
    Integration*, ch. 2.7 and 6.
    """
    call = "convolve_functions"
    tolerance = number(call, "tolerance", tolerance, positive=True)
    step = None if step is None else number(call, "step", step, positive=True)
    halvings = whole(call, "max_halvings", max_halvings, 3)
    is_torch, times = isinstance(t, Tensor), moments(call, t)
    one = function(call, "x", x, x_support, is_torch, times.device)
    other = function(call, "w", w, w_support, is_torch, times.device)
    flat = times.reshape(-1)
    check_range(call, one, other, flat.detach())
    with torch.no_grad():
        found = estimate(one, other, flat.detach(), tolerance, step, halvings)
    value = evaluate(one, other, flat, found.panels) if is_torch and torch.is_grad_enabled() else found.value
    parts = [part.reshape(times.shape) for part in (value, found.error, found.step)]
    values, error, width = parts if is_torch else [part.numpy() for part in parts]
    return FunctionConvolution(values, error, width, bool(found.converged.all()))


def _operands(
    call: str, x: Any, w: Any, mode: Any, axes: Any, method: Any
) -> tuple[list[Tensor], Window, Callable[[Tensor], Any]]:
    """Everything that is checked before anything is computed."""
    one_of(call, "method", method, METHODS)
    one_of(call, "mode", mode, MODES)
    entered, leave = enter(call, x=x, w=w)
    return entered, window(call, entered[0].shape, entered[1].shape, mode, axes), leave
