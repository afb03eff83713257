#include "kernels.hpp"

namespace volest {

const Kernels *kernels_for(Isa isa) noexcept {
  if (isa == Isa::kPortable) return &kPortableKernels;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                        __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
  if (isa == Isa::kAvx2 && has_avx2) return &kAvx2Kernels;
  if (isa == Isa::kAvx512 && has_avx2 && __builtin_cpu_supports("avx512f") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return &kAvx512Kernels;
#elif defined(__aarch64__)
  if (isa == Isa::kNeon) return &kNeonKernels;
#endif
  return nullptr;
}

const Kernels &best_kernels() noexcept {
  for (const Isa isa : {Isa::kAvx512, Isa::kAvx2, Isa::kNeon})
    if (const Kernels *found = kernels_for(isa)) return *found;
  return kPortableKernels;
}

}  // namespace volest
