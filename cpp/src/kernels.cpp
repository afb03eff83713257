#include "kernels.hpp"

#include "cpu.hpp"

namespace volest {

const Kernels *kernels_for(Isa isa) noexcept {
  if (isa == Isa::kPortable) return &kPortableKernels;
#if defined(__x86_64__)
  const Cpu cpu = this_cpu();
  if (isa == Isa::kAvx2 && cpu.has_avx2) return &kAvx2Kernels;
  if (isa == Isa::kAvx512 && cpu.has_avx512) return &kAvx512Kernels;
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
