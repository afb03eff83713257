// The stages for any CPU.
#include "kernels.hpp"
#include "simd_portable.hpp"

namespace volest {
namespace {
using V = SimdPortable;
#include "stages.inl"
}  // namespace
const Kernels kPortableKernels = all_stages("portable");
}  // namespace volest
