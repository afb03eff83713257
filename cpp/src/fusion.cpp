#include "fusion.hpp"

#include "elementary.hpp"

namespace volest {
namespace {

constexpr double kCoverage95 = 1.959964;
constexpr double kLeastVolumeStd = 1e-9;     // m3,
constexpr double kLeastRelativeStd = 1e-6;   // and of the volume: sharper is no bell that nodes could find
constexpr double kMostRelativeStd = 0.3;     // of the volume; above it, it is too close to nothing to divide by
constexpr double kImplausibleSigmas = 3.3;   // of the log densities: one sound load in 2000
constexpr double kDisagreementSigmas = 3.0;  // of the measurement
constexpr double kMostDensity = 1800.0;      // kg/m3; no profile may believe in more: wet sand
constexpr double kDryTo = 0.4, kWetFrom = 0.6;
constexpr double kDecided = 0.7;  // the least probability at which a class is named

constexpr double kDensitySigmas = 7.0;  // of the measurement, within which the density is looked for
constexpr double kPriorSigmas = 7.0;    // of the log densities, likewise
constexpr double kMostNodes = 256.0;
constexpr float kLeastExponent = -87.0f;  // e to this power is nothing, and yet a normal float
constexpr double kNoDensity = 1e-12;      // kg/m3; less is nothing

double square(double x) { return x * x; }
double length(double x, double y) { return std::sqrt(x * x + y * y); }

// The expected specific volume of a log-normal bulk density, m3/kg.
double specific_volume(double median, double log_std) { return portable_exp(0.5 * square(log_std)) / median; }

double positive(double x) { return x > 0.0 ? x : 0.0; }

// A net mass is not negative: a reading below the tare leaves the interval of a load of nothing.
Quantity net_mass_of(double mass, double std) {
  const double value = positive(mass);
  return {value, std, positive(mass - kCoverage95 * std), value + kCoverage95 * std};
}

// The standard uncertainty, or more where the 95 % interval is wider than a normal one.
double symmetric_std(const Quantity &q) {
  return std::fmax(std::fmax(q.std, (q.upper95 - q.lower95) / (2.0 * kCoverage95)),
                   std::fmax(kLeastVolumeStd, kLeastRelativeStd * std::fabs(q.value)));
}

// What was measured: m3 and kg.
struct Load {
  double volume, volume_std, mass, mass_std;

  // The standard uncertainty of mass - rho volume.
  double std_at(double rho) const { return length(mass_std, rho * volume_std); }
  double likelihood(double rho) const {
    const double std = std_at(rho);
    return portable_exp(-0.5 * square((mass - rho * volume) / std)) / std;
  }
};

// Whether the mass is more than what the heaviest waste in this volume has, or less than the lightest.
Mismatch mismatch_of(const Mixture &mixture, const Load &load) {
  const double over = load.mass - mixture.most * load.volume, under = mixture.least * load.volume - load.mass;
  if (over > kDisagreementSigmas * load.std_at(mixture.most)) return Mismatch::kTooHeavy;
  if (under > kDisagreementSigmas * load.std_at(mixture.least)) return Mismatch::kTooLight;
  return Mismatch::kNone;
}

struct Range {
  double lower, upper;
};

// All densities at which mass - rho volume lies within so many standard deviations of nothing (Fieller 1954).
Range densities_within(const Load &load, double sigmas) {
  // The roots of a rho^2 - 2 b rho + c, and of the discriminant what its two large terms leave.
  const double v_std = sigmas * load.volume_std, m_std = sigmas * load.mass_std;
  const double a = square(load.volume) - square(v_std), b = load.mass * load.volume;
  const double c = square(load.mass) - square(m_std);
  const double root =
      std::sqrt(positive(square(load.volume * m_std) + square(load.mass * v_std) - square(v_std * m_std)));
  // The lower root, written so that a may be nothing or less: then nothing bounds the density above.
  return {b > 0.0 ? positive(c / (b + root)) : 0.0, a > 0.0 ? positive((b + root) / a) : HUGE_VAL};
}

// Mass over volume with its 95 % interval.
Quantity density_of(const Load &load) {
  const double value = load.mass / load.volume;
  const Range range = densities_within(load, kCoverage95);
  // But for rounding, the value lies between the two.
  return {positive(value), load.std_at(value) / load.volume, std::fmin(range.lower, positive(value)),
          std::fmax(range.upper, positive(value))};
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

// The cells' posterior probabilities, cumulative (kFractionCells + 1): the prior is uniform, the likelihood is
// that of the weighing and the volume, integrated over the log density by the midpoint rule. One node a
// standard deviation integrates a bell to 1e-8.
void cumulate(const Mixture &mixture, const Load &load, const Quantity &density, double *cumulative) {
  const Range range = densities_within(load, kDensitySigmas);
  const double begin = std::fmax(portable_log(std::fmax(range.lower, kNoDensity)), mixture.lowest);
  const double end = std::fmin(portable_log(std::fmax(range.upper, kNoDensity)), mixture.highest);
  // Two bells are multiplied: their inverse variances add. The likelihood's is taken two standard deviations
  // above its peak, for it narrows upwards.
  const double inverse_std = length(density.value / density.std + 2.0, 1.0 / mixture.least_std);
  const double nodes = std::fmin(std::ceil((end - begin) * inverse_std), kMostNodes);
  float weight[kFractionCells] = {};
  for (int k = 0; k < nodes; ++k) {
    const double x = begin + (k + 0.5) * (end - begin) / nodes;
    const double likelihood = load.likelihood(portable_exp(x)) * density.std * load.volume;  // at most about 1
    add_density(mixture, static_cast<float>(x), static_cast<float>(likelihood), weight);
  }
  cumulative[0] = 0.0;
  for (int i = 0; i < kFractionCells; ++i)
    cumulative[i + 1] = cumulative[i] + static_cast<double>(weight[i] * mixture.inverse_std[i]) *
                                            (mixture.edge[i + 1] - mixture.edge[i]);
  const double total = cumulative[kFractionCells];
  for (int i = 1; i <= kFractionCells; ++i)  // what says nothing leaves the prior
    cumulative[i] = total > 0.0 ? cumulative[i] / total : mixture.edge[i];
}

// The y at x of a line through points whose x rise; x lies among them.
double interpolate(const double *xs, const double *ys, double x) {
  int i = 0;
  while (i < kFractionCells - 1 && xs[i + 1] < x) ++i;
  const double step = xs[i + 1] - xs[i];
  return step > 0.0 ? ys[i] + (ys[i + 1] - ys[i]) * std::fmin((x - xs[i]) / step, 1.0) : ys[i];
}

const char *class_of(const Fused &fused) {
  if (fused.dry >= kDecided) return "dry";
  if (fused.mixed >= kDecided) return "mixed";
  return fused.wet >= kDecided ? "wet" : nullptr;
}

// What the cumulative posterior says, each cell's part of it spread evenly over the cell.
void tell_wetness(const Mixture &mixture, const double *cumulative, Fused &fused) {
  const double *edge = mixture.edge;
  double mean = 0.0, squares = 0.0;
  for (int i = 0; i < kFractionCells; ++i) {
    const double part = cumulative[i + 1] - cumulative[i], a = edge[i], b = edge[i + 1];
    mean += part * (a + b) / 2.0;
    squares += part * (a * a + a * b + b * b) / 3.0;
  }
  fused.wet_fraction = {mean, std::sqrt(positive(squares - mean * mean)), interpolate(cumulative, edge, 0.025),
                        interpolate(cumulative, edge, 0.975)};
  fused.dry = interpolate(edge, cumulative, kDryTo);
  fused.wet = 1.0 - interpolate(edge, cumulative, kWetFrom);
  fused.mixed = 1.0 - fused.dry - fused.wet;
  fused.waste_class = class_of(fused);
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

Mixture mix(const WasteDensities &waste) noexcept {
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
    m.least_std = i == 0 ? std : std::fmin(std, m.least_std);
    m.lowest = i == 0 ? low : std::fmin(low, m.lowest);
    m.highest = i == 0 ? high : std::fmax(high, m.highest);
  }
  m.least = waste.dry * portable_exp(-kImplausibleSigmas * waste.dry_log_std);
  m.most = std::fmin(waste.wet * portable_exp(kImplausibleSigmas * waste.wet_log_std), kMostDensity);
  return m;
}

NetMass net_mass(const Scale &scale, double gross, double gross_std) noexcept {
  const double net = gross - scale.tare;
  return {net, length(length(gross_std, scale.tare_std), scale.gain_std * net)};
}

Fused fuse(const Mixture &mixture, const Quantity &volume, double mass, double mass_std) noexcept {
  const Load load{volume.value, symmetric_std(volume), mass, mass_std};
  Fused fused{};
  fused.net_mass = net_mass_of(mass, mass_std);
  fused.mismatch = mismatch_of(mixture, load);
  fused.has_density = load.volume > 0.0 && load.volume_std <= kMostRelativeStd * load.volume;
  if (!fused.has_density) return fused;
  fused.density = density_of(load);
  fused.has_wetness = fused.mismatch == Mismatch::kNone;  // a density that no waste has says nothing of it
  if (!fused.has_wetness) return fused;
  double cumulative[kFractionCells + 1];
  cumulate(mixture, load, fused.density, cumulative);
  tell_wetness(mixture, cumulative, fused);
  return fused;
}

}  // namespace volest
