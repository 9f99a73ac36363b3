"""What flax's ``ConvLocal`` computes, kept small for the tests: ``python tools/references/flax_layers.py``.

Needs ``flax==0.10.2`` in an environment of its own. Writes ``tests/references/flax_layers.npz``.
"""

from __future__ import annotations

import json
from pathlib import Path

import flax.linen as nn
import jax
import numpy as np

OUT = Path(__file__).resolve().parent.parent.parent / "tests" / "references"
CASES = [
    {"size": (9,), "kernel_size": (3,), "padding": "VALID"},
    {"size": (9,), "kernel_size": (4,), "strides": (2,), "padding": "SAME"},
    {"size": (6, 7), "kernel_size": (3, 2), "padding": "VALID", "strides": (1, 2)},
    {"size": (6, 7), "kernel_size": (3, 2), "padding": ((1, 0), (2, 1)), "kernel_dilation": (1, 2)},
    {"size": (5, 5), "kernel_size": (3, 3), "padding": "SAME", "use_bias": False},
    {"size": (4, 5, 4), "kernel_size": (2, 3, 2), "padding": "VALID", "strides": (2, 1, 1)},
]


def main() -> None:
    kept, rnd = {}, np.random.default_rng(0)
    for number, case in enumerate(CASES):
        case = dict(case)
        size = case.pop("size")
        input = rnd.normal(size=(2, *size, 3)).astype(np.float32)
        layer = nn.ConvLocal(features=4, bias_init=nn.initializers.normal(), **case)
        parameters = layer.init(jax.random.PRNGKey(number), input)
        kept[f"{number}.case"] = np.array(json.dumps({"size": size, **case}))
        kept[f"{number}.input"], kept[f"{number}.output"] = input, np.asarray(layer.apply(parameters, input))
        for name, value in parameters["params"].items():
            kept[f"{number}.{name}"] = np.asarray(value)
    np.savez_compressed(OUT / "flax_layers.npz", **kept)


if __name__ == "__main__":
    main()
