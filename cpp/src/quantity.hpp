// Numbers with their uncertainty, and the arithmetic on them: of one load, or of four side by side with the
// same bits.
#pragma once

#include <cstdint>

namespace volest {

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

}  // namespace volest
