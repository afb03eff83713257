// The stages for x86-64 with AVX2.
#include "kernels.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
// From here on: what stands in headers was compiled for any CPU.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,lzcnt,popcnt")
#endif
#include "simd_avx2.hpp"

namespace volest {
namespace {
using V = SimdAvx2;
#include "stages.inl"
}  // namespace
const Kernels kAvx2Kernels = all_stages("avx2");
}  // namespace volest
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
