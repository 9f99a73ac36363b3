"""What is printed and drawn of graphs is what they are."""

from __future__ import annotations

import itertools
import json
import random
import re
import subprocess
import sys

import numpy as np
import pytest

from convarium import ChannelGraph, ChannelStack
from convarium._look.graph_text import ranges
from family import random_graph, seeds

pytest.importorskip("matplotlib", reason="matplotlib is not installed: no figures")


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
        ("dense 4 4 --with", "'' is no kind of graph"),
        ("dense 4 4 --with dense 5 5", "layer 1 reads 5 channels, but layer 0 has 4"),
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
