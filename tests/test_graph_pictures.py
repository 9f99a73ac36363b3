"""What is printed and drawn of graphs is what they are."""

from __future__ import annotations

import itertools
import json
import math
import random
import re
import subprocess
import sys

import numpy as np
import pytest

from convarium import ChannelGraph, ChannelStack
from convarium._look import graph_edges
from convarium._look.graph_figure import LOST
from convarium._look.graph_text import ranges
from family import random_graph, seeds

same_color = pytest.importorskip("matplotlib.colors", reason="matplotlib is not installed: no figures").same_color


def convarium(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "convarium", *arguments], capture_output=True, text=True)


@pytest.mark.parametrize("seed", seeds(30, 300))
def test_a_diagram_is_the_mask(seed: int) -> None:
    rnd = random.Random(seed)
    graph = random_graph(rnd, rnd.choice([2, 12, 64]), rnd.choice([2, 12, 64]))
    output = rnd.choice([None, rnd.randrange(graph.out_channels)])
    title, blank, header, *rows = graph.diagram(output).splitlines()
    assert (title, blank, header.strip()) == (repr(graph), "", f"input 0 to {graph.in_channels - 1}")
    cells = [re.sub(r"^(output)? *\d+[ >] ", "", row).split() for row in rows]
    assert np.array_equal([[cell in "■#" for cell in row] for row in cells], graph.mask())
    assert [n for n, row in enumerate(rows) if ">" in row] == ([] if output is None else [output])


def test_a_large_diagram_is_shaded() -> None:
    lines = ChannelGraph.groups(128, 256, 4).diagram().splitlines()
    assert "a cell is 4 x 4 channels" in lines[2]
    assert lines[3:] == [" " * 8 * (row // 16) + "█" * 8 for row in range(64)]


def test_a_stack_tells_what_is_missing() -> None:
    stack = ChannelStack(ChannelGraph.interlaced(8, 8, 4), ChannelGraph.groups(8, 8, 4))
    text = stack.diagram(5)
    assert "output 5 sees 4 of 8 inputs: 0-1, 4-5" in text
    assert text.endswith("outputs 0-1, 4-5 do not see inputs 2-3, 6-7\noutputs 2-3, 6-7 do not see inputs 0-1, 4-5")
    assert "not see" not in ChannelStack(ChannelGraph.dense(4, 4)).diagram()
    assert "... and 8 more kinds" in ChannelStack(ChannelGraph.depthwise(16)).diagram()


def test_ranges() -> None:
    assert ranges([0, 1, 2, 5, 7, 8]) == "0-2, 5, 7-8"
    assert ranges(range(0, 40, 2)).endswith("22, ...")


@pytest.mark.parametrize("seed", seeds(6, 40))
def test_a_figure_has_every_channel_and_edge_and_what_is_seen(seed: int) -> None:
    rnd = random.Random(seed)
    widths = [rnd.choice([1, 4, 12, 40]) for _ in range(rnd.randint(2, 4))]
    stack = ChannelStack(*(random_graph(rnd, a, b) for a, b in itertools.pairwise(widths)))
    output = rnd.randrange(widths[-1])
    (axes,) = stack.figure(output).axes
    lines = sum(
        len(collection.get_segments()) for collection in axes.collections if hasattr(collection, "get_segments")
    )
    assert lines == stack.n_edges
    fields = stack.receptive_field(output)
    chosen = [c for c in axes.collections if hasattr(c, "get_segments")][1::2]
    for layer, (graph, drawn) in enumerate(zip(stack, chosen, strict=True)):
        expected = sum(j in fields[layer + 1] for j in graph.edges[1].tolist())
        assert len(drawn.get_segments()) == expected
    lost = widths[0] - len(fields[0])
    assert axes.get_title() == f"output {output} sees {len(fields[0])} of {widths[0]} inputs" + (
        f", {lost} not" if lost else ""
    )
    (plain,) = stack.figure().axes
    assert len([c for c in plain.collections if hasattr(c, "get_segments")]) == 2 * len(stack)


def dots(axes, colour: str) -> list[list[float]]:
    """Where markers with an outline of this colour stand."""
    found = [c for c in axes.collections if hasattr(c, "get_sizes") and c.get_offsets().size]
    return [at for c in found if same_color(c.get_edgecolor(), colour) for at in c.get_offsets().tolist()]


@pytest.mark.parametrize("seed", seeds(10, 100))
def test_a_figure_marks_outputs_that_miss_inputs_and_says_how_many_they_see(seed: int) -> None:
    rnd = random.Random(seed)
    widths = [rnd.choice([2, 4, 12, 32]) for _ in range(rnd.randint(2, 3))]
    stack = ChannelStack(*(random_graph(rnd, a, b) for a, b in itertools.pairwise(widths)))
    (axes,) = stack.figure().axes
    reach = stack.reach.mask()
    marked = dots(axes, LOST)
    heights = np.linspace(0, max(widths) - 1, widths[-1])
    expected = [[len(stack), heights[j]] for j in np.flatnonzero(~reach.all(axis=1))]
    assert [at for at in marked if at[0] == len(stack)] == expected
    assert len([at for at in marked if at[0] == 0]) == 2 * np.count_nonzero(~reach.any(axis=0))  # a ring and a cross
    told = [text.get_text() for text in axes.texts if " of " in text.get_text()]
    assert told == [f"{row.sum()} of {widths[0]}" for row in reach if not row.all()]
    assert axes.get_title().endswith(f"; {len(expected)} of {widths[-1]} miss some") == bool(expected)


def test_who_misses_one_input_does_not_see_all_of_them() -> None:
    graph = ~ChannelGraph.depthwise(300)
    assert "outputs see 99 % of the inputs" in repr(ChannelStack(graph))
    assert graph.figure().axes[0].get_title() == "outputs see 99 % of the inputs; 300 of 300 miss some"


@pytest.mark.parametrize("output", [0, 1, 37, 511])
def test_the_chosen_output_of_a_large_layer_is_numbered(output: int) -> None:
    (axes,) = ChannelGraph.groups(256, 512, 2).figure(output).axes
    bold = [(text.get_text(), text.xy) for text in axes.texts if text.get_fontweight() == "bold"]
    assert bold == [(str(output), (1, pytest.approx(output)))]
    numbers = sorted(int(text.get_text()) for text in axes.texts if text.get_text().isdecimal() and text.xy[0] == 1)
    assert len(numbers) <= 34
    assert min(np.diff(numbers)) >= 16


@pytest.mark.parametrize("output", [None, 300])
@pytest.mark.parametrize(
    "graph",
    [
        ChannelGraph.dense(1024, 1024),
        ChannelGraph.groups(1024, 512, 4),
        ChannelGraph.interlaced(1024, 1024, 4),
        ChannelGraph.interlaced(512, 512, 32),
        ChannelGraph.shuffled(1024, 1024, 2),
        ChannelGraph.banded(1024, 1024, 40),
        ChannelGraph.random_regular(512, 512, 200, seed=0),
        ~ChannelGraph.depthwise(512),
    ],
    ids=repr,
)
def test_a_large_graph_takes_few_shapes(graph: ChannelGraph, output: int | None) -> None:
    (axes,) = graph.figure(output).axes
    assert sum(len(collection.get_paths()) for collection in axes.collections) < 1500
    (shades,) = axes.images or [None]
    if shades is not None:
        assert max(shades.get_array().shape) <= 128


@pytest.mark.parametrize("seed", seeds(30, 300))
def test_parts_and_cells_are_the_mask(seed: int) -> None:
    rnd = random.Random(seed)
    graph = random_graph(rnd, rnd.choice([2, 12, 64]), rnd.choice([2, 12, 64]))
    mask, places = graph.mask(), (np.arange(graph.in_channels) * 1.0, np.arange(graph.out_channels) * 1.0)
    chosen = np.array([rnd.random() < 0.3 for _ in range(graph.out_channels)])
    covered = np.zeros((2, *mask.shape), dtype=int)
    for part in graph_edges._parts(graph.blocks, places, chosen):
        for a, b in itertools.product(part.inputs, part.outputs):
            across, down = (slice(math.ceil(run[0]), math.floor(run[1]) + 1) for run in (a, b))
            covered[int(part.chosen), down, across] += 1
    assert np.array_equal(covered, [mask & ~chosen[:, None], mask & chosen[:, None]])
    many = np.kron(mask, np.ones((5, 3), dtype=bool))
    assert graph_edges._binned(many).mean() == pytest.approx(many.mean(), abs=0.1)
    assert np.array_equal(graph_edges._binned(mask), mask)


def test_the_command_prints_draws_and_saves(tmp_path) -> None:
    there = [str(tmp_path / name) for name in ("graph.svg", "graph.json")]
    words = ["graph", "interlaced", "8", "8", "4", "--with", "groups", "8", "8", "2", "--output", "3"]
    done = convarium(*words, "--draw", there[0], "--save", there[1])
    stack = ChannelStack(ChannelGraph.interlaced(8, 8, 4), ChannelGraph.groups(8, 8, 2))
    assert (done.returncode, done.stdout, done.stderr) == (0, stack.diagram(3) + "\n", "")
    assert "<svg" in (tmp_path / "graph.svg").read_text()
    assert ChannelGraph.load(there[1]) == stack.reach
    told = json.loads(convarium(*words, "--json").stdout)
    assert told["is_full"]
    assert told["n_edges"] == 48
    assert told["sees"] == [list(field) for field in stack.receptive_field(3)]
    assert convarium("graph", "load", there[1]).stdout.startswith("ChannelGraph(8 -> 8, dense, 64 edges)")
    assert convarium("graph", "random_regular", "8", "4", "2", "7").stdout.splitlines()[0] == repr(
        ChannelGraph.random_regular(8, 4, 2, seed=7)
    )


def test_the_command_writes_where_an_encoding_lacks_its_signs(monkeypatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = convarium("graph", "groups", "4", "4", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[3].split() == ["output", "0", "?", "?", "?", "?"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("blob 3", "'blob' is no kind of graph: dense, groups,"),
        ("groups 8 8", "groups takes IN OUT GROUPS, got 8 8"),
        ("groups 8 8 x", "groups takes IN OUT GROUPS, got 8 8 x"),
        ("groups 8 8 3", "groups=3 does not divide in_channels=8"),
        ("dense 4 4 --wth dense 4 4", "dense takes IN OUT, got 4 4 --wth dense 4 4"),
        ("dense 4 4 --with", "--with: a graph comes before it and after it: KIND NUMBERS..., KIND one of dense"),
        ("dense 4 4 --with dense 5 5", "layer 2 reads 5 channels, but layer 1 has 4"),
        ("dense 4 4 --output 4", "output must be a channel from 0 to 3, got 4"),
        ("dense 4 4 --draw graph.txt", "must end in .png, .svg, .pdf"),
        ("dense 4 4 --draw /proc/nowhere/graph.png", "/proc/nowhere"),
        ("load /nowhere.json", "/nowhere.json: no such file or directory"),
        ("load", "load takes a FILE"),
    ],
)
def test_the_command_says_what_is_wrong_in_a_line(words: str, message: str) -> None:
    done = convarium("graph", *words.split())
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not done.stdout
