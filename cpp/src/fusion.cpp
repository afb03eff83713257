#include "fusion.hpp"

#include <limits>

namespace volest {
namespace {

constexpr double kLeastVolumeStd = 1e-9;     // m3,
constexpr double kLeastRelativeStd = 1e-6;   // and of the volume: sharper is no bell that nodes could find
constexpr double kMostRelativeStd = 0.3;     // of the volume; above it, it is too close to nothing to divide by
constexpr double kDisagreementSigmas = 3.0;  // of the measurement
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kMost = std::numeric_limits<double>::max();

// A net mass is not negative: a reading below the tare leaves the interval of a load of nothing.
Quantity net_mass_of(double mass, double std) {
  const double value = positive(mass);
  return {value, std, positive(mass - kCoverage95 * std), value + kCoverage95 * std};
}

// The standard uncertainty, or more where the 95 % interval is wider than a normal one.
double symmetric_std(const Quantity &q) {
  const double least = greater(kLeastRelativeStd * std::fabs(q.value), kLeastVolumeStd);
  return greater((q.upper95 - q.lower95) * (0.5 / kCoverage95), greater(q.std, least));
}

// Whether the mass is more than what the heaviest waste in this volume has, or less than the lightest.
Mismatch mismatch_of(const Mixture &mixture, const Measured &load) {
  const double over = load.mass - mixture.most * load.volume, under = mixture.least * load.volume - load.mass;
  const auto allowed = [&](double rho) {
    return square(kDisagreementSigmas) * (square(load.mass_std) + square(rho * load.volume_std));
  };
  if (over > 0.0 && square(over) > allowed(mixture.most)) return Mismatch::kTooHeavy;
  if (under > 0.0 && square(under) > allowed(mixture.least)) return Mismatch::kTooLight;
  return Mismatch::kNone;
}

// Mass over volume with its 95 % interval.
Quantity density_of(const Measured &load) {
  const double value = load.mass / load.volume;
  const Range range = densities_within(load, kCoverage95);
  // But for rounding, the value lies between the two.
  return {positive(value), std_at(load, value) / load.volume, lesser(range.lower, positive(value)),
          greater(range.upper, positive(value))};
}

bool has_density(const Measured &load) {
  return load.volume > 0.0 && load.volume_std <= kMostRelativeStd * load.volume;
}

Wetness wetness_by_table(const Mixture &mixture, const WetnessTable &table, const Measured &load) {
  Wetness told;
  const double volume_share = square(load.volume_std / load.volume),
               mass_share = square(load.mass_std / load.mass);
  if (look_up(table, load.mass / load.volume, mass_share, volume_share, told)) return told;
  return wetness(mixture, load, {});
}

void put(const Quantities &to, std::size_t i, const Quantity &q) {
  to.value[i] = q.value;
  to.std[i] = q.std;
  to.lower95[i] = q.lower95;
  to.upper95[i] = q.upper95;
}

// A row of nothing, but for what has been put there.
void put_nothing(const FusedLoads &to, std::size_t i, bool net_mass, bool density) {
  constexpr Quantity kNothing{kNaN, kNaN, kNaN, kNaN};
  if (net_mass) put(to.net_mass, i, kNothing);
  if (density) put(to.density, i, kNothing);
  put(to.wet_fraction, i, kNothing);
  to.waste_class[i] = static_cast<signed char>(WasteClass::kNone);
}

void fuse_row(const Mixture &mixture, const WetnessTable &table, const Measured &load, std::size_t i,
              const FusedLoads &to) {
  put(to.net_mass, i, net_mass_of(load.mass, load.mass_std));
  const Mismatch mismatch = mismatch_of(mixture, load);
  to.mismatch[i] = static_cast<signed char>(mismatch);
  if (!has_density(load)) {
    put_nothing(to, i, false, true);
    return;
  }
  put(to.density, i, density_of(load));
  if (mismatch != Mismatch::kNone) {
    put_nothing(to, i, false, false);
    return;
  }
  const Wetness told = wetness_by_table(mixture, table, load);
  put(to.wet_fraction, i, told.fraction);
  to.waste_class[i] = static_cast<signed char>(told.waste_class);
}

// Whether a row can be one of a load, or of none: NaN.
bool is_sound(const Quantity &volume, double mass, double mass_std) {
  const double most = greater(greater(std::fabs(volume.value), volume.std), greater(std::fabs(mass), mass_std));
  const double ends = greater(std::fabs(volume.lower95), std::fabs(volume.upper95));
  return !(lesser(volume.std, mass_std) < 0.0) && !(greater(most, ends) > kMost);
}

}  // namespace

Fused fuse(const Mixture &mixture, const Quantity &volume, double mass, double mass_std,
           const Evidence &evidence) noexcept {
  const Measured load{volume.value, symmetric_std(volume), mass, mass_std};
  Fused fused{};
  fused.net_mass = net_mass_of(mass, mass_std);
  fused.mismatch = mismatch_of(mixture, load);
  fused.has_density = has_density(load);
  if (!fused.has_density) return fused;
  fused.density = density_of(load);
  fused.has_wetness = fused.mismatch == Mismatch::kNone;  // a density that no waste has says nothing of it
  if (fused.has_wetness) fused.wetness = wetness(mixture, load, evidence);
  return fused;
}

std::size_t fuse_many(const Mixture &mixture, const WetnessTable &table, const Loads &loads, std::size_t begin,
                      std::size_t end, const FusedLoads &to) noexcept {
  for (std::size_t i = begin; i < end; ++i) {
    const Quantity volume{loads.volume[i], loads.volume_std[i], loads.lower95[i], loads.upper95[i]};
    const double mass = loads.mass[i], mass_std = loads.mass_std[i];
    const double sum = volume.value + volume.lower95 + volume.upper95 + mass + volume.std + mass_std;
    if (std::fabs(sum) <= kMost && volume.std >= 0.0 && mass_std >= 0.0) {
      fuse_row(mixture, table, {volume.value, symmetric_std(volume), mass, mass_std}, i, to);
    } else {
      if (!is_sound(volume, mass, mass_std)) return i;
      put_nothing(to, i, true, true);
      to.mismatch[i] = static_cast<signed char>(Mismatch::kNone);
    }
  }
  return end;
}

}  // namespace volest
