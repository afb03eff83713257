// Numbers with their uncertainty, and the arithmetic on them: of one load, or of four side by side with the
// same bits.
#pragma once

#include <cstdint>

namespace volest {

// Standard deviations that hold 95 % of a normal distribution to both sides.
constexpr double kCoverage95 = 1.959964;

typedef double Four __attribute__((vector_size(32)));
typedef float FourFloats __attribute__((vector_size(16)));
typedef std::int32_t FourInts __attribute__((vector_size(16)));

// A value, its standard uncertainty and its 95 % interval.
template <class T>
struct QuantityOf {
  T value, std, lower95, upper95;
};
using Quantity = QuantityOf<double>;

// What was measured of a load: m3 and kg, with standard uncertainties, which err independently of each other.
template <class T>
struct MeasuredOf {
  T volume, volume_std, mass, mass_std;
};
using Measured = MeasuredOf<double>;

template <class T>
struct RangeOf {
  T lower, upper;
};
using Range = RangeOf<double>;

// What is normally distributed and cannot be negative: value and interval are cut at nothing.
inline Quantity no_less_than_nothing(double value, double std) {
  const auto cut = [](double x) { return x > 0.0 ? x : 0.0; };
  return {cut(value), std, cut(value - kCoverage95 * std), cut(value + kCoverage95 * std)};
}

}  // namespace volest
