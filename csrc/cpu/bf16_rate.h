// Whether products of bfloat16 are faster than those of float on this CPU. No torch header.
#pragma once

namespace hrnet_fast {

// Products of bfloat16 (AVX512_BF16's vdpbf16ps) that this CPU adds up in the time of one of float, from registers: 2
// where every unit of float multiplication does both, as in AMD's Zen 4 and 5, 1 where half of them do, as in Intel's
// Sapphire Rapids; 0 without the instruction. Measured at the first call, in about 0.2 ms.
double bf16_products_rate();

}  // namespace hrnet_fast
