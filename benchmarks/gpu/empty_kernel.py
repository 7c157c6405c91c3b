"""The smallest Triton kernel: what a launch costs, with and without programmatic dependent launch."""

import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait


@triton.jit
def empty_kernel(p_out, value, DEPENDENT: tl.constexpr):
    """out[program] = value. DEPENDENT: the next kernel may start at once, and waits for the end of this one."""
    if DEPENDENT:
        gdc_launch_dependents()
        gdc_wait()
    tl.store(p_out + tl.program_id(0), value)
