// Volume and weight together: net mass, bulk density, and how wet a load of that density may be.
//
// A load of wet mass fraction w fills the room of its wet and of its dry part laid side by side, each at its
// own bulk density: 1/rho = w/rho_wet + (1 - w)/rho_dry. Volumes add, so it is the specific volumes that mix
// linearly in the mass fraction. What settles into the gaps of the other part is not modelled; it hides in the
// spread of the two densities.
//
// Nothing here allocates, throws or keeps anything; whatever the numbers, the work is bounded.
#pragma once

#include <cmath>

#include "quantity.hpp"

namespace volest {

// Log-normal bulk densities of the two parts of the waste, as loaded.
struct WasteDensities {
  double dry, dry_log_std;  // median, kg/m3, above 0; standard deviation of the logarithm
  double wet, wet_log_std;
};

// Mean and standard deviation of ln(bulk density [kg/m3]) of loads of one wet mass fraction.
struct LogDensity {
  double mean, std;
};

LogDensity log_density(const WasteDensities &waste, double wet_fraction) noexcept;

constexpr int kFractionCells = 256;

// What loads of a kind of waste weigh, for each of the cells that the wet mass fractions 0 to 1 fall into.
struct Mixture {
  double edge[kFractionCells + 1];  // of the cells, rising; equal steps in the logarithm of the specific volume
  float mean[kFractionCells];       // of the log density
  float inverse_std[kFractionCells];  // of the log density
  double least_std;                   // of the log density
  double lowest, highest;             // log densities beyond which there are no loads
  double least, most;                 // densities that a load may have, kg/m3
};

Mixture mix(const WasteDensities &waste) noexcept;

enum class Mismatch { kNone, kTooHeavy, kTooLight };  // of the mass, for the volume

struct Fused {
  Quantity net_mass;  // kg
  Mismatch mismatch;
  bool has_density;  // false where the volume is too close to nothing to divide by
  Quantity density;  // kg/m3
  bool has_wetness;  // false without a density, and where it is that of no waste
  Quantity wet_fraction;
  double dry, mixed, wet;   // probabilities of the classes
  const char *waste_class;  // "dry", "mixed", "wet", or null where none is probable enough to be named
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
Fused fuse(const Mixture &mixture, const Quantity &volume, double mass, double mass_std) noexcept;

}  // namespace volest
