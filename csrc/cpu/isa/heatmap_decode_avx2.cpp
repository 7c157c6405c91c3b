#if defined(__x86_64__)
#include "cpu/isa/vec_avx2.h"  // first: it says which instruction set the maps are decoded with
#include "cpu/heatmap_decode_maps.h"

namespace hrnet_fast {

void heatmap_decode_maps__avx2(const HeatmapDecode& p, void* scratch, int64_t begin, int64_t end) {
  decode_maps_of_any(p, scratch, begin, end);
}

}  // namespace hrnet_fast
#endif
