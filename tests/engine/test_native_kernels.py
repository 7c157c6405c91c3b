"""Every native kernel in every instruction set of this CPU, against float64, in poisoned memory."""

import pytest
import torch

from hrnet_fast import kernels
from hrnet_fast.engine.cpu import conv_kernels
from hrnet_fast.engine.cpu.conv_kernels import DIRECT, Kernel
from hrnet_fast.engine.cpu.pack import pack
from hrnet_fast.numerics import relative_l2
from hrnet_fast.weights.random import fill_weights
from tests.engine.native_nets import EPILOGUES, EXTENSION, Net, Player, Sums, by_any_isa, by_kernel, check

pytestmark = pytest.mark.skipif(EXTENSION is None, reason=str(kernels.extension().reason))


@by_any_isa
@by_kernel
@pytest.mark.parametrize("c_out", [1, 3, 15, 16, 18, 30, 36, 44, 64, 97, 720])
def test_output_channels(isa, m, c_out):
    check(Net(7, c_out, epilogue="residual"), (torch.randn(2, 7, 5, 9),), isa, m)


@by_any_isa
@by_kernel
@pytest.mark.parametrize("c_in", [1, 3, 18, 30, 36, 44, 64, 720])
def test_input_channels(isa, m, c_in):
    check(Net(c_in, 18, epilogue="relu"), (torch.randn(1, c_in, 6, 11),), isa, m)


@by_any_isa
@by_kernel
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (2, 3), (4, 4), (5, 6), (13, 25)], ids=str)
@pytest.mark.parametrize("batch", [1, 2, 3, 4, 5])
def test_sizes_and_batches(isa, m, size, batch):
    check(Net(10, 33, epilogue="relu"), (torch.randn(batch, 10, *size),), isa, m)


@by_any_isa
@by_kernel
@pytest.mark.parametrize("group", [1, 7, 24, 1000])
def test_tiles_transformed_together(isa, m, group):
    check(Net(5, 20, epilogue="residual"), (torch.randn(2, 5, 19, 14),), isa, m, group)


@by_any_isa
@by_kernel
@pytest.mark.parametrize("epilogue", EPILOGUES)
def test_epilogues(isa, m, epilogue):
    check(Net(5, 18, epilogue=epilogue), (torch.randn(2, 5, 11, 14),), isa, m)


@by_any_isa
@pytest.mark.parametrize("m", [2, 3, 4])
@pytest.mark.parametrize(("c_in", "c_out"), [(3, 1), (8, 33), (18, 18), (30, 97), (64, 64)], ids=str)
def test_weights_that_are_transformed_as_they_are_used(isa, m, c_in, c_out, monkeypatch):
    monkeypatch.setattr(conv_kernels, "LARGE", 0)
    net = Net(c_in, c_out, epilogue="residual")
    check(net, (torch.randn(2, c_in, 11, 9),), isa, m, group=7)
    weight = net.conv.weight
    kernel = Kernel(m, 7)
    assert conv_kernels.plain(kernel, c_in, c_out)
    assert pack(weight, None, 16, kernel).weights.numel() == 9 * c_in * -(-c_out // 16) * 16


@by_any_isa
@pytest.mark.parametrize("epilogue", EPILOGUES)
@pytest.mark.parametrize("c_out", [36, 44])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (1, 2), (3, 2)], ids=["1x1", "1x1 stride 2", "3x3 stride 2"])
def test_other_convolutions(isa, kernel, stride, c_out, epilogue):
    check(Net(7, c_out, kernel, stride, epilogue), (torch.randn(2, 7, 13, 10),), isa)


@by_any_isa
@pytest.mark.parametrize("size", [(1, 1), (1, 6), (9, 1), (2, 2), (15, 8)], ids=str)
@pytest.mark.parametrize("batch", [1, 3, 5])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (1, 2), (3, 2)], ids=["1x1", "1x1 stride 2", "3x3 stride 2"])
def test_sizes_of_other_convolutions(isa, kernel, stride, size, batch):
    check(Net(3, 30, kernel, stride, "residual"), (torch.randn(batch, 3, *size),), isa)


@by_any_isa
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "aligned"])
@pytest.mark.parametrize("channels", [1, 3, 18, 30, 36, 44, 64, 720])
@pytest.mark.parametrize("concat", [False, True], ids=["sum", "concat"])
def test_sums(isa, mode, channels, concat):
    maps = tuple(torch.randn(2, channels, *size) for size in [(9, 13), (9, 13), (5, 7), (1, 1), (3, 4)])
    check(Sums(mode, concat), maps, isa)


@by_any_isa
@by_kernel
@pytest.mark.parametrize("value", [torch.nan, torch.inf], ids=str)
def test_what_is_not_finite_stays_near(isa, m, value):
    """A pixel that is not finite spoils the results that read it; by Winograd's, those of the tiles that read it; of
    an odd number of channels in bfloat16, also one more to the left, where the last word reads past its row."""
    in_words = isa.startswith("avx512-bf16")
    dtype = torch.bfloat16 if in_words else torch.float32
    net = fill_weights(Net(5, 18)).eval().to(dtype)
    x = torch.randn(2, 5, 14, 17, dtype=dtype)
    play = Player(net, (x,), isa, m)
    clean = play(x)
    y, x_ = 6, 9
    x[1, 3, y, x_] = value
    got = play(x)
    size = m or 1
    rows, columns = ([k for k in range(n) if abs(k // size * size + (size - 1) / 2 - at) <= (size + 1) / 2]
                     for n, at in ((14, y), (17, x_)))  # fmt: skip
    spoiled = torch.zeros(2, 14, 17, dtype=torch.bool)
    first = columns[0] - int(in_words and m == 0)
    spoiled[1, rows[0] : rows[-1] + 1, first : columns[-1] + 1] = True
    spoiled = spoiled[:, None].expand_as(got)
    assert torch.equal(got[~spoiled], clean[~spoiled])
    assert not got[1, :, y - 1 : y + 2, x_ - 1 : x_ + 2].isfinite().any()
    assert play(x.nan_to_num(0.0, 0.0)).isfinite().all()  # nothing of it is left behind


@by_any_isa
@by_kernel
def test_runs_are_the_same_to_the_bit_for_any_number_of_threads(isa, m):
    x = torch.randn(2, 20, 33, 29)
    play = Player(fill_weights(Net(20, 50, epilogue="two")), (x,), isa, m)
    results = []
    for count in (1, 1, 2, 3, 5):
        torch.set_num_threads(count)
        results.append(play(x))
    assert all(torch.equal(other, results[0]) for other in results[1:])


@by_any_isa
@pytest.mark.parametrize("c_in", [64, 256])
def test_winograds_long_sums_do_not_err_with_their_length(isa, c_in):
    """Of trained networks, whose coarse maps matter more than random ones' do, they made whole outputs err over twice
    as much as torch's."""
    if EXTENSION.cpu_isa_traits(isa).element_bytes != 4:
        pytest.skip("of bfloat16, rounded patches and weights err more than sums")

    def error(inputs: int) -> float:
        net, x = fill_weights(Net(inputs, 32)), torch.randn(2, inputs, 16, 12).relu()
        found = Player(net, (x,), isa, m=4)(x)
        with torch.no_grad():
            return relative_l2(found, net.double()(x.double()))

    assert error(c_in) <= 1.5 * error(16)


@pytest.mark.parametrize("lanes", [8, 16])
@pytest.mark.parametrize("kernel", [DIRECT, Kernel(4, 12)], ids=str)
def test_few_channels_left_take_a_part_of_the_last_vectors_weights(kernel, lanes):
    taps, inputs = (36, 12) if kernel.m else (3, 36)  # those of a direct convolution are rows of pixels
    for outputs, whole in ((2 * lanes + 2, 2), (2 * lanes + 4, 2), (2 * lanes + 5, 3)):
        last = 0 if whole == 3 else -(-inputs // (lanes // 4)) * lanes
        packed = pack(torch.randn(outputs, 12, 3, 3), None, lanes, kernel)
        assert packed.weights.numel() == taps * (whole * inputs * lanes + last)
    assert pack(torch.randn(18, 12, 1, 1), None, 16).weights.numel() == 12 * 32  # of one tap as of a linear layer
