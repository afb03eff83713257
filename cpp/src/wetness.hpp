// How wet a load of some bulk density may be.
//
// A load of wet mass fraction w fills the room of its wet and of its dry part laid side by side, each at its
// own bulk density: 1/rho = w/rho_wet + (1 - w)/rho_dry. Volumes add, so it is the specific volumes that mix
// linearly in the mass fraction. What settles into the gaps of the other part is not modelled; it hides in the
// spread of the two densities.
//
// Nothing here allocates, throws or keeps anything; whatever the numbers, the work is bounded.
#pragma once

#include "quantity.hpp"

namespace volest {

// Log-normal bulk densities of the two parts of the waste, as loaded.
struct WasteDensities {
  double dry, dry_log_std;  // median, kg/m3, above 0; standard deviation of the logarithm
  double wet, wet_log_std;
};

// What is believed of the wet mass fraction before the load is measured: the Beta distribution.
struct BetaPrior {
  double a = 1.0, b = 1.0;  // above 0; 1 and 1: nothing
};

// What else tells of the wet mass fraction of one load, independently of its density: a reading with a normal
// error.
struct Evidence {
  double fraction = 0.5, inverse_std = 0.0;  // no reading where inverse_std is 0
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
  double prior[kFractionCells];       // probability of the cell before a load is measured
  double least_std;                   // of the log density
  double lowest, highest;             // log densities beyond which there are no loads
  double least, most;                 // densities that a load may have, kg/m3
};

Mixture mix(const WasteDensities &waste, const BetaPrior &prior = {}) noexcept;

enum class WasteClass : signed char { kNone = -1, kDry, kMixed, kWet };

struct Wetness {
  Quantity fraction;       // wet mass fraction
  double dry, mixed, wet;  // probabilities of the classes
  WasteClass waste_class;  // kNone where no class is probable enough to be named
};

// The posterior by quadrature. The volume has an uncertainty above 0.
Wetness wetness(const Mixture &mixture, const Measured &load, const Evidence &evidence) noexcept;

// The posterior tabled, for many loads of one kind. It depends on three numbers alone: on the density, and on
// the relative standard uncertainties of mass and of volume; here on the log density at the middle of the
// likelihood, on the likelihood's width in it, and on the part that the mass has in its variance.
constexpr int kDensityNodes = 128, kWidthNodes = 17, kShareNodes = 5;

struct WetnessNode {
  FourFloats moments, classes;  // value, std, lower95, upper95; dry, wet
};

struct WetnessTable {
  double first, step, inverse_step;  // of the log densities
  double most_variance;              // of the likelihood; 0 where loads spread too little for the table's steps
  WetnessNode node[kWidthNodes][kDensityNodes][kShareNodes];
};

// What tabulate() works in.
struct WetnessScratch {
  float weight[kDensityNodes][kFractionCells];
};

void tabulate(const Mixture &mixture, WetnessScratch &scratch, WetnessTable &table) noexcept;

// Where loads lie in the table: in steps of its axes, of the width's the square; log_density below 0: beyond
// it.
template <class Float>
struct PlaceOf {
  Float log_density, width_square, share;
};
PlaceOf<float> place(const WetnessTable &table, const Measured &load) noexcept;

// What the table has at a place that is in it.
Wetness look_up(const WetnessTable &table, const PlaceOf<float> &place) noexcept;

}  // namespace volest
