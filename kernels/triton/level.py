"""One launch for a whole level: convolutions with their epilogues, and sums, of any shapes, side by side.

Implicit GEMM over bordered NHWC maps (kernels/bordered.py): the rows are output pixels, the columns output channels,
and K runs over the taps. The kw taps of a kernel row are kw * C neighbours in memory, and the border replaces every
bounds check, so an address is a base a pixel plus an offset that all pixels share.
"""

import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

# How a term reaches the size of the output, and where a ReLU stands: codes in a launch's constants.
SAME = tl.constexpr(0)
NEAREST = tl.constexpr(1)
BILINEAR = tl.constexpr(2)
BILINEAR_CORNERS = tl.constexpr(3)
RELU_FIRST = tl.constexpr(1)  # 0 for none
RELU_LAST = tl.constexpr(2)
CONV = tl.constexpr(0)

# An item's constants in ITEMS, a flat tuple, since Triton 3.6 nests none: where each lies in a record.
RECORD = tl.constexpr(19)
KIND = tl.constexpr(0)
ROWS = tl.constexpr(1)  # of a program's tile: output pixels
COLUMNS = tl.constexpr(2)  # of a program's tile: output channels
STEP = tl.constexpr(3)  # along K
SPLIT = tl.constexpr(4)  # programs that share a tile's K
KERNEL = tl.constexpr(5)  # y, x
BORDERED = tl.constexpr(6)  # of a sum: its maps' border
STRIDE = tl.constexpr(7)
PADDING = tl.constexpr(9)
IN = tl.constexpr(11)  # channels of a pixel that is read; for a sum, of its terms
OUT = tl.constexpr(12)  # channels of a pixel of the output
WIDTH = tl.constexpr(13)  # channels written
SOURCE_RELU = tl.constexpr(14)
RELU = tl.constexpr(15)
SOURCES = tl.constexpr(16)  # how many, 0 for a convolution that reads one map as it is; their modes are 2 bits each
TERMS = tl.constexpr(17)
MODES = tl.constexpr(18)  # the sources' in the low 16 bits, then the terms'


@triton.jit
def _relu(x):
    return tl.where(x < 0, 0.0, x)  # unlike tl.maximum, it keeps NaN


@triton.jit
def _cast(value, pointer, WIDEN: tl.constexpr):
    """float32 values in the dtype of a map, rounded to nearest; the interpreter would cut bfloat16 off."""
    if WIDEN:
        bits = value.to(tl.uint32, bitcast=True)
        value = ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).to(tl.float32, bitcast=True)
    return value.to(pointer.dtype.element_ty)


@triton.jit
def _pixel(n, y, x, height, width, BORDER: tl.constexpr = 1):
    """Index of a pixel of a bordered map."""
    return (n * (height + 2 * BORDER) + y + BORDER) * (width + 2 * BORDER) + x + BORDER


@triton.jit
def _taps(position, size, scale, CORNERS: tl.constexpr):
    """The two neighbours that bilinear interpolation reads along an axis, and the weight of the second."""
    if CORNERS:
        source = position.to(tl.float32) * scale
    else:
        source = tl.maximum((position.to(tl.float32) + 0.5) * scale - 0.5, 0.0)
    first = tl.minimum(source.to(tl.int32), size - 1)
    return first, tl.minimum(first + 1, size - 1), source - first.to(tl.float32)


@triton.jit
def _term(pointer, size, n, y, x, c, mask, C: tl.constexpr, MODE: tl.constexpr, BORDER: tl.constexpr = 1):
    """Values [pixels, channels] of a map, brought to the output's pixels. size: (height, width, scale y, scale x)."""
    if MODE <= NEAREST:
        if MODE == NEAREST:
            y = tl.minimum((y.to(tl.float32) * size[2]).to(tl.int32), size[0] - 1)
            x = tl.minimum((x.to(tl.float32) * size[3]).to(tl.int32), size[1] - 1)
        at = _pixel(n, y, x, size[0], size[1], BORDER)
        return tl.load(pointer + at[:, None] * C + c[None, :], mask=mask, other=0.0)
    else:
        y0, y1, wy = _taps(y, size[0], size[2], MODE == BILINEAR_CORNERS)
        x0, x1, wx = _taps(x, size[1], size[3], MODE == BILINEAR_CORNERS)
        p00 = pointer + _pixel(n, y0, x0, size[0], size[1], BORDER)[:, None] * C + c[None, :]
        p01 = pointer + _pixel(n, y0, x1, size[0], size[1], BORDER)[:, None] * C + c[None, :]
        p10 = pointer + _pixel(n, y1, x0, size[0], size[1], BORDER)[:, None] * C + c[None, :]
        p11 = pointer + _pixel(n, y1, x1, size[0], size[1], BORDER)[:, None] * C + c[None, :]
        top = tl.load(p00, mask=mask, other=0.0).to(tl.float32) * (1 - wx)[:, None]
        top += tl.load(p01, mask=mask, other=0.0).to(tl.float32) * wx[:, None]
        low = tl.load(p10, mask=mask, other=0.0).to(tl.float32) * (1 - wx)[:, None]
        low += tl.load(p11, mask=mask, other=0.0).to(tl.float32) * wx[:, None]
        return top * (1 - wy)[:, None] + low * wy[:, None]


@triton.jit
def _rounded_to_tf32(a):
    """float32 to the nearest TF32, ties away from zero, where the tensor core would cut; infinity and NaN stay."""
    rounded = ((a.to(tl.uint32, bitcast=True) + 0x1000) & 0xFFFFE000).to(tl.float32, bitcast=True)
    return tl.where(a == a, rounded, a)


@triton.jit
def _multiply(a, b, acc, PRECISION: tl.constexpr, WIDEN: tl.constexpr):
    if WIDEN:  # Triton's interpreter multiplies bfloat16 wrongly
        a = a.to(tl.float32)
        b = b.to(tl.float32)
    if PRECISION == "tf32" and a.dtype == tl.float32:
        a = _rounded_to_tf32(a)  # b, the weights, was packed so
    return tl.dot(a, b, acc, input_precision=PRECISION)


@triton.jit
def _finish(acc, maps, residual, terms, sizes, m, n, y, x, c, geometry, ITEMS: tl.constexpr, AT: tl.constexpr,
            EARLY: tl.constexpr, WIDEN: tl.constexpr):  # fmt: skip
    """The epilogue: bias, ReLU and terms in the item's order, then the store. residual: the term that came early."""
    CO: tl.constexpr = ITEMS[AT + OUT]
    HOW: tl.constexpr = ITEMS[AT + RELU]
    COUNT: tl.constexpr = ITEMS[AT + TERMS]
    mask = (m < geometry[0])[:, None] & (c < CO)[None, :]
    acc += tl.load(maps[2] + c)[None, :]
    if HOW == RELU_FIRST:
        acc = _relu(acc)
    for t in tl.static_range(COUNT):
        if EARLY:
            acc += residual.to(tl.float32)
        else:
            term = _term(terms[t], sizes[t], n, y, x, c, mask, CO, (ITEMS[AT + MODES] >> (16 + 2 * t)) & 3)
            acc += term.to(tl.float32)
    if HOW == RELU_LAST:
        acc = _relu(acc)
    at = _pixel(n, y, x, geometry[1], geometry[2])
    tl.store(maps[3] + at[:, None] * CO + c[None, :], _cast(acc, maps[3], WIDEN), mask=mask)


@triton.jit
def _conv(maps, sources, terms, source_sizes, sizes, geometry, pid, ITEMS: tl.constexpr, AT: tl.constexpr,
          PRECISION: tl.constexpr, PDL: tl.constexpr, WIDEN: tl.constexpr):  # fmt: skip
    """One output tile of a convolution, or the part of one that a share of K gives.

    maps: (source, weight, bias, out, partial sums, arrivals). geometry: (pixels, out height, out width, in height, in
    width).
    """
    BM: tl.constexpr = ITEMS[AT + ROWS]
    BN: tl.constexpr = ITEMS[AT + COLUMNS]
    BK: tl.constexpr = ITEMS[AT + STEP]
    SHARES: tl.constexpr = ITEMS[AT + SPLIT]
    COUNT: tl.constexpr = ITEMS[AT + TERMS]
    FORMED: tl.constexpr = ITEMS[AT + SOURCES]
    C: tl.constexpr = ITEMS[AT + IN]
    CO: tl.constexpr = ITEMS[AT + OUT]
    ROW: tl.constexpr = ITEMS[AT + KERNEL + 1] * C
    K: tl.constexpr = ITEMS[AT + KERNEL] * ROW
    SHARE: tl.constexpr = (K + BK * SHARES - 1) // (BK * SHARES) * BK
    PITCH: tl.constexpr = SHARE * SHARES
    ACROSS: tl.constexpr = (CO + BN - 1) // BN

    split = pid % SHARES
    tile = pid // SHARES
    m = tile // ACROSS * BM + tl.arange(0, BM)
    c = tile % ACROSS * BN + tl.arange(0, BN)
    inside = tl.minimum(m, geometry[0] - 1)  # rows beyond the last pixel read it again
    x = inside % geometry[2]
    y = inside // geometry[2] % geometry[1]
    n = inside // geometry[2] // geometry[1]
    mask = (m < geometry[0])[:, None] & (c < CO)[None, :]
    if PDL:
        gdc_wait()

    # A residual is asked for before the long loop and used after it, while registers can hold it.
    EARLY: tl.constexpr = SHARES == 1 and BM * BN <= 64 * 128 and COUNT == 1 and ITEMS[AT + MODES] >> 16 == SAME
    residual = _term(terms[0], sizes[0], n, y, x, c, mask, CO, SAME) if EARLY else 0

    height = geometry[3]
    width = geometry[4]
    top = y * ITEMS[AT + STRIDE] - ITEMS[AT + PADDING]
    left = x * ITEMS[AT + STRIDE + 1] - ITEMS[AT + PADDING + 1]
    first = _pixel(n, top, left, height, width) * C
    row_pitch = (width + 2) * C
    weight = maps[1] + c[None, :] * PITCH
    acc = tl.full((BM, BN), 0.0, tl.float32)
    if FORMED == 0:
        for k0 in tl.range(split * SHARE, split * SHARE + SHARE, BK):
            k = k0 + tl.arange(0, BK)
            if ROW % BK == 0:  # the step lies in one kernel row
                shared = k0 // ROW * row_pitch + k0 % ROW + tl.arange(0, BK)
            else:
                shared = k // ROW * row_pitch + k % ROW
            at = tl.max_contiguous(tl.multiple_of(first[:, None] + shared[None, :], (1, 8)), (1, 8))
            if K % (BK * SHARES) == 0:
                a = tl.load(maps[0] + at)
            else:
                a = tl.load(maps[0] + at, mask=(k < K)[None, :], other=0.0)
            acc = _multiply(a, tl.load(weight + k[:, None]), acc, PRECISION, WIDEN)
    else:
        # A pointwise convolution that forms its input while it reads: so many maps at once that copies of several
        # steps would fill the shared memory.
        for k0 in tl.range(0, SHARE, BK, num_stages=1):
            k = k0 + tl.arange(0, BK)
            total = tl.full((BM, BK), 0.0, tl.float32)
            for s in tl.static_range(FORMED):
                value = _term(sources[s], source_sizes[s], n, y, x, k, (k < K)[None, :], C,
                              (ITEMS[AT + MODES] >> (2 * s)) & 3)  # fmt: skip
                total += value.to(tl.float32)
            if ITEMS[AT + SOURCE_RELU]:
                total = _relu(total)
            a = _cast(total, maps[3], WIDEN)  # rounded as the map would be
            acc = _multiply(a, tl.load(weight + k[:, None]), acc, PRECISION, WIDEN)

    if SHARES == 1:
        _finish(acc, maps, residual, terms, sizes, m, n, y, x, c, geometry, ITEMS, AT, EARLY, WIDEN)
    else:
        # Each share leaves its sum; whoever arrives last adds them up, always in the same order.
        part = tl.arange(0, BM)[:, None] * BN + tl.arange(0, BN)[None, :]
        parts = maps[4] + tile * (SHARES * BM * BN) + part
        tl.store(parts + split * (BM * BN), acc)
        tl.debug_barrier()
        arrived = tl.atomic_add(maps[5] + tile, 1, sem="acq_rel", scope="gpu")
        if arrived == SHARES - 1:
            total = tl.full((BM, BN), 0.0, tl.float32)
            for s in tl.static_range(SHARES):
                total += tl.load(parts + s * (BM * BN), cache_modifier=".cg")
            tl.store(maps[5] + tile, 0)
            _finish(total, maps, residual, terms, sizes, m, n, y, x, c, geometry, ITEMS, AT, EARLY, WIDEN)


@triton.jit
def _sum(maps, terms, sizes, geometry, pid, ITEMS: tl.constexpr, AT: tl.constexpr, PDL: tl.constexpr,
         WIDEN: tl.constexpr):  # fmt: skip
    """A tile of a sum of maps, written to channels `first` and on. geometry: (pixels, height, width, first)."""
    BM: tl.constexpr = ITEMS[AT + ROWS]
    BN: tl.constexpr = ITEMS[AT + COLUMNS]
    C: tl.constexpr = ITEMS[AT + WIDTH]
    PITCH: tl.constexpr = ITEMS[AT + IN]
    COUNT: tl.constexpr = ITEMS[AT + TERMS]
    BORDER: tl.constexpr = ITEMS[AT + BORDERED]
    ACROSS: tl.constexpr = (C + BN - 1) // BN
    m = pid // ACROSS * BM + tl.arange(0, BM)
    c = pid % ACROSS * BN + tl.arange(0, BN)
    inside = tl.minimum(m, geometry[0] - 1)
    x = inside % geometry[2]
    y = inside // geometry[2] % geometry[1]
    n = inside // geometry[2] // geometry[1]
    mask = (m < geometry[0])[:, None] & (c < C)[None, :]
    if PDL:
        gdc_wait()
    total = tl.full((BM, BN), 0.0, tl.float32)
    for t in tl.static_range(COUNT):
        there = mask & (c < PITCH)[None, :]
        term = _term(terms[t], sizes[t], n, y, x, c, there, PITCH, (ITEMS[AT + MODES] >> (16 + 2 * t)) & 3, BORDER)
        total += term.to(tl.float32)
    if ITEMS[AT + RELU] == RELU_LAST:
        total = _relu(total)
    at = _pixel(n, y, x, geometry[1], geometry[2], BORDER)[:, None] * ITEMS[AT + OUT] + geometry[3] + c[None, :]
    tl.store(maps[0] + at, _cast(total, maps[0], WIDEN), mask=mask)


@triton.jit
def level_kernel(maps, sources, terms, source_sizes, sizes, geometry, ends, ITEMS: tl.constexpr,
                 PRECISION: tl.constexpr, PDL: tl.constexpr, WIDEN: tl.constexpr):  # fmt: skip
    """Programs [ends[i - 1], ends[i]) compute item i. ITEMS: a record an item, as laid out above."""
    if PDL:
        gdc_launch_dependents()  # the next level may start; before it reads a map, it waits for the end of this one
    pid = tl.program_id(0)
    for i in tl.static_range(len(ITEMS) // RECORD):
        begin = 0 if i == 0 else ends[i - 1]
        if (pid >= begin) & (pid < ends[i]):
            if ITEMS[i * RECORD + KIND] == CONV:
                _conv(maps[i], sources[i], terms[i], source_sizes[i], sizes[i], geometry[i], pid - begin, ITEMS,
                      i * RECORD, PRECISION, PDL, WIDEN)  # fmt: skip
            else:
                _sum(maps[i], terms[i], sizes[i], geometry[i], pid - begin, ITEMS, i * RECORD, PDL, WIDEN)
