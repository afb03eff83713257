#include "fusion.hpp"

#include <cmath>
#include <cstring>
#include <limits>

#include "cpu.hpp"

namespace volest {
namespace {

constexpr bool kSideBySide = false;
#include "fusion.inl"

}  // namespace

NetMass net_mass(const Scale &scale, double gross, double gross_std) noexcept {
  const double net = gross - scale.tare;
  return {net, length(length(gross_std, scale.tare_std), scale.gain_std * net)};
}

Fused fuse(const Mixture &mixture, const Quantity &volume, double mass, double mass_std,
           const Evidence &evidence) noexcept {
  const Measured load{volume.value, symmetric_std(volume), mass, mass_std};
  Fused fused{};
  fused.net_mass = net_mass_of(mass, mass_std);
  fused.mismatch = as_mismatch(mismatch_of(mixture, load));
  fused.has_density = has_density(load);
  if (!fused.has_density) return fused;
  fused.density = density_of(load);
  fused.has_wetness = fused.mismatch == Mismatch::kNone;  // a density that no waste has says nothing of it
  if (fused.has_wetness) fused.wetness = wetness(mixture, load, evidence);
  return fused;
}

#if defined(__x86_64__)
std::size_t fuse_many_avx2(const Mixture &, const WetnessTable &, const Loads &, std::size_t, std::size_t,
                           const FusedLoads &) noexcept;
#endif

std::size_t fuse_many(const Mixture &mixture, const WetnessTable &table, const Loads &loads, std::size_t begin,
                      std::size_t end, const FusedLoads &to) noexcept {
#if defined(__x86_64__)
  if (this_cpu().has_avx2) return fuse_many_avx2(mixture, table, loads, begin, end, to);
#endif
  return fuse_rows(mixture, table, loads, begin, end, to);
}

}  // namespace volest
