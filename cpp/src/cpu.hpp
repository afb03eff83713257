// What this CPU has and its system saves. Not by __builtin_cpu_supports: Zig's runtime tells it that there is
// nothing.
#pragma once

#if defined(__x86_64__)
#include <cpuid.h>

namespace volest {

struct Cpu {
  bool has_avx2, has_avx512;  // and what the kernels take for granted beside them
};

// Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2 (CPUID) and volume 1, 13.3 (XCR0).
inline Cpu this_cpu() noexcept {
  constexpr unsigned kPopcnt = 1u << 23, kOsXsave = 1u << 27, kLzcnt = 1u << 5,
                     kAvx2 = 1u << 3 | 1u << 5 | 1u << 8,
                     kAvx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;  // with BMI 1 and 2; F, DQ, BW, VL
  constexpr unsigned kYmm = 0x06, kZmm = 0xe6;
  unsigned a, b, basic, more, d;
  if (!__get_cpuid(1, &a, &b, &basic, &d) || (basic & (kPopcnt | kOsXsave)) != (kPopcnt | kOsXsave)) return {};
  if (!__get_cpuid(0x80000001, &a, &b, &more, &d) || !(more & kLzcnt)) return {};
  if (!__get_cpuid_count(7, 0, &a, &b, &more, &d)) return {};
  unsigned saved, upper;
  __asm__ volatile("xgetbv" : "=a"(saved), "=d"(upper) : "c"(0));
  const bool has_avx2 = (b & kAvx2) == kAvx2 && (saved & kYmm) == kYmm;
  return {has_avx2, has_avx2 && (b & kAvx512) == kAvx512 && (saved & kZmm) == kZmm};
}

}  // namespace volest
#endif
