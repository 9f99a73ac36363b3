"""Every transformation of PyTorch goes through the operators, and gives what it gives on the formula in plain torch operations.

One table of cases, one table of transformations; a new case or transformation joins by being listed.
"""

import math
from functools import partial

import pytest
import torch
import torch.autograd.forward_ad as forward_ad
import torch.utils._pytree as pytree
from torch import func

import convarium as cv
from convarium._engines import ENGINES
from convarium._maps.registration import _operators
from convarium._spec.problem import MAPS, problem_of
from family import random_case, reference, seeds

GRAPH = cv.ChannelGraph.from_edges(3, 4, [(0, 0), (1, 0), (2, 0), (1, 1), (0, 2), (2, 2), (2, 3)])

# name: (input, weight with its tile, output size), what the operators take besides
CASES = {
    "shared": ((2, 2, 6), (3, 1, 2, 3), (4,), {}),
    "tiled": ((2, 2, 4, 5), (3, 2, 2, 2, 2, 2), (3, 4), {}),
    "local strided": ((1, 2, 5, 4), (2, 2, 2, 2, 3, 2), (2, 2), {"stride": (2, 2)}),
    "groups dilated padded": ((2, 4, 6), (6, 2, 2, 2), (6,), {"dilation": (2,), "padding": (1,), "channels": "2"}),
    "graph flipped": ((2, 3, 4), (7, 1, 2), (3,), {"channels": "3x4:" + GRAPH.text, "flip": True}),
    "graph local": ((1, 3, 3, 3), (7, 2, 2, 2, 2), (2, 2), {"channels": "3x4:" + GRAPH.text}),
    "volume": ((1, 1, 3, 3, 2), (2, 1, 1, 1, 1, 2, 2, 2), (2, 2, 1), {}),
    "complex": ((2, 2, 4), (2, 3, 2, 2), (3,), {}),
}


class Setting:
    """A case: its operator, the same function in plain torch, and numbers to put in."""

    def __init__(self, name, engine="auto"):
        self.name = name
        input, weight, self.sizes, options = CASES[name]
        n = len(self.sizes)
        tile = weight[1 : 1 + n]
        default = {"stride": (1,) * n, "padding": (0,) * n, "dilation": (1,) * n}
        self.options = default | {"tile": tile, "channels": "1", "flip": False} | options
        order = ("stride", "padding", "dilation", "tile", "channels", "flip")
        self.settings = (*(self.options[key] for key in order), engine)
        self.dtype = torch.complex128 if name == "complex" else torch.float64
        self.problem = problem_of("forward", input, weight, self.sizes, *self.settings[:-1], self.dtype, "cpu")
        self.input, self.weight = self.random(input), self.random(weight)
        self.output = self.random(self.problem.output_shape)

    def random(self, shape):
        return torch.randn(shape, dtype=self.dtype)

    def ours(self, input, weight):
        return torch.ops.convarium.forward(input, weight, self.sizes, *self.settings)

    def plain(self, input, weight):
        batch = input.shape[0] if isinstance(input.shape[0], int) else self.problem.batch
        shapes = ((batch, *self.problem.input_shape[1:]), self.problem.weight_shape)
        return reference(
            problem_of("forward", *shapes, self.sizes, *self.settings[:-1], self.dtype, "cpu"), input, weight
        )

    def map(self, name):
        """One of the three maps as a function of its two operands, and these."""
        operands = {
            "forward": (self.input, self.weight, self.sizes),
            "grad_input": (self.output, self.weight, self.problem.input_size),
            "grad_weight": (self.input, self.output, self.problem.kernel_size),
        }
        a, b, sizes = operands[name]
        return (lambda a, b: _operators[name](a, b, sizes, *self.settings)), (a, b), sizes


def loss(f):
    """Not linear in anything, and real."""
    return lambda *operands: (f(*operands).sin() * f(*operands)).abs().pow(2).sum()


def one_of_each(f, s):
    tangents = (s.random(s.input.shape), s.random(s.weight.shape))
    return f, (s.input, s.weight), tangents


def stack(s, tensor, times=3):
    return torch.stack([s.random(tensor.shape) for _ in range(times)])


def dual(f, s):
    f, primals, tangents = one_of_each(f, s)
    with forward_ad.dual_level():
        return tuple(forward_ad.unpack_dual(f(*map(forward_ad.make_dual, primals, tangents))))


def forward_over_reverse(f, s):
    f, primals, tangents = one_of_each(f, s)
    leaf = primals[0].clone().requires_grad_()
    with forward_ad.dual_level():
        result = f(forward_ad.make_dual(leaf, tangents[0]), forward_ad.make_dual(primals[1], tangents[1]))
        (gradient,) = torch.autograd.grad(result.abs().pow(2).sum(), leaf, create_graph=True)
        return forward_ad.unpack_dual(gradient).tangent


def jvp(f, s):
    f, primals, tangents = one_of_each(f, s)
    return func.jvp(f, primals, tangents)


TRANSFORMATIONS = {
    "value": lambda f, s: f(s.input, s.weight),
    "grad": lambda f, s: func.grad(loss(f), (0, 1))(s.input, s.weight),
    "vjp": lambda f, s: func.vjp(f, s.input, s.weight)[1](s.output),
    "jvp": jvp,
    "jvp by the weight": lambda f, s: func.jvp(lambda w: f(s.input, w), (s.weight,), (s.weight * 2,)),
    "forward mode": dual,
    "forward over reverse mode": forward_over_reverse,
    "jacrev": lambda f, s: func.jacrev(f, (0, 1))(s.input, s.weight),
    "jacfwd": lambda f, s: func.jacfwd(f, (0, 1))(s.input, s.weight),
    "hessian": lambda f, s: func.hessian(loss(f), (0, 1))(s.input, s.weight),
    "jacfwd of jacfwd": lambda f, s: func.jacfwd(func.jacfwd(loss(f), 0), 1)(s.input, s.weight),
    "jacrev of jacfwd": lambda f, s: func.jacrev(func.jacfwd(loss(f), 1), 0)(s.input, s.weight),
    "grad of grad of grad": lambda f, s: func.grad(
        lambda w: func.grad(lambda v: func.grad(loss(f), 1)(v, w).abs().pow(2).sum())(s.input).abs().pow(2).sum()
    )(s.weight),
    "vmap over input": lambda f, s: func.vmap(f, (0, None))(stack(s, s.input), s.weight),
    "vmap over weight": lambda f, s: func.vmap(f, (None, 0))(s.input, stack(s, s.weight)),
    "vmap over both, last axis": lambda f, s: func.vmap(f, (-1, 0), out_dims=1)(
        stack(s, s.input).movedim(0, -1), stack(s, s.weight)
    ),
    "vmap of vmap": lambda f, s: func.vmap(func.vmap(f, (None, 0)), (0, None))(stack(s, s.input), stack(s, s.weight)),
    "per-sample gradients": lambda f, s: func.vmap(func.grad(loss(f), 1), (0, None))(stack(s, s.input), s.weight),
    "ensemble gradients": lambda f, s: func.vmap(func.grad(loss(f), (0, 1)), (None, 0))(s.input, stack(s, s.weight)),
    "linearize": lambda f, s: func.linearize(f, s.input, s.weight)[1](s.input * 2, s.weight * 3),
}
HOLOMORPHIC = {"jacrev", "jacfwd", "hessian", "jacfwd of jacfwd", "jacrev of jacfwd"}  # of complex: torch refuses


def same(got, expected, message):
    got, expected = pytree.tree_leaves(got), pytree.tree_leaves(expected)
    assert len(got) == len(expected), message
    for ours, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(ours, theirs, msg=lambda text: f"{message}: {text}")


@pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr Node")  # linearize, about its own graph
@pytest.mark.parametrize("transformation", TRANSFORMATIONS)
@pytest.mark.parametrize("name", CASES)
def test_transformation(name, transformation):
    if name == "complex" and transformation in HOLOMORPHIC:
        with pytest.raises((RuntimeError, ValueError)):
            TRANSFORMATIONS[transformation](Setting(name).plain, Setting(name))
        return
    transform = TRANSFORMATIONS[transformation]
    results = []
    for which in ("ours", "plain"):
        torch.manual_seed(1)
        setting = Setting(name)
        results.append(transform(getattr(setting, which), setting))
    same(*results, f"{transformation} of {name}")


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("map", MAPS)
def test_gradients_of_first_and_second_order_against_finite_differences(map, name):
    f, operands, _ = Setting(name).map(map)
    operands = tuple(t.requires_grad_() for t in operands)
    real = name != "complex"
    assert torch.autograd.gradcheck(
        f, operands, check_forward_ad=True, check_batched_grad=real, check_batched_forward_grad=real, fast_mode=not real
    )
    assert torch.autograd.gradgradcheck(f, operands, check_fwd_over_rev=True, check_rev_over_rev=True, fast_mode=True)


@pytest.mark.parametrize("engine", cv.engines())
def test_gradients_on_a_sample_of_the_family(engine):
    done = 0
    for seed in seeds(40, 400):
        case = random_case(seed, torch.float64, dimensions=(1, 2), least_batch=1)
        if case.problem().multiply_adds > 2000 or case.problem().parameters > 100:
            continue
        try:
            cv.planning.plan(case.problem(), engine)
        except ValueError:
            continue
        input, weight = case.random(case.input_shape).requires_grad_(), case.random(case.weight_shape).requires_grad_()
        call = lambda v, w, case=case: case.conv(v, w, engine=engine)  # noqa: E731
        assert torch.autograd.gradcheck(call, (input, weight), check_forward_ad=True, fast_mode=True), case
        assert torch.autograd.gradgradcheck(call, (input, weight), fast_mode=True), case
        done += 1
    assert done >= 5


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("map", MAPS)
def test_opcheck(map, name):
    setting = Setting(name)
    _, operands, sizes = setting.map(map)
    operands = tuple(t.requires_grad_() for t in operands)
    torch.library.opcheck(_operators[map], (*operands, sizes, *setting.settings))


def compiled(f):
    torch.compiler.reset()
    return torch.compile(f, fullgraph=True, backend="aot_eager")


COMPILED = {
    "value": lambda f, s: compiled(f)(s.input, s.weight),
    "gradients": lambda f, s: backward(compiled(loss(f)), s),
    "grad": lambda f, s: compiled(func.grad(loss(f), (0, 1)))(s.input, s.weight),
    "jvp": lambda f, s: compiled(lambda v, w: func.jvp(f, (v, w), (v * 2, w * 3)))(s.input, s.weight),
    "jacfwd": lambda f, s: compiled(func.jacfwd(f, (0, 1)))(s.input, s.weight),
    "per-sample gradients": lambda f, s: compiled(func.vmap(func.grad(loss(f), 1), (0, None)))(
        stack(s, s.input), s.weight
    ),
}


def backward(f, s):
    leaves = [s.input.clone().requires_grad_(), s.weight.clone().requires_grad_()]
    return torch.autograd.grad(f(*leaves), leaves)


@pytest.mark.filterwarnings("ignore")  # of torch's compiler about itself
@pytest.mark.parametrize("transformation", COMPILED)
@pytest.mark.parametrize("name", ["shared", "tiled", "graph flipped"])
def test_compiled(name, transformation):
    results = []
    for which in ("ours", "plain"):
        torch.manual_seed(1)
        setting = Setting(name)
        f = getattr(setting, which)
        results.append(COMPILED[transformation](f, setting) if which == "ours" else eager(transformation, f, setting))
    same(*results, f"compiled {transformation} of {name}")


def eager(transformation, f, setting):
    global compiled
    kept, compiled = compiled, lambda f: f
    try:
        return COMPILED[transformation](f, setting)
    finally:
        compiled = kept


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["shared", "tiled", "local", "graph", "transposed", "circular"])
def test_layers_compile_whole_and_export_with_a_dynamic_batch(kind):
    layer = {
        "shared": lambda: cv.nn.Conv2d(3, 4, 3, padding="same", stride=2),
        "tiled": lambda: cv.nn.TiledConv2d(3, 4, 3, tile=2, bias="untied", padding=((1, 0), (0, 1))),
        "local": lambda: cv.nn.LocalConv2d(3, 4, 3, input_size=7, bias="untied"),
        "graph": lambda: cv.nn.ChannelConv2d(GRAPH, 3, dilation=2),
        "transposed": lambda: cv.nn.LocalConvTranspose2d(3, 4, 3, stride=2, input_size=7),
        "circular": lambda: cv.nn.Conv2d(3, 4, 3, padding=2, padding_mode="circular", flip=True),
    }[kind]()
    input = torch.randn(3, 3, 7, 7, requires_grad=True)
    torch.compiler.reset()
    fast = torch.compile(layer, fullgraph=True, backend="aot_eager")
    for batch in (3, 2, 5):  # a second size makes the batch dynamic, a third must not compile again
        part = torch.randn(batch, 3, 7, 7, requires_grad=True)
        if batch == 5:
            with torch.compiler.set_stance("fail_on_recompile"):
                got = fast(part)
        else:
            got = fast(part)
        torch.testing.assert_close(got, layer(part))
        ours, theirs = (torch.autograd.grad(out.sin().sum(), [part, *layer.parameters()]) for out in (got, layer(part)))
        same(ours, theirs, f"gradients of compiled {kind}")
    program = torch.export.export(layer, (input,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    other = torch.randn(5, 3, 7, 7)
    torch.testing.assert_close(program.module()(other), layer(other))


@pytest.mark.parametrize("kind", ["conv2d", "local", "conv_transpose2d"])
def test_autocast_as_conv2d(kind):
    input, weight, bias = torch.randn(2, 3, 6, 6), torch.randn(3, 3, 3, 3), torch.randn(3)
    if kind == "local":
        weight = torch.randn(3, 4, 4, 3, 3, 3)
    call = getattr(cv, kind if kind != "local" else "conv2d")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = call(input.requires_grad_(), weight, bias)
        with torch.autocast("cpu", enabled=False):
            assert call(input, weight, bias).dtype == torch.float32
        assert call(input.double(), weight.double(), bias.double()).dtype == torch.float64
    expected = call(input.bfloat16(), weight.bfloat16(), bias.bfloat16())
    assert got.dtype == torch.bfloat16
    torch.testing.assert_close(got, expected, rtol=0.02, atol=0.02)
    got.float().sum().backward()
    assert input.grad.dtype == torch.float32


def test_tensors_without_data_take_part():
    for seed in seeds(60, 300):
        case = random_case(seed)
        input, weight = case.random(case.input_shape), case.random(case.weight_shape)
        empty = case.conv(input.to("meta"), weight.to("meta"))
        full = case.conv(input, weight)
        assert (empty.shape, empty.dtype, empty.stride()) == (full.shape, full.dtype, full.stride()), case


def test_tensors_without_data_run_no_engine(monkeypatch):
    monkeypatch.setattr("convarium._maps.registration.run", None)
    input, weight = torch.empty(2, 2, 6, device="meta"), torch.empty(3, 4, 2, 3, device="meta", requires_grad=True)
    output = cv.conv1d(input, weight)
    assert output.shape == (2, 3, 4)
    output.sum().backward()
    assert weight.grad.shape == weight.shape


@pytest.mark.parametrize("engine", cv.engines())
@pytest.mark.parametrize("conv", [cv.conv1d, cv.conv_transpose1d])
def test_results_can_be_written_to(conv, engine):
    """As those of conv1d: they are no views, of which autograd would refuse it."""
    input, weight = torch.randn(2, 3, 6), torch.randn(3, 3, 3, requires_grad=True)
    (expected,) = torch.autograd.grad(conv(input, weight.flip(2)).relu().sum(), weight)
    output = conv(input, weight, flip=True, engine=engine)
    (found,) = torch.autograd.grad(output.relu_().sum(), weight)
    torch.testing.assert_close(found, expected)


def test_strided_inputs_and_empty_batches():
    for seed in seeds(100, 1000):
        case = random_case(seed, torch.float64)
        input, weight = case.random(case.input_shape), case.random(case.weight_shape)
        expected = case.conv(input, weight)
        assert expected.shape == (*case.input_shape[:1], case.call.out_channels, *case.call.output_size), case
        wide = torch.randn(*input.shape[:-1], 2 * input.shape[-1], dtype=input.dtype)
        wide[..., ::2] = input
        turned = weight.permute(*reversed(range(weight.ndim))).contiguous().permute(*reversed(range(weight.ndim)))
        torch.testing.assert_close(case.conv(wide[..., ::2], turned), expected, msg=str(case))
        if case.n in (2, 3):
            last = {2: torch.channels_last, 3: torch.channels_last_3d}[case.n]
            torch.testing.assert_close(case.conv(input.to(memory_format=last), weight), expected, msg=str(case))
        if input.shape[0]:
            torch.testing.assert_close(case.conv(input[0], weight), expected[0], msg=str(case))


def test_a_weight_that_no_sample_touched_has_a_zero_gradient():
    weight = torch.randn(2, 4, 4, 3, 3, 3, requires_grad=True)
    cv.conv2d(torch.randn(0, 3, 6, 6), weight).sum().backward()
    assert torch.equal(weight.grad, torch.zeros_like(weight))


def test_complex_gradients_are_conjugate_as_torchs():
    input = torch.randn(2, 3, 5, 5, dtype=torch.complex128, requires_grad=True)
    weight = torch.randn(4, 3, 3, 3, dtype=torch.complex128, requires_grad=True)
    results = []
    for convolve in (torch.nn.functional.conv2d, cv.conv2d, lambda v, w: cv.conv2d(v, w, engine="matmul")):
        output = convolve(input, weight)
        results.append((output, *torch.autograd.grad((output * output.conj()).real.sin().sum(), (input, weight))))
    same(results[1], results[0], "conv2d")
    same(results[2], results[0], "matmul")


def test_engines_keep_their_float32_in_a_half_precision_sum():
    """4,096 ones and a thousand small numbers: a bfloat16 sum would lose them."""
    input = torch.cat([torch.ones(1, 2048, 1), torch.full((1, 2048, 1), 2**-9)], dim=1).bfloat16()
    weight = torch.ones(1, 1, 4096, 1, dtype=torch.bfloat16)
    exact = 2048 + 2048 * 2**-9
    problem = cv.plan1d(input.shape, weight.shape, dtype=input.dtype).problem
    able = [name for name, engine in ENGINES.items() if engine.supports("forward", problem) is None]
    assert {"definition", "matmul", "aten"} <= set(able)
    for engine in able:
        got = cv.conv1d(input, weight, engine=engine).item()
        assert math.isclose(got, exact, rel_tol=2**-8), engine


class Number:
    """A whole number that changes its mind."""

    def __init__(self, value):
        self.value = value

    def __index__(self):
        return self.value


@pytest.mark.parametrize("stride", [torch.tensor(1), Number(1), (torch.tensor(1), 1), (1, Number(1))])
def test_no_answer_is_remembered_of_what_can_change(stride):
    input, weight = torch.randn(1, 1, 9, 9), torch.randn(1, 1, 3, 3)
    assert cv.conv2d(input, weight, stride=stride).shape == (1, 1, 7, 7)
    for number in stride if isinstance(stride, tuple) else (stride,):
        if isinstance(number, torch.Tensor):
            number.fill_(2)
        elif isinstance(number, Number):
            number.value = 2
    rows, columns = (int(n.__index__()) for n in (stride if isinstance(stride, tuple) else (stride, stride)))
    assert cv.conv2d(input, weight, stride=stride).shape == (
        1,
        1,
        8 // rows - (rows == 1),
        8 // columns - (columns == 1),
    )


@pytest.mark.filterwarnings("ignore")
def test_symbolic_sizes_outside_the_compiler():
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.proxy_tensor import make_fx
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    input, weight = torch.randn(2, 3, 9, 9), torch.randn(4, 3, 3, 3)
    for call, kernel in ((cv.conv2d, weight), (cv.conv_transpose2d, torch.randn(3, 4, 3, 3))):
        graph = make_fx(partial(call, stride=2), tracing_mode="symbolic")(input, kernel)
        other = torch.randn(5, 3, 7, 7)
        torch.testing.assert_close(graph(other, kernel), call(other, kernel, stride=2))
        mode = FakeTensorMode(shape_env=ShapeEnv())
        assert call(mode.from_tensor(input), mode.from_tensor(kernel)).shape == call(input, kernel).shape


@pytest.mark.parametrize("map", MAPS)
@pytest.mark.parametrize("name", CASES)
def test_flops_are_counted(map, name):
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.symbolic_shapes import ShapeEnv
    from torch.utils.flop_counter import FlopCounterMode

    setting = Setting(name)
    f, operands, _ = setting.map(map)
    for mode in (None, FakeTensorMode(), FakeTensorMode(shape_env=ShapeEnv())):
        with FlopCounterMode(display=False) as counter:
            f(*operands if mode is None else [mode.from_tensor(t) for t in operands])
        assert counter.get_total_flops() == setting.problem.flops > 0


def test_flops_of_a_training_step_are_those_of_three_maps():
    from torch.utils.flop_counter import FlopCounterMode

    layer = cv.nn.LocalConv2d(3, 4, 3, input_size=8)
    with FlopCounterMode(display=False) as counter:
        layer(torch.randn(2, 3, 8, 8, requires_grad=True)).sum().backward()
    assert counter.get_total_flops() == 3 * 2 * (2 * 3 * 4 * 36 * 9)


@pytest.mark.parametrize("map", MAPS)
def test_wrong_arguments_of_an_operator_fail_when_traced(map):
    setting = Setting("tiled")
    _, (a, b), sizes = setting.map(map)
    settings = list(setting.settings)
    settings[3] = (9, 9)  # the tile
    for device in ("cpu", "meta"):
        with pytest.raises(ValueError, match=r"tile|shape"):
            _operators[map](a.to(device), b.to(device), sizes, *settings)


@pytest.mark.filterwarnings("ignore:`torch.jit.trace` is deprecated")
def test_functions_refuse_torch_jit_trace():
    for call in (cv.conv2d, cv.conv_transpose2d):
        with pytest.raises(TypeError, match=rf"^{call.__name__}: torch.jit.trace .* torch.export"):
            torch.jit.trace(lambda v, call=call: call(v, torch.ones(1, 1, 2, 2)), torch.randn(1, 1, 4, 4))
    with pytest.raises(TypeError, match=r"^grad.conv2d_weight: torch.jit.trace"):
        torch.jit.trace(
            lambda v: cv.grad.conv2d_weight(v, (1, 1, 2, 2), torch.ones(1, 1, 3, 3)), torch.randn(1, 1, 4, 4)
        )


class Watcher(torch.utils._python_dispatch.TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        self.seen.append(str(operator))
        return operator(*args, **(kwargs or {}))


@pytest.mark.parametrize("learns", [False, True])
def test_who_looks_on_sees_the_operator(learns):
    """A call goes to its engine at once, unless that would hide it."""
    input, weight = torch.randn(2, 2, 6), torch.randn(3, 4, 2, 3, requires_grad=learns)

    def call():
        output = cv.conv1d(input, weight)
        return (output, *torch.autograd.grad(output.square().sum(), weight)) if learns else (output,)

    plain = call()
    with Watcher() as watcher:
        watched = call()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        profiled = call()
    for name in ("forward", "grad_weight")[: len(plain)]:
        assert f"convarium.{name}.default" in watcher.seen
        assert f"convarium::{name}" in {event.key for event in profile.key_averages()}
    for one, *others in zip(plain, watched, profiled, strict=True):
        assert all(torch.equal(one, other) for other in others)


@pytest.mark.parametrize("turn", [torch.conj, lambda weight: torch.conj(weight).imag], ids=["conjugated", "negated"])
def test_numbers_that_torch_turns_when_they_are_read(turn):
    weight = turn(torch.randn(3, 4, 2, 3, dtype=torch.complex128))
    assert weight.is_conj() or weight.is_neg()
    input, done = torch.randn(2, 2, 6, dtype=weight.dtype), weight.resolve_conj().resolve_neg()
    torch.testing.assert_close(cv.conv1d(input, weight), cv.conv1d(input, done))


@pytest.mark.parametrize("engine", ["auto", "native", "matmul"])
@pytest.mark.parametrize("which", [0, 1])
def test_zeros_that_autograd_has_not_written_down(engine, which):
    if engine == "native" and ENGINES[engine].missing():
        pytest.skip("there is no C++ core")
    pair = [torch.randn(2, 3, 6), torch.randn(4, 5, 3, 2)]
    pair[which] = torch._efficientzerotensor(pair[which].shape)
    assert torch.equal(cv.conv1d(*pair, engine=engine), torch.zeros(2, 4, 5))


@pytest.mark.parametrize("engine", ["auto", "native", "matmul"])
def test_a_gradient_of_zeros_that_autograd_has_not_written_down(engine):
    if engine == "native" and ENGINES[engine].missing():
        pytest.skip("there is no C++ core")
    pair = torch.randn(2, 3, 6, requires_grad=True), torch.randn(4, 5, 3, 2, requires_grad=True)
    output = cv.conv1d(*pair, engine=engine)
    for operand, found in zip(
        pair, torch.autograd.grad(output, pair, torch._efficientzerotensor(output.shape)), strict=True
    ):
        assert torch.equal(found, torch.zeros_like(operand))


@pytest.mark.parametrize("which", [0, 1])
def test_a_wrapper_that_functionalizes_is_looked_into(which):
    pair = [torch.randn(2, 3, 6), torch.randn(4, 5, 3, 2)]
    expected = cv.conv1d(*pair)
    pair[which] = torch._to_functional_tensor(pair[which])
    found = cv.conv1d(*pair)
    torch._sync(found)
    assert torch.equal(torch._from_functional_tensor(found), expected)


@pytest.mark.parametrize("which", [0, 1])
def test_storage_that_was_given_back_is_refused(which):
    """As FSDP does with the weights of layers that do not run."""
    pair = [torch.randn(2, 3, 6), torch.randn(4, 5, 3, 2)]
    pair[which].untyped_storage().resize_(0)
    with pytest.raises(ValueError, match=f"{('input', 'weight')[which]} must have its numbers"):
        cv.conv1d(*pair)
