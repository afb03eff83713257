#include "wetness.hpp"

#include <cmath>
#include <cstring>

#include "elementary.hpp"

namespace volest {
namespace {

#include "wetness.inl"

constexpr double kImplausibleSigmas = 3.3;  // of the log densities: one sound load in 2000
constexpr double kDryTo = 0.4, kWetFrom = 0.6;

constexpr double kDensitySigmas = 7.0;  // of the measurement, within which the density is looked for
constexpr double kPriorSigmas = 7.0;    // of the log densities, likewise
constexpr double kMostNodes = 256.0;
constexpr float kLeastExponent = -87.0f;  // e to this power is nothing, and yet a normal float

constexpr double kBellStep = 0.7;    // between its nodes, in its width
constexpr double kSharpest = 100.0;  // inverse standard deviation of the fraction; sharper falls between cells
constexpr float kNothing = 1e-12f;   // of a likelihood of about 1
constexpr double kCoarsest = 0.3;    // the table's steps in the log density, in the least spread of loads,
constexpr double kWidest = 2.0;      // and the width of the widest likelihood in it

// The expected specific volume of a log-normal bulk density, m3/kg.
double specific_volume(double median, double log_std) { return portable_exp(0.5 * square(log_std)) / median; }

double likelihood(const Measured &load, double rho) {
  const double std = std_at(load, rho);
  return portable_exp(-0.5 * square((load.mass - rho * load.volume) / std)) / std;
}

// Adds to each cell how probable a log density is in it, but for the factor 1/std that all log densities share.
void add_density(const Mixture &mixture, float log_density, float likelihood, float *weight) {
  float exponent[kFractionCells];
  for (int i = 0; i < kFractionCells; ++i) {
    const float z = (log_density - mixture.mean[i]) * mixture.inverse_std[i], e = -0.5f * z * z;
    exponent[i] = e > kLeastExponent ? e : kLeastExponent;
  }
  for (int i = 0; i < kFractionCells; ++i) weight[i] += likelihood * portable_exp_below_0(exponent[i]);
}

// How probable each cell makes what was measured: integrated over the log density by the midpoint rule. One
// node a standard deviation integrates a bell to 1e-8.
void add_load(const Mixture &mixture, const Measured &load, float *weight) {
  const Range range = densities_within(load, kDensitySigmas);
  const double begin = greater(portable_log(greater(range.lower, kNoDensity)), mixture.lowest);
  const double end = lesser(portable_log(greater(range.upper, kNoDensity)), mixture.highest);
  // Two bells are multiplied: their inverse variances add. The likelihood's is taken two standard deviations
  // above its peak, for it narrows upwards.
  const double density = load.mass / load.volume, density_std = std_at(load, density) / load.volume;
  const double inverse_std = length(positive(density) / density_std + 2.0, 1.0 / mixture.least_std);
  const double nodes = lesser(std::ceil((end - begin) * inverse_std), kMostNodes);
  for (int k = 0; k < nodes; ++k) {
    const double x = begin + (k + 0.5) * (end - begin) / nodes;
    const double at_most_about_1 = likelihood(load, portable_exp(x)) * density_std * load.volume;
    add_density(mixture, static_cast<float>(x), static_cast<float>(at_most_about_1), weight);
  }
}

// The cells' posterior probabilities, cumulative (kFractionCells + 1).
void cumulate(const Mixture &mixture, const float *weight, const Evidence &evidence, double *cumulative) {
  const double inverse_std = lesser(evidence.inverse_std, kSharpest);
  cumulative[0] = 0.0;
  for (int i = 0; i < kFractionCells; ++i) {
    double part = static_cast<double>(weight[i] * mixture.inverse_std[i]) * mixture.prior[i];
    if (inverse_std > 0.0) {
      const double middle = 0.5 * (mixture.edge[i] + mixture.edge[i + 1]);
      part *= portable_exp(-0.5 * square((middle - evidence.fraction) * inverse_std));
    }
    cumulative[i + 1] = cumulative[i] + part;
  }
  const double total = cumulative[kFractionCells];
  for (int i = 0; i < kFractionCells; ++i)  // what says nothing leaves the prior
    cumulative[i + 1] = total > 0.0 ? cumulative[i + 1] / total : cumulative[i] + mixture.prior[i];
}

// The y at x of a line through points whose x rise; x lies among them.
double interpolate(const double *xs, const double *ys, double x) {
  int low = 0, high = kFractionCells;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (xs[middle] < x ? low : high) = middle;
  }
  const double step = xs[high] - xs[low];
  return step > 0.0 ? ys[low] + (ys[high] - ys[low]) * lesser((x - xs[low]) / step, 1.0) : ys[low];
}

// What the cumulative posterior says, each cell's part of it spread evenly over the cell.
Wetness tell(const Mixture &mixture, const double *cumulative) {
  const double *edge = mixture.edge;
  double mean = 0.0, squares = 0.0;
  for (int i = 0; i < kFractionCells; ++i) {
    const double part = cumulative[i + 1] - cumulative[i], a = edge[i], b = edge[i + 1];
    mean += part * (a + b) / 2.0;
    squares += part * (a * a + a * b + b * b) / 3.0;
  }
  Wetness told;
  told.fraction = {mean, std::sqrt(positive(squares - mean * mean)), interpolate(cumulative, edge, 0.025),
                   interpolate(cumulative, edge, 0.975)};
  told.dry = interpolate(edge, cumulative, kDryTo);
  told.wet = 1.0 - interpolate(edge, cumulative, kWetFrom);
  told.mixed = 1.0 - told.dry - told.wet;
  told.waste_class = class_of(told.dry, told.mixed, told.wet);
  return told;
}

// Fills mixture.prior with what a Beta distribution gives each cell, by the density at its middle.
void set_prior(const BetaPrior &prior, Mixture &mixture) {
  double log_weight[kFractionCells], most = -HUGE_VAL, total = 0.0;
  for (int i = 0; i < kFractionCells; ++i) {
    const double w = 0.5 * (mixture.edge[i] + mixture.edge[i + 1]);
    log_weight[i] = (prior.a - 1.0) * portable_log(w) + (prior.b - 1.0) * portable_log(1.0 - w);
    most = greater(log_weight[i], most);
  }
  for (int i = 0; i < kFractionCells; ++i) {
    mixture.prior[i] = portable_exp(log_weight[i] - most) * (mixture.edge[i + 1] - mixture.edge[i]);
    total += mixture.prior[i];
  }
  for (int i = 0; i < kFractionCells; ++i)
    mixture.prior[i] = total > 0.0 ? mixture.prior[i] / total : mixture.edge[i + 1] - mixture.edge[i];
}

}  // namespace

// The specific volume is a sum of two log-normals, here taken as log-normal with the sum's mean and variance
// (Fenton 1960); at the spreads of waste that is good to 0.02 in both.
LogDensity log_density(const WasteDensities &waste, double wet_fraction) noexcept {
  const double wet = wet_fraction * specific_volume(waste.wet, waste.wet_log_std);
  const double dry = (1.0 - wet_fraction) * specific_volume(waste.dry, waste.dry_log_std);
  const double variance = square(wet) * (portable_exp(square(waste.wet_log_std)) - 1.0) +
                          square(dry) * (portable_exp(square(waste.dry_log_std)) - 1.0);
  const double log_variance = portable_log(1.0 + variance / square(wet + dry));
  return {0.5 * log_variance - portable_log(wet + dry), std::sqrt(log_variance)};
}

Mixture mix(const WasteDensities &waste, const BetaPrior &prior) noexcept {
  Mixture m{};
  const double range = portable_log(specific_volume(waste.dry, waste.dry_log_std) /
                                    specific_volume(waste.wet, waste.wet_log_std));
  const bool alike = std::fabs(range) < 0.01;  // the cells' steps are then equal in the fraction
  const double step = range / kFractionCells, all = 1.0 - portable_exp(-range);
  for (int i = 0; i <= kFractionCells; ++i)
    m.edge[i] = alike ? static_cast<double>(i) / kFractionCells : (1.0 - portable_exp(-i * step)) / all;
  m.edge[kFractionCells] = 1.0;
  for (int i = 0; i < kFractionCells; ++i) {
    const LogDensity at = log_density(waste, 0.5 * (m.edge[i] + m.edge[i + 1]));
    const double std = length(at.std, step / std::sqrt(12.0));  // a load may lie anywhere in its cell
    m.mean[i] = static_cast<float>(at.mean);
    m.inverse_std[i] = static_cast<float>(1.0 / std);
    const double low = at.mean - kPriorSigmas * std, high = at.mean + kPriorSigmas * std;
    m.least_std = i == 0 ? std : lesser(std, m.least_std);
    m.lowest = i == 0 ? low : lesser(low, m.lowest);
    m.highest = i == 0 ? high : greater(high, m.highest);
  }
  m.least = waste.dry * portable_exp(-kImplausibleSigmas * waste.dry_log_std);
  m.most = lesser(waste.wet * portable_exp(kImplausibleSigmas * waste.wet_log_std), kMostDensity);
  set_prior(prior, m);
  return m;
}

Wetness wetness(const Mixture &mixture, const Measured &load, const Evidence &evidence) noexcept {
  float weight[kFractionCells] = {};
  double cumulative[kFractionCells + 1];
  add_load(mixture, load, weight);
  cumulate(mixture, weight, evidence, cumulative);
  return tell(mixture, cumulative);
}

// --- the table ---

// How probable the measurement of a load of density 1 makes log densities, at so many steps from the middle of
// it.
struct Bell {
  float at[2 * kDensityNodes + 1];
  int reach, stride;
};

static void set_bell(double step, double width, double share, Bell &bell) {
  const double mass_share = square(width) * share, volume_share = square(width) - mass_share;
  const Measured load{1.0, std::sqrt(volume_share), 1.0, std::sqrt(mass_share)};
  bell.stride = static_cast<int>(greater(kBellStep * width / step, 1.0));
  bell.reach = width > 0.0 ? kDensityNodes / bell.stride : 0;
  for (int k = -bell.reach; k <= bell.reach; ++k) {
    const double x = k * bell.stride * step + shift_of(mass_share, volume_share);
    bell.at[k + bell.reach] =
        width > 0.0 ? static_cast<float>(likelihood(load, portable_exp(x)) * width) : 1.0f;
  }
}

static FourFloats lanes(double a, double b, double c, double d) {
  return FourFloats{static_cast<float>(a), static_cast<float>(b), static_cast<float>(c), static_cast<float>(d)};
}

static WetnessNode node_of(const Wetness &w) {
  const Quantity &f = w.fraction;
  return {lanes(f.value, f.std, f.lower95, f.upper95), lanes(w.dry, w.wet, 0.0, 0.0)};
}

void tabulate(const Mixture &mixture, WetnessScratch &scratch, WetnessTable &table) noexcept {
  table.first = mixture.lowest;
  table.step = (mixture.highest - mixture.lowest) / (kDensityNodes - 1);
  table.inverse_step = 1.0 / table.step;
  const bool fine = table.step > 0.0 && table.step < kCoarsest * mixture.least_std;
  table.most_variance = fine ? square(lesser(kMostWidth, kWidest * mixture.least_std)) : 0.0;
  if (!fine) return;
  for (int x = 0; x < kDensityNodes; ++x) {
    for (float &weight : scratch.weight[x]) weight = 0.0f;
    add_density(mixture, static_cast<float>(table.first + x * table.step), 1.0f, scratch.weight[x]);
  }
  Bell bell;
  double cumulative[kFractionCells + 1];
  for (int s = 0; s < kWidthNodes; ++s)
    for (int share = 0; share < kShareNodes; ++share) {
      set_bell(table.step, s * kWidthStep, share / (kShareNodes - 1.0), bell);
      for (int x = 0; x < kDensityNodes; ++x) {
        float weight[kFractionCells] = {};
        for (int k = -bell.reach; k <= bell.reach; ++k) {
          const int from = x + k * bell.stride;
          if (from < 0 || from >= kDensityNodes) continue;
          const float part = bell.at[k + bell.reach];
          if (part < kNothing) continue;
          for (int i = 0; i < kFractionCells; ++i) weight[i] += part * scratch.weight[from][i];
        }
        cumulate(mixture, weight, {}, cumulative);
        table.node[s][x][share] = node_of(tell(mixture, cumulative));
      }
    }
}

PlaceOf<float> place(const WetnessTable &table, const Measured &load) noexcept { return place_of(table, load); }

Wetness look_up(const WetnessTable &table, const PlaceOf<float> &place) noexcept {
  return at_place(table, place);
}

}  // namespace volest
