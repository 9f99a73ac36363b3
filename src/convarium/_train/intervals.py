"""95 % confidence intervals: of a mean over seeds (Student's t), and of a share of test images (Wilson)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

# The 0.975 quantile of Student's t for 1, 2, ... degrees of freedom; beyond the table the normal quantile is near enough.
_T = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
_NORMAL = 1.96


def student(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean, and half the width of its 95 % interval; one value has none.

    Examples:
        >>> mean, half = student([0.96, 0.97, 0.98])
        >>> round(mean, 4), round(half, 4)
        (0.97, 0.0248)
        >>> student([0.5])
        (0.5, None)
    """
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, None
    quantile = _T[len(values) - 2] if len(values) - 2 < len(_T) else _NORMAL
    return mean, quantile * statistics.stdev(values) / math.sqrt(len(values))


def wilson(correct: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share, good near 0 and 1 too.

    Examples:
        >>> [round(bound, 3) for bound in wilson(95, 100)]
        [0.888, 0.978]
    """
    share, z = correct / count, _NORMAL
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, centre - half), min(1.0, centre + half)
