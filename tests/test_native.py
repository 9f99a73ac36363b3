"""The C++ core beyond what all engines are held to: instruction sets, threads, memory, and life without it."""

from __future__ import annotations

import gc
import multiprocessing
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

import convarium as cv
from convarium._engines import native
from convarium._native import library, memory, threads
from convarium._spec.problem import MAPS
from family import random_case, seeds
from test_engines import check

HERE = Path(__file__).parent
CORE = library.load()
missing = pytest.mark.skipif(isinstance(CORE, library.MissingCore), reason=f"there is no C++ core: {CORE}")
LARGE = (64, 32, 32, 4, 3, 3)  # of a megabyte and more: its memory comes from the pool
ISAS = [] if isinstance(CORE, library.MissingCore) else library.isas(CORE)


def on_each(test):
    """The test on each instruction set that was compiled, or why not."""
    lacks = "is compiled and not run: this machine has not got it"
    marked = [
        pytest.param(isa, marks=pytest.mark.skipif(not available, reason=f"{isa} {lacks}")) for isa, available in ISAS
    ]
    return missing(pytest.mark.parametrize("isa", marked)(test))


def python(program, **environment):
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=HERE,
        env=os.environ | environment,
    )


@on_each
def test_every_instruction_set_agrees_with_the_definition(isa):
    count = len(seeds(100, 1000))
    done = python(
        f"""
import torch
from convarium._engines import native
from convarium._native import library
from family import random_case
from test_engines import can, check
assert library.load().cv_isa().decode() == {isa!r}
ran = 0
for seed in range({count}):
    case = random_case(seed, tuple(native.DTYPES)[seed % 4], least_batch=1)
    assert can("native", case.problem())
    check("native", case)
    ran += 1
print(ran)
""",
        CONVARIUM_ISA=isa,
    )
    assert done.stdout.strip() == str(count), done.stderr


IDENTITIES = """
import test_identities as identities
from convarium._native import library
assert library.load().cv_isa().decode() == {isa!r}
plain = identities.Problem.arguments
identities.Problem.arguments = property(lambda problem: plain.fget(problem) | {{"engine": "native"}})
for seed in range({count}):
    identities.test_transposed_convolution_is_the_adjoint(seed)
    identities.test_each_map_is_linear_in_each_operand(seed)
    identities.test_shared_convolution_goes_with_shifts(seed)
    identities.test_tiled_convolution_goes_with_shifts_by_whole_tiles_alone(seed)
    identities.test_weight_gradient_is_the_local_one_added_over_positions(seed)
print("right")
"""


@on_each
def test_identities_hold_on_every_instruction_set(isa):
    done = python(IDENTITIES.format(isa=isa, count=len(seeds(20, 200))), CONVARIUM_ISA=isa)
    assert done.stdout.strip() == "right", done.stderr


HALVES = """
import torch, convarium as cv
for dtype in (torch.bfloat16, torch.float16):
    every = torch.arange(-(2**15), 2**15, dtype=torch.int16).view(dtype).reshape(64, 4, 256)  # all numbers, the odd ones too
    for factor in (1.0, 1 / 3, -0.7, 2.0**-9, 3.0e4):
        weight = torch.full((4, 256, 1, 1), factor, dtype=dtype)
        got = cv.conv1d(every, weight, groups=4, engine="native")
        expected = (every.float() * weight[0, 0, 0, 0].float()).to(dtype)
        assert torch.equal(got.isnan(), expected.isnan()), (dtype, factor)
        assert torch.equal(got.nan_to_num(7.0), expected.nan_to_num(7.0)), (dtype, factor)
print("right")
"""


@on_each
def test_all_halves_are_read_and_rounded_as_torch_does(isa):
    done = python(HALVES, CONVARIUM_ISA=isa)
    assert done.stdout.strip() == "right", done.stderr


@missing
@pytest.mark.parametrize(
    "way", [pytest.param(1, id="gathered"), pytest.param(2, id="neighbours"), pytest.param(5, id="gathered in slabs"),
            pytest.param(6, id="neighbours in slabs"), pytest.param(8, id="lines"), pytest.param(12, id="lines in parts")]
)  # fmt: skip
def test_every_way_agrees_with_the_definition(monkeypatch, way):
    """The core chooses by sizes that random problems seldom have."""
    monkeypatch.setattr(native, "WAY", way)
    native._described.cache_clear()
    for seed in seeds(100, 1000):
        check("native", random_case(seed, tuple(native.DTYPES)[seed % 4], least_batch=1))
    native._described.cache_clear()


@missing
@pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage").exists(), reason="this system has no huge pages to ask for"
)
def test_large_pages_are_asked_for_under_the_weight_of_a_layer():
    layer = cv.nn.LocalConv2d(16, 16, 3, input_size=(30, 30))
    middle = layer.weight.data_ptr() + layer.weight.nbytes // 2
    flags = None
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if (area := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)) is not None:
            inside = int(area[1], 16) <= middle < int(area[2], 16)
        elif inside and line.startswith("VmFlags:"):
            flags = line.split()
    assert flags is not None
    assert "hg" in flags


SLABS = [  # what is turned is more than a last cache, so they are cut in slabs, each along another direction
    ((32, 16, 20, 90), (16, 20, 90, 16, 3, 3), {"padding": 1}),
    ((32, 16, 90, 20), (16, 90, 20, 16, 3, 3), {"padding": (1, 2), "dilation": (1, 2)}),
    ((32, 8, 61, 150), (16, 30, 75, 8, 3, 3), {"stride": 2, "padding": ((0, 1), (1, 1))}),
    ((32, 16, 2000), (16, 2000, 16, 5), {"padding": 2}),
    ((40, 8, 6, 9, 40), (8, 6, 9, 40, 8, 3, 3, 3), {"padding": 1}),
    ((40, 8, 9, 9, 40), (8, 2, 1, 3, 8, 3, 3, 3), {"padding": 1}),
]


@missing
@pytest.mark.parametrize(("input", "weight", "options"), SLABS)
def test_large_problems_are_cut_in_slabs(input, weight, options):
    n = len(input) - 2
    x, w = torch.randn(input), torch.randn(weight) / 10
    y = getattr(cv, f"conv{n}d")(x, w, engine="native", **options)
    gradient = torch.randn_like(y)
    torch.testing.assert_close(y, getattr(cv, f"conv{n}d")(x, w, engine="matmul", **options), rtol=1e-4, atol=1e-4)
    for map, given in (("input", (x.shape, w)), ("weight", (x, w.shape))):
        of = getattr(cv.grad, f"conv{n}d_{map}")
        pair = [of(*given, gradient, engine=engine, **options) for engine in ("native", "matmul")]
        torch.testing.assert_close(*pair, rtol=1e-4, atol=1e-4)


FAR = 2**31 + 64


@pytest.fixture
def far():
    """Lays a tensor in tens of gigabytes of addresses, far apart in one direction; little of them is ever touched."""
    mmap = pytest.importorskip("mmap")
    unreserved = getattr(mmap, "MAP_NORESERVE", 0x4000)  # named since Python 3.13

    def place(tensor, direction):
        try:
            flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | unreserved
            space = mmap.mmap(-1, tensor.itemsize * (tensor.shape[direction] + 1) * FAR, flags=flags)
        except (OSError, AttributeError, ValueError, OverflowError) as error:
            pytest.skip(f"this system gives no such addresses: {error}")
        strides = list(tensor.stride())
        strides[direction] = FAR
        return torch.frombuffer(space, dtype=tensor.dtype).as_strided(tensor.shape, strides).copy_(tensor)

    return place


@missing
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("direction", [pytest.param(0, id="samples"), pytest.param(1, id="channels")])
@pytest.mark.parametrize(
    ("way", "weight"),
    [
        pytest.param(native.GATHERED, (3, 3, 3, 3, 2, 2), id="gathered"),
        pytest.param(native.NEIGHBOURS, (3, 3, 3, 3, 2, 2), id="neighbours"),
        pytest.param(native.LINES, (3, 1, 1, 3, 2, 2), id="lines"),
    ],
)
def test_offsets_past_32_bits(monkeypatch, far, way, weight, direction, dtype):
    x, w = torch.randn(2, 3, 4, 4).to(dtype), torch.randn(weight).to(dtype)
    problem = cv.plan2d(x.shape, w.shape, dtype=dtype).problem
    monkeypatch.setattr(native, "WAY", way)
    native._described.cache_clear()
    assert all(native._way(map, problem) == way for map in MAPS)
    z = native.forward(problem, x, w)
    far_x, far_w, far_z = far(x, direction), far(w, 0), far(z, direction)
    assert torch.equal(native.forward(problem, far_x, far_w), z)
    assert torch.equal(native.grad_input(problem, far_z, far_w), native.grad_input(problem, z, w))
    assert torch.equal(native.grad_weight(problem, far_x, far_z), native.grad_weight(problem, x, z))
    native._described.cache_clear()


@missing
def test_the_number_of_threads_does_not_change_a_bit():
    before = torch.get_num_threads()
    try:
        for seed in (*seeds(60, 500), 230):  # 230: pairs of positions added to one place in another order
            case = random_case(seed, torch.float32, least_batch=1)
            problem, (input, weight, output) = case.problem(), case.tensors()
            for map, operands in zip(MAPS, ((input, weight), (output, weight), (input, output)), strict=True):
                found = []
                for count in (1, 2, 5):
                    torch.set_num_threads(count)
                    found.append(getattr(native, map)(problem, *operands))
                assert all(torch.equal(found[0], other) for other in found[1:]), f"{map} {case}"
    finally:
        torch.set_num_threads(before)


@missing
@pytest.mark.parametrize("layout", ["channels_last", "turned", "expanded", "reversed channels of a slice"])
def test_operands_may_lie_in_memory_as_they_like(layout):
    input, weight = torch.randn(10, 6, 9, 9), torch.randn(5, 7, 7, 6, 3, 3)
    if layout == "channels_last":
        input, weight = input.to(memory_format=torch.channels_last), weight.movedim(3, -1).contiguous().movedim(-1, 3)
    elif layout == "turned":
        input, weight = input.mT, weight.transpose(1, 2).mT
    elif layout == "expanded":
        input, weight = input[:1].expand(10, 6, 9, 9), weight[:1].expand(5, 7, 7, 6, 3, 3)
    else:
        input, weight = input[:, ::2].repeat_interleave(2, 1)[:, :6], weight[..., :3].flip(0)
    gradient = torch.randn(7, 7, 10, 5).permute(2, 3, 0, 1)
    problem = cv.plan2d(input.shape, weight.shape).problem
    plain = [t.contiguous() for t in (input, weight, gradient)]
    torch.testing.assert_close(native.forward(problem, input, weight), native.forward(problem, plain[0], plain[1]))
    torch.testing.assert_close(
        native.grad_input(problem, gradient, weight), native.grad_input(problem, plain[2], plain[1])
    )
    torch.testing.assert_close(
        native.grad_weight(problem, input, gradient), native.grad_weight(problem, plain[0], plain[2])
    )


def resident():
    """Bytes of this process in memory, or 0 where the system does not say."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


@missing
def test_memory_is_used_again_and_none_is_lost():
    layer = cv.nn.LocalConv2d(4, 64, 3, input_size=34)
    image = torch.randn(8, 4, 34, 34)

    def step():
        layer.zero_grad()
        layer(image).sum().backward()

    for _ in range(3):
        step()
    gc.collect()
    before, held = cv.memory_stats(), resident()
    for _ in seeds(100, 10_000):
        step()
    gc.collect()
    after = cv.memory_stats()
    assert resident() - held < 32 * 2**20, "one gradient is 9 MiB; the system makes pages huge when it likes"
    assert after["taken"] > before["taken"] + 100
    assert after["fresh"] == before["fresh"], "a step asks the system for nothing"
    assert after["used"] == before["used"]


@missing
def test_blocks_live_as_long_as_a_view_of_them():
    tensor = memory.empty(LARGE, torch.float32)
    used = cv.memory_stats()["used"]
    view = tensor.fill_(3)[5, 4:7]
    del tensor
    assert cv.memory_stats()["used"] == used
    cv.empty_cache()
    memory.empty(LARGE, torch.float32).fill_(7)
    assert (view == 3).all()
    del view
    gc.collect()
    assert cv.memory_stats()["used"] < used


@missing
def test_the_limit_on_what_is_kept():
    program = """
import gc, torch, convarium as cv
from convarium._native import memory
for _ in range(5):
    memory.empty((1000, 1000), torch.float64)
gc.collect()
stats = cv.memory_stats()
print(stats["limit"], stats["cached"], stats["fresh"])
"""
    assert python(program, CONVARIUM_MEMORY_LIMIT="1").stdout.split() == ["1", "0", "5"]
    assert python(program, CONVARIUM_MEMORY_LIMIT="0").stdout.split() == ["0", "0", "0"]  # torch's own memory
    limit, cached, fresh = python(program, CONVARIUM_MEMORY_LIMIT=str(2**26)).stdout.split()
    assert (limit, fresh) == (str(2**26), "1")
    assert int(cached) >= 8_000_000
    for wrong in ("much", "-1", "1e9", " 5", "\u0661\u0662", str(2**63), "9" * 5000):
        assert (
            "CONVARIUM_MEMORY_LIMIT must be a number of bytes" in python(program, CONVARIUM_MEMORY_LIMIT=wrong).stderr
        )


@missing
@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
@pytest.mark.parametrize("gibibytes", [6, 40])
def test_the_limit_on_what_is_kept_is_a_share_of_what_there_may_be(gibibytes):
    """Where a process may have little, a cache of an eighth of a large machine would be the end of it."""
    program = f"""
import resource
resource.setrlimit(resource.RLIMIT_AS, ({gibibytes << 30}, resource.RLIM_INFINITY))
import convarium as cv
from convarium._native.allowed import allowed
print(cv.memory_stats()["limit"], allowed())
"""
    limit, allowed = map(int, python(program, CONVARIUM_MEMORY_LIMIT="").stdout.split())
    assert allowed <= gibibytes << 30
    assert limit == max(2**30, allowed // 8)


@missing
def test_what_was_not_used_for_long_makes_room():
    """Blocks of sizes that are gone must not keep a new one from being used again."""
    program = """
import gc, torch, convarium as cv
from convarium._native import memory
for size in (2_000_000, 3_000_000, 4_000_000, 6_000_000, 7_000_000):
    memory.empty((size,), torch.float64)
before = cv.memory_stats()["fresh"]
for _ in range(5):
    memory.empty((8_000_000,), torch.float64)
stats = cv.memory_stats()
print(stats["fresh"] - before, stats["cached"] <= stats["limit"])
"""
    assert python(program, CONVARIUM_MEMORY_LIMIT="100000000").stdout.split() == ["1", "True"]


@missing
def test_threads_of_the_user_may_call_at_once():
    problem = cv.plan2d((8, 4, 12, 12), (8, 10, 10, 4, 3, 3)).problem
    operands = [(torch.randn(8, 4, 12, 12), torch.randn(8, 10, 10, 4, 3, 3)) for _ in range(4)]
    expected = [native.forward(problem, *pair) for pair in operands]
    right = []

    def work(number):
        right.extend(torch.equal(native.forward(problem, *operands[number]), expected[number]) for _ in range(50))

    users = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert len(right) == 200
    assert all(right)


@missing
@pytest.mark.skipif(threads.TEAM is None, reason="torch's threads are not of a GNU OpenMP here")
def test_the_core_runs_on_the_threads_that_torch_has():
    """Two teams would wait actively for each other's cores."""
    program = """
import os, torch, convarium as cv
torch.set_num_threads(3)
large = torch.randn(1_000_000)
(large + large).sum()  # torch's workers begin
count = lambda: len(os.listdir("/proc/self/task"))
before = count()
x, w = torch.randn(8, 4, 34, 34), torch.randn(8, 32, 32, 4, 3, 3)
cv.conv2d(x, w, engine="native")
print(before >= 3, count() - before)
"""
    assert python(program).stdout.split() == ["True", "0"]


def _in_child(problem, input, weight, queue):
    """No large function of torch: its OpenMP does not outlive a fork."""
    output = native.forward(problem, input, weight)
    queue.put((torch.get_num_threads(), float(output[7, 63, 31, 31]), float(weight[0, 0, 0, 0, 0, 0])))


@missing
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork.. was called:RuntimeWarning")  # jax's, where a test has imported it before
def test_a_forked_child_computes_and_frees():
    torch_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        input, weight = torch.ones(8, 4, 34, 34), memory.empty(LARGE, torch.float32).fill_(1)
        problem = cv.plan2d(input.shape, weight.shape).problem
        native.forward(problem, input, weight)  # workers wait
        context = multiprocessing.get_context("fork")
        queue = context.SimpleQueue()
        child = context.Process(target=_in_child, args=(problem, input, weight, queue))
        child.start()
        child.join(60)
        assert child.exitcode == 0
        assert queue.get() == (2, 36.0, 1.0)
    finally:
        torch.set_num_threads(torch_threads)


HIDDEN = """
from convarium._native import library
library._find = lambda: None
"""


def test_without_a_core_the_rest_works():
    program = """
import warnings
warnings.simplefilter("error")
import torch, convarium as cv
assert cv.engines()["native"].startswith("not available: "), cv.engines()
assert cv.memory_stats() == {}
cv.empty_cache()
layer = cv.nn.LocalConv2d(3, 4, 3, input_size=8)
layer(torch.randn(2, 3, 8, 8)).sum().backward()
print(cv.plan2d((2, 3, 8, 8), layer.weight.shape).engines["forward"])
try:
    cv.conv2d(torch.randn(2, 3, 8, 8), layer.weight, engine="native")
except ValueError as error:
    print(error)
"""
    for hidden, setting in ((HIDDEN, ""), ("", "none")):
        engine, refusal = python(hidden + program, CONVARIUM_ISA=setting).stdout.splitlines()
        assert engine in ("matmul", "aten")
        assert refusal.startswith("conv2d: engine='native' cannot do this: ")


@pytest.mark.parametrize(
    ("hidden", "setting", "warned"), [(True, "", 1), (True, "none", 0), pytest.param(False, "", 0, marks=missing)]
)
def test_who_has_no_core_unawares_is_told_once_where_it_matters(hidden, setting, warned):
    program = """
import warnings, torch, convarium as cv
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    cv.plan2d((32, 64, 30, 30), (64, 64, 3, 3))  # torch's own convolution is as fast
    cv.plan1d((2, 3, 8), (4, 7, 3, 2))  # small
    cv.plan1d((1, 1, 40000), (1, 1, 16001), padding=8000)  # transforms are quicker than any sum
    assert not told, str(told[0].message)
    cv.plan2d((32, 64, 30, 30), (64, 28, 28, 64, 3, 3))
    cv.plan2d((16, 64, 30, 30), (64, 28, 28, 64, 3, 3))
print(len(told), *(f"{warning.category.__name__}: {warning.message}" for warning in told))
"""
    done = python((HIDDEN if hidden else "") + program, CONVARIUM_ISA=setting)
    count, *told = done.stdout.split(maxsplit=1)
    assert int(count) == warned, done.stderr
    if warned:
        assert told[0].startswith("RuntimeWarning: convarium runs without its C++ core")
        assert "convarium.engines()" in told[0]


@missing
@pytest.mark.parametrize("asked", ["abacus", "AVX2", " avx2", *(name for name, available in ISAS if not available)])
def test_an_instruction_set_that_this_machine_has_not_is_refused_at_first_use(asked):
    there = ", ".join(name for name, available in ISAS if available)
    for use in ("cv.engines()", "cv.memory_stats()", "cv.plan1d((1, 1, 8), (1, 1, 3))"):
        done = python(f"import convarium as cv\n{use}", CONVARIUM_ISA=asked)
        assert done.returncode == 1
        assert f"CONVARIUM_ISA must be one of {there}, none on this machine, got {asked!r}" in done.stderr
