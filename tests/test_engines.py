"""Every engine agrees with the definition on random members of the family, in all three maps and every dtype."""

import math

import pytest
import torch

import convarium as cv
from convarium._engines import ENGINES, Engine, aten, definition, matmul
from convarium._spec.problem import MAPS, Problem, result_shape
from family import Case, random_case, seeds

CHUNK = 20  # cases a test
SPREADING = ("spectral", "dense")  # past the receptive field too, and say so
ROUNDING = {
    torch.bfloat16: 2**-8, torch.float16: 2**-11, torch.float32: 2**-23, torch.float64: 2**-52,
    torch.complex64: 2**-22, torch.complex128: 2**-51,
}  # fmt: skip


def operands(case: Case, dtype=None):
    input, weight, output = case.tensors(dtype)
    return {"forward": (input, weight), "grad_input": (output, weight), "grad_weight": (input, output)}


def can(engine: str, problem: Problem) -> bool:
    return all(ENGINES[engine].supports(map, problem) is None for map in MAPS)


def check(engine: str, case: Case) -> None:
    """The engine's three maps against the definition in float64, to the rounding of the case's dtype."""
    problem = case.problem()
    wide = torch.complex128 if case.dtype.is_complex else torch.float64
    exact = operands(case, wide)
    for map, (a, b) in operands(case).items():
        got = getattr(ENGINES[engine], map)(problem, a, b)
        oracle = getattr(definition, map)
        expected = oracle(case.problem(wide), *exact[map])
        real = case.problem(torch.float64)
        most = oracle(real, *(t.abs().double() for t in exact[map]))  # the sum of the products' sizes
        assert got.shape == result_shape(map, problem), f"{engine} {map} {case}"
        assert got.dtype == case.dtype, f"{engine} {map} {case}"
        if engine in SPREADING and most.numel():
            most = torch.maximum(most.max(), a.abs().max().double() * b.abs().max().double())
        depth = math.prod(problem.kernel_size) * problem.wiring.in_channels * math.prod(problem.output_size)
        of = torch.finfo(case.dtype)
        allowed = ROUNDING[case.dtype] * (2 + math.sqrt(depth)) * most + of.smallest_normal * of.eps  # the least number
        error = (got.to(wide) - expected).abs()
        assert bool((error <= allowed).all()), (
            f"{engine} {map} {case}: off by {(error / allowed).max():.3g} of what is allowed"
        )


@pytest.mark.parametrize("engine", [name for name in ENGINES if name != "definition"])
@pytest.mark.parametrize("chunk", seeds(20, 100))
def test_engine_agrees_with_the_definition(engine, chunk):
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        case = random_case(seed, least_batch=1)
        if can(engine, case.problem()):
            check(engine, case)


def test_the_check_sees_a_broken_engine(monkeypatch):
    def broken(problem, input, weight):
        output = definition.forward(problem, input, weight)
        output.flatten()[-1] *= 1.001
        return output

    monkeypatch.setattr(matmul, "forward", broken)
    case = next(case for case in map(random_case, range(1, 100)) if case.dtype == torch.float32)
    with pytest.raises(AssertionError, match="of what is allowed"):
        check("matmul", case)


@pytest.mark.parametrize("workspace", [1, 100, 1000])
def test_matmul_agrees_however_small_its_pieces(monkeypatch, workspace):
    monkeypatch.setattr(matmul, "WORKSPACE", workspace)
    matmul._pieces.cache_clear()
    for seed in seeds(60, 300):
        case = random_case(seed, torch.float64, least_batch=1)
        check("matmul", case)
    matmul._pieces.cache_clear()


@pytest.mark.parametrize("workspace", [1, 300])
def test_aten_agrees_however_small_its_parts(monkeypatch, workspace):
    monkeypatch.setattr(aten, "WORKSPACE", workspace)
    aten._calls.cache_clear()
    cut = 0
    for seed in seeds(200, 1000):
        case = random_case(seed, least_batch=1)
        if can("aten", case.problem()):
            check("aten", case)
            cut += len(aten._calls(case.problem())) > math.prod(case.problem().tile)
    assert cut > 20
    aten._calls.cache_clear()


@pytest.mark.parametrize("engine", ENGINES)
def test_same_call_same_bits(engine):
    for seed in seeds(40, 200):
        case = random_case(seed, least_batch=1)
        problem = case.problem()
        if not can(engine, problem):
            continue
        for map, (a, b) in operands(case).items():
            first, second = (getattr(ENGINES[engine], map)(problem, a, b) for _ in range(2))
            assert torch.equal(first, second), f"{engine} {map} {case}"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nan_reaches_its_receptive_field_and_nothing_else(engine, value):
    """In any operand; torch's own convolution promises it of an input only, where there is padding."""
    for seed in seeds(60, 300):
        case = random_case(seed, torch.float64, least_batch=1)
        problem = case.problem()
        if not can(engine, problem):
            continue
        for map, pair in operands(case).items():
            promised = ENGINES[engine].caveat(map, problem) is None
            for which in (0, 1):
                if (
                    not promised
                    and engine not in SPREADING
                    and (map, which) not in (("forward", 0), ("grad_weight", 0))
                ):
                    continue
                marked, plain = [t.clone() for t in pair], [torch.ones_like(t) for t in pair]
                place = seed % marked[which].numel()
                marked[which].view(-1)[place] = value
                plain[which].zero_().view(-1)[place] = 1
                reached = getattr(definition, map)(problem, *plain) != 0
                got = getattr(ENGINES[engine], map)(problem, *marked)
                lost = ~got.isfinite()
                same = bool(lost[reached].all()) if engine in SPREADING else torch.equal(lost, reached)
                assert same, f"{engine} {map} operand {which} {case}"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    ("size", "kernel", "options"),
    [
        (5, 3, {"stride": 3}),
        (2, 3, {"padding": 1}),
        (1, 1, {"stride": 2, "dilation": 2, "padding": 1}),
    ],
)
def test_torchs_16_bits_are_not_asked_for_what_they_cannot(size, kernel, options, dtype):
    """On CPUs with units for them they read memory that nobody wrote there, or crash (pytorch #169688)."""
    x, weight = torch.randn(2, 3, size, size, dtype=dtype), torch.randn(4, 3, kernel, kernel, dtype=dtype)
    with pytest.raises(ValueError, match="engine='aten' cannot do this: torch's 16-bit convolutions of so few places"):
        cv.conv2d(x, weight, engine="aten", **options)
    assert "aten" not in cv.plan2d(x.shape, weight.shape, dtype=dtype, **options).engines.values()
    exact = cv.conv2d(x.double(), weight.double(), **options)
    assert torch.allclose(cv.conv2d(x, weight, **options).double(), exact, rtol=0.02, atol=0.1)
    assert cv.conv2d(x[:, :, :1, :1], weight[:, :, :1, :1], engine="aten").shape == (2, 4, 1, 1)


def test_dense_lets_a_nan_through_its_zeros_and_is_never_chosen():
    graph = cv.ChannelGraph.from_mask(~torch.eye(4, dtype=torch.bool))
    x, weight = torch.randn(1, 4, 5, 5), torch.randn(graph.n_edges, 3, 3)
    x[0, 0] = math.nan
    assert cv.conv2d(x, weight, channels=graph)[0, 0].isfinite().all()
    assert cv.conv2d(x, weight, channels=graph, engine="dense")[0, 0].isnan().all()
    plan = cv.plan2d(x.shape, weight.shape, channels=graph, engine="dense")
    assert "a NaN or infinity also meets zeros where the graph has no edge" in str(plan)
    assert "dense      never chosen: a NaN passes zeros" in str(cv.plan2d(x.shape, weight.shape, channels=graph))


def test_maps_are_adjoint():
    """<forward(v, w), z> = <v, grad_input(z, w)> = <w, grad_weight(v, z)>: the three share one list of products."""
    for seed in seeds(200, 2000):
        case = random_case(seed, torch.float64, least_batch=1)
        problem = case.problem()
        input, weight, output = case.tensors()
        for engine in (matmul, definition):
            sums = [
                (engine.forward(problem, input, weight) * output).sum(),
                (engine.grad_input(problem, output, weight) * input).sum(),
                (engine.grad_weight(problem, input, output) * weight).sum(),
            ]
            torch.testing.assert_close(sums[0], sums[1], msg=f"{case}")
            torch.testing.assert_close(sums[0], sums[2], msg=f"{case}")


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_offers_all_that_the_planner_asks(engine):
    offered = {name for name in vars(Engine) if not name.startswith("_")} | set(Engine.__annotations__)
    assert {"SUMMARY", "supports", "work", *MAPS} <= offered
    assert all(hasattr(ENGINES[engine], name) for name in offered)
