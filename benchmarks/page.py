"""How soon the page of a view opens in Chromium, and how soon it answers a pointer: of a small network, and of a large layer."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

import convarium as cv

CHROMIUM = shutil.which("chromium")
MOVES = 40

# Moves a pointer over the output, one cell after the other, and waits each time until the page has been painted anew.
MOVE = """
async (moves) => {
  const cells = document.querySelector("[data-grid=output] .cells"), box = cells.getBoundingClientRect(), took = [];
  for (let k = 0; k < moves; k++) {
    const begin = performance.now(), part = (k + 0.5) / moves;
    const at = { clientX: box.left + box.width * part, clientY: box.top + box.height * part };
    cells.dispatchEvent(new PointerEvent("pointermove", { ...at, pointerType: "mouse", bubbles: true }));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    took.push(performance.now() - begin);
  }
  return took;
}
"""


@dataclass(frozen=True)
class Page:
    """Seconds until a page shows its first sum, and until it has answered a pointer (median and worst); its bytes."""

    opens: dict[str, float]
    answers: dict[str, float]
    worst: dict[str, float]
    size: dict[str, int]

    def __str__(self) -> str:
        each = (
            f"{name} ({self.size[name] / 2**20:.1f} MiB) opens in {self.opens[name]:.2f} s and answers a pointer in "
            f"{1e3 * self.answers[name]:.0f} ms, at worst {1e3 * self.worst[name]:.0f} ms"
            for name in self.opens
        )
        return f"The page in Chromium: {'; '.join(each)}"


def views() -> dict[str, cv.View]:
    torch.manual_seed(0)
    small = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), cv.nn.TiledConv2d(8, 16, 3, tile=3), nn.ReLU(), nn.Conv2d(16, 4, 3)
    )
    large = nn.Conv2d(64, 64, 3, padding=1)
    return {
        "a small network": cv.look(small, torch.randn(4, 1, 16, 16)),
        "64 channels of 112 x 112": cv.look(large, torch.randn(1, 64, 112, 112), torch.randn(1, 64, 112, 112)),
    }


def measure() -> Page | None:
    """None without Chromium or Playwright."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        return None
    if CHROMIUM is None:
        return None
    found = Page({}, {}, {}, {})
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name, view in views().items():
            path = view.html(Path(folder) / "look.html")
            opened, took = [], []
            for _ in range(3):
                page = browser.new_page(viewport={"width": 1280, "height": 800})
                begin = time.perf_counter()
                page.goto(f"file://{path}")
                page.locator("[data-sum=forward]").wait_for()
                opened.append(time.perf_counter() - begin)
                took += page.evaluate(MOVE, MOVES)
                page.close()
            found.opens[name], found.size[name] = statistics.median(opened), path.stat().st_size
            found.answers[name], found.worst[name] = statistics.median(took) / 1e3, max(took) / 1e3
        browser.close()
    return found
