"""Whether an installed convarium works, with nothing but torch and NumPy beside it: ``python tools/smoke.py``."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

import convarium as cv


def main() -> None:
    graph = cv.ChannelGraph.interlaced(4, 6, 2)
    layers = [
        cv.nn.Conv2d(4, 6, 3, padding="same", stride=2), cv.nn.TiledConv2d(4, 6, 3, tile=2), cv.nn.ChannelConv2d(graph, 3),
        cv.nn.LocalConv2d(4, 6, 3, input_size=9), cv.nn.LocalConvTranspose2d(4, 6, 3, stride=2, input_size=9),
    ]  # fmt: skip
    for layer in layers:
        input = torch.randn(3, 4, 9, 9, requires_grad=True)
        found = {}
        for engine in ("native", "definition"):  # refused where the core is missing
            layer.engine = engine
            output = layer(input)
            found[engine] = [output, *torch.autograd.grad(output.square().sum(), [input, *layer.parameters()])]
        for ours, expected in zip(found["native"], found["definition"], strict=True):
            torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "look.html"
        cv.look(layers[0], torch.randn(1, 4, 9, 9)).html(page)
        assert "Preact" in page.read_text(encoding="utf-8")
    print(f"convarium {cv.__version__} works, in {Path(cv.__file__).parent}")


if __name__ == "__main__":
    main()
