// The stages for arm64, whose every CPU has NEON.
#include "kernels.hpp"

#if defined(__aarch64__)
#include "simd_neon.hpp"

namespace volest {
namespace {
using V = SimdNeon;
#include "stages.inl"
}  // namespace
const Kernels kNeonKernels = all_stages("neon");
}  // namespace volest
#endif
