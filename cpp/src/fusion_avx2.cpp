// Many loads on x86-64 with AVX2: four at once, the same bits.
#include "fusion.hpp"

#if defined(__x86_64__)
#include <cmath>
#include <cstring>
#include <limits>
// From here on: what stands in headers was compiled for any CPU.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif

namespace volest {
namespace {
constexpr bool kSideBySide = true;
#include "fusion.inl"
}  // namespace

std::size_t fuse_many_avx2(const Mixture &mixture, const WetnessTable &table, const Loads &loads,
                           std::size_t begin, std::size_t end, const FusedLoads &to) noexcept {
  return fuse_rows(mixture, table, loads, begin, end, to);
}

}  // namespace volest
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
