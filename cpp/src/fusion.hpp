// Volume and weight together: net mass, bulk density, and how wet a load of that density may be.
//
// Nothing here allocates, throws or keeps anything; whatever the numbers, the work is bounded.
#pragma once

#include <cmath>
#include <cstddef>

#include "wetness.hpp"

namespace volest {

enum class Mismatch : signed char { kNone, kTooHeavy, kTooLight };  // of the mass, for the volume

struct Fused {
  Quantity net_mass;  // kg
  Mismatch mismatch;
  bool has_density;  // false where the volume is too close to nothing to divide by
  Quantity density;  // kg/m3
  bool has_wetness;  // false without a density, and where it is that of no waste
  Wetness wetness;
};

// A scale that was zeroed with the empty truck.
struct Scale {
  double tare, tare_std;  // kg; what has changed of it since, 1-sigma
  double gain_std;        // 1-sigma, relative, of the net mass
  double resolution;      // kg
};

struct NetMass {
  double kg, std;
};

// From a gross mass and its standard uncertainty, kg: the reading's, the tare's and, on the net mass alone, the
// gain's.
NetMass net_mass(const Scale &scale, double gross, double gross_std) noexcept;
// The standard uncertainty of a reading rounded to a scale's steps (GUM F.2.2.1).
inline double rounding_std(double resolution) { return resolution / std::sqrt(12.0); }

// Fuses a volume, m3, with a net mass and its standard uncertainty, kg, which err independently of each other.
Fused fuse(const Mixture &mixture, const Quantity &volume, double mass, double mass_std,
           const Evidence &evidence = {}) noexcept;

// Columns of loads: m3 and kg.
struct Loads {
  const double *volume, *volume_std, *lower95, *upper95, *mass, *mass_std;
};

// Columns of a quantity.
struct Quantities {
  double *value, *std, *lower95, *upper95;
};

// What becomes of the loads: NaN and WasteClass::kNone where there is nothing.
struct FusedLoads {
  Quantities net_mass, density, wet_fraction;
  signed char *waste_class;  // WasteClass
  signed char *mismatch;     // Mismatch
};

// Fuses the loads of the rows from begin to end, by the table where they lie in it. A row with a NaN has
// nothing. Gives the first row with an infinite number or a standard uncertainty below 0, which it leaves alone
// with all after it, or end.
std::size_t fuse_many(const Mixture &mixture, const WetnessTable &table, const Loads &loads, std::size_t begin,
                      std::size_t end, const FusedLoads &fused) noexcept;

}  // namespace volest
