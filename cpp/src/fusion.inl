// Loads by rows of columns, one or four at once. To be included like quantity.inl, where kSideBySide tells
// whether four at once pay.
#include "wetness.inl"

constexpr double kLeastVolumeStd = 1e-9;     // m3,
constexpr double kLeastRelativeStd = 1e-6;   // and of the volume: sharper is no bell that nodes could find
constexpr double kMostRelativeStd = 0.3;     // of the volume; above it, it is too close to nothing to divide by
constexpr double kDisagreementSigmas = 3.0;  // of the measurement
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kMost = std::numeric_limits<double>::max();

// A net mass is not negative: a reading below the tare leaves the interval of a load of nothing.
template <class T>
QuantityOf<T> net_mass_of(T mass, T std) {
  const T value = positive(mass);
  return {value, std, positive(mass - kCoverage95 * std), value + kCoverage95 * std};
}

// The standard uncertainty, or more where the 95 % interval is wider than a normal one.
template <class T>
T symmetric_std(const QuantityOf<T> &q) {
  const T least = greater(kLeastRelativeStd * magnitude(q.value), T{} + kLeastVolumeStd);
  return greater((q.upper95 - q.lower95) * (0.5 / kCoverage95), greater(q.std, least));
}

// Whether the mass is more than what the heaviest waste in this volume has, or less than the lightest: the
// number of the Mismatch.
template <class T>
T mismatch_of(const Mixture &mixture, const MeasuredOf<T> &load) {
  const T over = load.mass - mixture.most * load.volume, under = mixture.least * load.volume - load.mass,
          zero{};
  const auto allowed = [&](double rho) {
    return kDisagreementSigmas * kDisagreementSigmas * (square(load.mass_std) + square(rho * load.volume_std));
  };
  const auto heavy = (over > zero) & (square(over) > allowed(mixture.most));
  const auto light = (under > zero) & (square(under) > allowed(mixture.least));
  return heavy ? zero + 1.0 : light ? zero + 2.0 : zero;
}

// Mass over volume with its 95 % interval.
template <class T>
QuantityOf<T> density_of(const MeasuredOf<T> &load) {
  const T value = load.mass / load.volume;
  const RangeOf<T> range = densities_within(load, kCoverage95);
  // But for rounding, the value lies between the two.
  return {positive(value), std_at(load, value) / load.volume, lesser(range.lower, positive(value)),
          greater(range.upper, positive(value))};
}

// Whether the volume is far enough from nothing to divide by.
template <class T>
auto has_density(const MeasuredOf<T> &load) {
  return (load.volume > T{}) & (load.volume_std <= kMostRelativeStd * load.volume);
}

inline Mismatch as_mismatch(double number) { return static_cast<Mismatch>(static_cast<int>(number)); }

inline void put(const Quantities &to, std::size_t i, const Quantity &q) {
  to.value[i] = q.value;
  to.std[i] = q.std;
  to.lower95[i] = q.lower95;
  to.upper95[i] = q.upper95;
}

inline void put(const Quantities &to, std::size_t i, const QuantityOf<Four> &q) {
  std::memcpy(to.value + i, &q.value, sizeof q.value);
  std::memcpy(to.std + i, &q.std, sizeof q.std);
  std::memcpy(to.lower95 + i, &q.lower95, sizeof q.lower95);
  std::memcpy(to.upper95 + i, &q.upper95, sizeof q.upper95);
}

constexpr Quantity kNothing{kNaN, kNaN, kNaN, kNaN};

// How wet a row is, where it has a density and no mismatch.
inline void put_wetness(const Mixture &mixture, const WetnessTable &table, const Measured &load,
                        const PlaceOf<float> &place, bool there, std::size_t i, const FusedLoads &to) {
  if (!there) {
    put(to.wet_fraction, i, kNothing);
    to.waste_class[i] = static_cast<signed char>(WasteClass::kNone);
    return;
  }
  const Wetness told = place.log_density >= 0.0f ? at_place(table, place) : wetness(mixture, load, {});
  put(to.wet_fraction, i, told.fraction);
  to.waste_class[i] = static_cast<signed char>(told.waste_class);
}

inline void fuse_row(const Mixture &mixture, const WetnessTable &table, const Measured &load, std::size_t i,
                     const FusedLoads &to) {
  const Mismatch mismatch = as_mismatch(mismatch_of(mixture, load));
  const bool divides = has_density(load);
  to.mismatch[i] = static_cast<signed char>(mismatch);
  put(to.net_mass, i, net_mass_of(load.mass, load.mass_std));
  put(to.density, i, divides ? density_of(load) : kNothing);
  put_wetness(mixture, table, load, place_of(table, load), divides && mismatch == Mismatch::kNone, i, to);
}

inline void put_nothing(const FusedLoads &to, std::size_t i) {
  put(to.net_mass, i, kNothing);
  put(to.density, i, kNothing);
  put(to.wet_fraction, i, kNothing);
  to.waste_class[i] = static_cast<signed char>(WasteClass::kNone);
  to.mismatch[i] = static_cast<signed char>(Mismatch::kNone);
}

inline Four four(const double *from) {
  Four x;
  std::memcpy(&x, from, sizeof x);
  return x;
}

// Four rows side by side, all with finite numbers: the bits of four times one.
inline void fuse_four(const Mixture &mixture, const WetnessTable &table, const MeasuredOf<Four> &loads,
                      std::size_t i, const FusedLoads &to) {
  const Four mismatch = mismatch_of(mixture, loads), nothing = Four{} + kNaN;
  const auto divides = has_density(loads);
  const QuantityOf<Four> d = density_of(loads);
  put(to.net_mass, i, net_mass_of(loads.mass, loads.mass_std));
  put(to.density, i,
      QuantityOf<Four>{divides ? d.value : nothing, divides ? d.std : nothing, divides ? d.lower95 : nothing,
                       divides ? d.upper95 : nothing});
  const PlaceOf<FourFloats> places = place_of(table, loads);
  for (int k = 0; k < 4; ++k) {
    const std::size_t row = i + static_cast<std::size_t>(k);
    to.mismatch[row] = static_cast<signed char>(as_mismatch(mismatch[k]));
    put_wetness(mixture, table, {loads.volume[k], loads.volume_std[k], loads.mass[k], loads.mass_std[k]},
                {places.log_density[k], places.width_square[k], places.share[k]},
                divides[k] != 0 && mismatch[k] == 0.0, row, to);
  }
}

// Whether numbers are those of a load: finite, and no standard uncertainty below 0.
template <class T>
auto is_load(const QuantityOf<T> &volume, T mass, T mass_std) {
  const T sum = volume.value + volume.lower95 + volume.upper95 + mass + volume.std + mass_std;
  return (magnitude(sum) <= kMost) & (volume.std >= T{}) & (mass_std >= T{});
}

// Whether they are those of no load: one is NaN, the others are not out of reason.
inline bool is_none(const Quantity &volume, double mass, double mass_std) {
  const double most = greater(greater(magnitude(volume.value), volume.std), greater(magnitude(mass), mass_std));
  const double ends = greater(magnitude(volume.lower95), magnitude(volume.upper95));
  return !(lesser(volume.std, mass_std) < 0.0) && !(greater(most, ends) > kMost);
}

// One row; false where it cannot be.
inline bool fuse_any(const Mixture &mixture, const WetnessTable &table, const Loads &loads, std::size_t i,
                     const FusedLoads &to) {
  const Quantity volume{loads.volume[i], loads.volume_std[i], loads.lower95[i], loads.upper95[i]};
  const double mass = loads.mass[i], mass_std = loads.mass_std[i];
  if (is_load(volume, mass, mass_std)) {
    fuse_row(mixture, table, {volume.value, symmetric_std(volume), mass, mass_std}, i, to);
    return true;
  }
  if (!is_none(volume, mass, mass_std)) return false;
  put_nothing(to, i);
  return true;
}

inline std::size_t fuse_rows(const Mixture &mixture, const WetnessTable &table, const Loads &loads,
                             std::size_t begin, std::size_t end, const FusedLoads &to) {
  std::size_t i = begin;
  for (; kSideBySide && i + 4 <= end; i += 4) {
    const QuantityOf<Four> volume{four(loads.volume + i), four(loads.volume_std + i), four(loads.lower95 + i),
                                  four(loads.upper95 + i)};
    const Four mass = four(loads.mass + i), mass_std = four(loads.mass_std + i);
    const auto sound = is_load(volume, mass, mass_std);
    if (sound[0] & sound[1] & sound[2] & sound[3]) {
      fuse_four(mixture, table, {volume.value, symmetric_std(volume), mass, mass_std}, i, to);
      continue;
    }
    for (std::size_t k = i; k < i + 4; ++k)
      if (!fuse_any(mixture, table, loads, k, to)) return k;
  }
  for (; i < end; ++i)
    if (!fuse_any(mixture, table, loads, i, to)) return i;
  return end;
}
