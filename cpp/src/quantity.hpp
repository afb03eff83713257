// A measured value with its uncertainty.
#pragma once

namespace volest {

// Standard deviations that hold 95 % of a normal distribution to both sides.
constexpr double kCoverage95 = 1.959964;

// A value, its standard uncertainty and its 95 % interval.
struct Quantity {
  double value, std, lower95, upper95;
};

// What is normally distributed and cannot be negative: value and interval are cut at nothing.
inline Quantity no_less_than_nothing(double value, double std) {
  const auto cut = [](double x) { return x > 0.0 ? x : 0.0; };
  return {cut(value), std, cut(value - kCoverage95 * std), cut(value + kCoverage95 * std)};
}

}  // namespace volest
