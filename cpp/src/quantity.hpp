// Numbers with their uncertainty.
#pragma once

#include <cmath>

namespace volest {

constexpr double kCoverage95 = 1.959964;

// A value, its standard uncertainty and its 95 % interval.
struct Quantity {
  double value, std, lower95, upper95;
};

// What was measured of a load: m3 and kg, with standard uncertainties, which err independently of each other.
struct Measured {
  double volume, volume_std, mass, mass_std;
};

inline double square(double x) noexcept { return x * x; }
inline double length(double x, double y) noexcept { return std::sqrt(x * x + y * y); }
inline double positive(double x) noexcept { return x > 0.0 ? x : 0.0; }
// The greater, or b where a is no number.
inline double greater(double a, double b) noexcept { return a > b ? a : b; }
inline double lesser(double a, double b) noexcept { return a < b ? a : b; }

// The standard uncertainty of mass - rho volume.
inline double std_at(const Measured &load, double rho) noexcept {
  return length(load.mass_std, rho * load.volume_std);
}

struct Range {
  double lower, upper;
};

// All densities at which mass - rho volume lies within so many standard deviations of nothing (Fieller 1954).
inline Range densities_within(const Measured &load, double sigmas) noexcept {
  // The roots of a rho^2 - 2 b rho + c, and of the discriminant what its two large terms leave.
  const double v_std = sigmas * load.volume_std, m_std = sigmas * load.mass_std;
  const double a = square(load.volume) - square(v_std), b = load.mass * load.volume;
  const double c = square(load.mass) - square(m_std);
  const double root =
      std::sqrt(positive(square(load.volume * m_std) + square(load.mass * v_std) - square(v_std * m_std)));
  // The lower root, written so that a may be nothing or less: then nothing bounds the density above.
  return {b > 0.0 ? positive(c / (b + root)) : 0.0, a > 0.0 ? positive((b + root) / a) : HUGE_VAL};
}

}  // namespace volest
