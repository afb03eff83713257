// The stages for x86-64 with AVX-512.
#include "kernels.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#if !defined(__clang__)  // GCC 12 takes the intrinsics' own undefined registers for mistakes
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
// From here on: what stands in headers was compiled for any CPU.
#if defined(__clang__)
#pragma clang attribute push(                                                                 \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi,bmi2,lzcnt,popcnt"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi,bmi2,lzcnt,popcnt,prefer-vector-width=512")
#endif
#include "simd_avx512.hpp"

namespace volest {
namespace {
using V = SimdAvx512;
#include "stages.inl"
}  // namespace
const Kernels kAvx512Kernels = all_stages("avx512");
}  // namespace volest
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
