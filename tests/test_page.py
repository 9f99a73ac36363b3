"""The page in a real browser: it loads without a network, answers pointer and keys, and its numbers are those of the maps."""

import dataclasses
import hashlib
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import sync_playwright
from torch import nn

import convarium as cv
from family import random_case, seeds
from test_trace import LAYERS

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
SOURCES = Path(__file__).parent.parent / "page"
BUILT = Path(cv.__file__).parent / "_look" / "page.html"
in_browser = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="Chromium is not installed")


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


class Page:
    """A page that is open, and what a reader does with it."""

    def __init__(self, browser, path, size=(1280, 800), at="", **context):
        self.context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **context)
        self.context.set_offline(True)
        self.page = self.context.new_page()
        self.errors = []
        self.page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: request.url.startswith("file:") or self.errors.append(request.url))
        self.page.goto(f"file://{path}{at}")

    def view(self, name):
        self.page.get_by_role("tab", name=name, exact=True).click()

    def choose(self, label, value):
        choice = self.page.get_by_label(label, exact=True)
        if choice.count() or value:  # there is no choice of one
            choice.select_option(str(value))

    def point_at(self, grid, position, sizes):
        """Of a tensor of these sizes, the plane and then the cell."""
        depth, row, column = (0, 0, *position)[-3:]
        caption = self.page.locator(f"[data-grid={grid}] .plane")
        while len(sizes) == 3 and sizes[0] > 1:
            now = int(re.search(r"plane (\d+) of", caption.inner_text())[1])
            if now == depth:
                break
            caption.get_by_role("button").nth(int(now < depth)).click()
        self.point(grid, row, column, *(1, 1, *sizes)[-2:])

    def point(self, grid, row, column, rows, columns):
        """Move the pointer over a cell of a grid of so many."""
        cells = self.page.locator(f"[data-grid={grid}] .cells")
        cells.scroll_into_view_if_needed()
        box = cells.bounding_box()
        self.page.mouse.move(
            box["x"] + box["width"] * (column + 0.5) / columns, box["y"] + box["height"] * (row + 0.5) / rows
        )

    def total(self, name):
        return float(self.page.locator(f"[data-sum={name}] output").get_attribute("data-total"))

    def set(self, label, value):
        self.page.get_by_label(label, exact=True).fill(str(value))

    def close(self):
        self.context.close()
        assert not self.errors


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a view's page, and at the end looks whether anything went wrong in it."""
    pages = []

    def open_(view, **options):
        path = view if isinstance(view, Path) else view.html(tmp_path / f"look{len(pages)}.html")
        pages.append(Page(browser, path, **options))
        return pages[-1]

    yield open_
    for each in pages:
        each.close()


def drawn(array, rnd):
    return tuple(int(rnd.integers(size)) for size in array.shape)


SMALL = nn.Sequential(
    nn.Conv2d(1, 3, 3, padding=1), nn.Tanh(), cv.nn.TiledConv2d(3, 2, 2, tile=2), nn.Tanh(),
    cv.nn.LocalConv2d(2, 2, 2, input_size=(5, 5)),
)  # fmt: skip


def compare(page, trace, rnd, times=3):
    """Point at cells of all three maps, and read the sums."""
    problem, n = trace.problem, trace.problem.ndim
    close = {"rtol": 1e-4, "atol": 1e-4}
    for _ in range(times):
        sample, channel, *position = drawn(trace.output, rnd)
        page.view("Forward")
        page.choose("sample", sample)
        page.choose("output channel", channel)
        page.point_at("output", position, trace.output.shape[2:])
        np.testing.assert_allclose(page.total("forward"), trace.output[(sample, channel, *position)], **close)
        i, j = trace.edges[int(rnd.integers(len(trace.edges)))].tolist()
        reads, writes = (j, i) if trace.transposed else (i, j)
        page.view("Input gradient")
        page.choose("output channel", writes)
        page.choose("input channel", reads)
        _, _, *position = drawn(trace.grad_input, rnd)
        page.point_at("gradInput", position, trace.grad_input.shape[2:])
        np.testing.assert_allclose(page.total("backward"), trace.grad_input[(sample, reads, *position)], **close)
        page.view("Filter gradient")
        _, *place = drawn(trace.grad_weight, rnd)
        (edge,) = np.flatnonzero((trace.edges == (i, j)).all(axis=1))
        if max(problem.tile) > 1:
            page.point_at("tile", place[:n], problem.tile)
        page.point_at("gradWeight", place[n:], problem.kernel_size)
        np.testing.assert_allclose(page.total("weight"), trace.grad_weight[(edge, *place)], **close)
        assert page.page.locator(".check.wrong").count() == 0


@in_browser
@pytest.mark.parametrize("seed", seeds(9, 60))
def test_numbers_are_those_of_the_maps(seed, opened):
    case = random_case(seed, torch.float64, least_batch=1, sharing=("shared", "tiled", "local")[seed % 3])
    output = torch.randn(case.problem().output_shape).double()
    view = cv.look(case.random(case.weight_shape), case.random(case.input_shape), output, **case.options)
    (trace,) = view.traces.values()
    compare(opened(view), trace, np.random.default_rng(seed))


@in_browser
@pytest.mark.parametrize("name", [name for name in LAYERS if "transposed" in name or name == "graph"])
def test_numbers_of_layers(name, opened):
    layer, shape = LAYERS[name]
    view = cv.look(layer, torch.randn(shape, dtype=layer.weight.dtype))
    (trace,) = view.traces.values()
    compare(opened(view), trace, np.random.default_rng(0))


@in_browser
def test_every_view_answers_pointer_and_keys(opened):
    page = opened(cv.look(SMALL, torch.randn(2, 1, 6, 6)))
    for layer, size in ((0, 6), (1, 5), (2, 4)):
        page.choose("layer", layer)
        page.view("Forward")
        page.point("output", 0, 0, size, size)
        first = page.total("forward")
        page.page.locator("[data-grid=output] .cells").focus()
        page.page.keyboard.press("ArrowRight")
        assert page.total("forward") != first
        for view, grid, name in (
            ("Filter gradient", "gradWeight", "weight"),
            ("Input gradient", "gradInput", "backward"),
        ):
            page.view(view)
            page.page.locator(f"[data-grid={grid}] .cells").focus()
            before = page.total(name)
            page.page.keyboard.press("ArrowDown")
            page.page.keyboard.press("ArrowRight")
            assert page.total(name) != before
        page.view("Matrix")
        matrix = page.page.locator("[data-grid=matrix]")
        matrix.locator(".cells").focus()
        before = matrix.locator(".reading").inner_text()
        page.page.keyboard.press("ArrowDown")
        assert matrix.locator(".reading").inner_text() != before
        page.view("Connections")
        seen = page.page.locator("[data-grid=seen]")
        assert seen.locator(".note").inner_text() == f"{(3, 4, 5)[layer]} × {(3, 4, 5)[layer]} of the network's input"
        page.page.locator(".row .node.live").first.hover()
        assert page.page.locator(".row .chosen").count() >= 2


@in_browser
def test_changes_are_followed(opened):
    """Stride, padding, dilation and kind: what the page then computes is what the library does."""
    layer, input = nn.Conv2d(2, 2, 3), torch.randn(1, 2, 9, 8)
    page = opened(cv.look(layer, input))
    for stride, padding, dilation in (((1, 2), (0, 1), (1, 1)), ((2, 2), (1, 2), (2, 1)), ((3, 1), (2, 0), (1, 3))):
        for name, value in (("stride", stride), ("padding", padding), ("dilation", dilation)):
            for direction in (0, 1):
                page.set(f"{name}, direction {direction}", value[direction])
        expected = cv.conv2d(input, layer.weight, layer.bias, stride, padding, dilation).detach()
        rows, columns = expected.shape[2:]
        for row, column in ((0, 0), (rows - 1, columns - 1)):
            page.point("output", row, column, rows, columns)
            assert page.total("forward") == pytest.approx(expected[0, 0, row, column].item(), abs=1e-4)
    page.set("dilation, direction 0", 9)
    assert "larger than the padded input" in page.page.locator(".message").inner_text()
    page.page.get_by_role("button", name="as it was").click()
    page.page.get_by_role("button", name="local", exact=True).click()
    expected = layer(input).detach()
    page.point("output", 2, 2, 7, 6)
    assert page.total("forward") == pytest.approx(expected[0, 0, 2, 2].item(), abs=1e-4)  # untied: the same function
    page.page.locator("[data-grid=kernel] .cells").focus()
    page.page.keyboard.press("5")  # a number of its kernel, and of no other
    page.page.keyboard.press("Enter")
    changed = page.total("forward")
    assert changed != pytest.approx(expected[0, 0, 2, 2].item(), abs=1e-4)
    page.point("output", 2, 3, 7, 6)
    assert page.total("forward") == pytest.approx(expected[0, 0, 2, 3].item(), abs=1e-4)


@in_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 800), (390, 800)], ids=["desk", "phone"])
def test_both_themes_and_sizes_show_all(scheme, size, opened, tmp_path):
    """Photographed into the folder that CONVARIUM_PICTURES names; nothing lies outside of the page's width."""
    folder = Path(os.environ.get("CONVARIUM_PICTURES", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    page = opened(cv.look(SMALL, torch.randn(1, 1, 6, 6)), size=size, color_scheme=scheme)
    for view in ("Forward", "Filter gradient", "Input gradient", "Matrix", "Connections"):
        page.view(view)
        taken = page.page.screenshot(path=folder / f"{view.split()[0].lower()}-{scheme}-{size[0]}.png", full_page=True)
        assert len(taken) > 10_000
        assert page.page.evaluate("document.documentElement.scrollWidth") <= size[0]
    page.page.emulate_media(media="print")
    assert page.page.get_by_role("tab").first.is_hidden()


@in_browser
def test_the_tour_runs_in_the_lectures_order(opened, tmp_path):
    path = tmp_path / "plain.html"
    path.write_text(BUILT.read_text())  # without any data: the lecture's example
    page = opened(path)
    assert page.total("forward") in (37, 47, 67, 77)
    page.page.get_by_role("button", name="Tour").click()
    titles = []
    for _ in range(60):
        heading = page.page.locator(".tour h2").inner_text()
        if heading not in titles:
            titles.append(heading)
        if page.page.locator(".tour .question").count() and page.page.locator(".tour p").count() == 1:
            titles.append("asked")  # and not answered yet
        page.page.keyboard.press("PageDown")
    assert titles.index("asked") == titles.index("20. Which filter produced it?") + 1
    assert [re.sub(r"^\d+\. ", "", t) for t in titles if t != "asked"][:4] == [
        "A plane's track", "The discrete sum", "Two dimensions", "Hadamard product and sum",
    ]  # fmt: skip
    assert len(titles) == 22
    page.page.keyboard.press("PageUp")
    assert page.page.locator(".tour h2").inner_text() == "20. Which filter produced it?"
    burst = (
        "async (n) => { for (; n; n--) { dispatchEvent(new KeyboardEvent('keydown', { key: 'PageUp' })); await null } }"
    )
    page.page.evaluate(burst, 19)  # between two frames: a clicker loses none
    assert page.page.locator(".tour h2").inner_text() == "1. A plane's track"
    strided = opened(path, at="#stride")
    assert strided.page.locator(".tour h2").inner_text() == "7. Stride, as one"
    strided.point("output", 1, 1, 2, 2)
    assert strided.total("forward") == sum(w * x for w, x in zip((1, 2, 3, 4), (13, 14, 18, 19), strict=True))


@in_browser
def test_names_are_text_and_nan_is_shown(opened):
    model = nn.Sequential()
    name = "</script><img src=x onerror=alert(1)>"
    model.add_module(name, nn.Conv2d(1, 1, 2))
    with torch.no_grad():
        model[0].weight[0, 0, 0, 0] = torch.nan
    view = cv.look(model, torch.randn(1, 1, 4, 4))
    page = opened(view)
    assert name in page.page.locator("h1").inner_text()
    assert page.page.locator("img").count() == 0
    page.point("output", 1, 1, 3, 3)
    assert page.page.locator("[data-sum=forward] output").inner_text() == "NaN"


@in_browser
def test_a_real_layer_stays_usable(opened, tmp_path):
    """64 channels of 112 x 112: below 5 MiB, and sums are whole though a part of the channels is shown."""
    torch.manual_seed(0)
    layer, input = nn.Conv2d(64, 64, 3, padding=1), torch.randn(2, 64, 112, 112)
    view = cv.look(layer, input, torch.randn(2, 64, 112, 112))
    page = opened(view)
    assert (tmp_path / "look0.html").stat().st_size < 5 * 2**20
    trace = view["Conv2d"]
    page.point("output", 50, 60, 112, 112)
    assert page.total("forward") == pytest.approx(trace.output[0, 0, 50, 60], abs=2e-3)
    assert page.page.get_by_text("what is not shown").count() == 1
    page.view("Matrix")
    assert "a point stands for" in page.page.locator("[data-grid=matrix]").inner_text()


def test_the_built_page_is_made_of_its_sources():
    """``make page`` builds it anew."""
    files = sorted(
        (str(path.relative_to(SOURCES)), path) for path in [*(SOURCES / "src").rglob("*"), SOURCES / "package-lock.json"]
        if path.is_file()
    )  # fmt: skip
    found = hashlib.sha256()
    for name, path in files:
        found.update(f"{name}\0".encode() + path.read_bytes() + b"\0")
    assert f'content="{found.hexdigest()[:16]}"' in BUILT.read_text()
    assert BUILT.stat().st_size < 2**18
    assert (SOURCES.parent / "docs" / "look.html").read_text() == BUILT.read_text()
    assert not re.search(r"https?://(?!www\.w3\.org/)", BUILT.read_text())


def test_bad_input_writes_nothing(tmp_path):
    view = cv.look(torch.randn(1, 1, 2, dtype=torch.complex64), torch.randn(1, 1, 5, dtype=torch.complex64))
    with pytest.raises(ValueError, match="html: conv1d computes with complex numbers"):
        view.html(tmp_path / "look.html")
    with pytest.raises(FileNotFoundError):
        cv.look(torch.ones(1, 1, 2), torch.ones(1, 1, 5)).html(tmp_path / "nowhere" / "look.html")
    assert not list(tmp_path.iterdir())


def test_many_numbers_are_packed_as_fractions_of_the_largest():
    made = cv.look(nn.Conv2d(4, 4, 3), torch.randn(1, 4, 140, 140)).page("a title with <b>")
    assert "<title>a title with &lt;b&gt; — convarium</title>" in made
    assert '"scale":null' not in made.split('id="data"')[1].split("</script>")[0]


def data(path):
    return json.loads(path.read_text().split('id="data">')[1].split("</script>")[0])["layers"]


@in_browser
def test_what_is_not_shown_is_a_part_of_each_sum(opened, tmp_path):
    """Samples, channels and places beyond the page's budget; a graph whose first channels are not joined."""
    torch.manual_seed(0)
    graph = cv.ChannelGraph.from_edges(512, 512, [(511 - i, i) for i in range(512)])
    for layer, shape in (
        (nn.Conv2d(1, 2, 3), (32, 1, 8, 8)), (nn.Conv2d(1, 1, 3, padding=1), (1, 1, 700, 700)),
        (cv.nn.ChannelConv2d(graph, 3), (1, 512, 40, 40)), (cv.nn.LocalConv1d(1, 1, 3, input_size=60_000), (1, 1, 60_000)),
    ):  # fmt: skip
        input = torch.randn(shape)
        view = cv.look(layer, input, torch.randn_like(layer(input)))
        page = opened(view)
        (trace,) = view.traces.values()
        assert page.page.locator(".check:not(.wrong)").count() == 1
        for name, total in (("Filter gradient", "weight"), ("Input gradient", "backward")):
            page.view(name)
            assert np.isfinite(page.total(total))
            assert page.page.locator(".check:not(.wrong)").count() == 1
        assert trace.problem.batch < 32 or page.page.get_by_label("sample", exact=True).locator("option").count() == 16
    assert max(path.stat().st_size for path in tmp_path.iterdir()) < 5 * 2**20
    labels = data(tmp_path / "look2.html")[0]
    assert labels["inputs"][-1] == 511


@in_browser
def test_a_wrong_number_is_not_called_right(opened):
    """However small the numbers are."""
    view = cv.look(nn.Conv2d(1, 1, 3), torch.randn(1, 1, 6, 6), 1e-6 * torch.randn(1, 1, 4, 4))
    (trace,) = view.traces.values()
    wrong = dataclasses.replace(trace, grad_input=-trace.grad_input, grad_weight=0 * trace.grad_weight)
    page = opened(cv.View([wrong]))
    assert page.page.locator(".check.wrong").count() == 0
    for name in ("Filter gradient", "Input gradient"):
        page.view(name)
        assert page.page.locator(".check.wrong").count() == 1


@in_browser
def test_what_is_tried_out_is_forgotten(opened):
    """From local to shared and back the local kernels are there again; a number that was written stays."""
    layer, input = cv.nn.LocalConv2d(1, 1, 2, input_size=(4, 4)), torch.randn(1, 1, 4, 4)
    page = opened(cv.look(layer, input))
    page.point("output", 2, 1, 3, 3)
    before = page.total("forward")
    for kind in ("shared", "local"):
        page.page.get_by_role("button", name=kind, exact=True).click()
    page.point("output", 2, 1, 3, 3)
    assert page.total("forward") == pytest.approx(before, abs=1e-5)
    page.page.locator("[data-grid=kernel] .cells").focus()
    page.page.keyboard.press("7")
    page.page.keyboard.press("Enter")
    written = page.total("forward")
    for kind in ("shared", "local"):
        page.page.get_by_role("button", name=kind, exact=True).click()
    page.point("output", 2, 1, 3, 3)
    assert page.total("forward") == pytest.approx(written, abs=1e-5) != before


@in_browser
def test_a_view_has_a_link_of_its_own(opened):
    view = cv.look(nn.Conv2d(1, 1, 3), torch.randn(1, 1, 5, 5))
    page = opened(view, at="#view=matrix")
    assert page.page.locator("[data-grid=matrix]").count() == 1
    assert page.page.locator(".tour").count() == 0
    odd = opened(view, at="#%E0%A4%A")
    assert odd.page.locator("[data-sum=forward]").count() == 1


def test_a_layer_that_reads_nothing_is_refused():
    graph = cv.ChannelGraph.from_edges(2, 2, [], allow_empty=True)
    with pytest.raises(ValueError, match="html: ChannelConv2d reads nothing, its graph has no edge"):
        cv.look(cv.nn.ChannelConv2d(graph, 3), torch.randn(1, 2, 5, 5)).page()
