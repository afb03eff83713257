// A few seconds of a series of weights: what is a spike, what is cut off, the mean and how far it is to be
// trusted.
//
// Nothing here allocates or throws, and the bits are the same everywhere.
#pragma once

#include <cstdint>

namespace volest {

struct WeightSample {
  double time;   // s
  double gross;  // kg
};

// A part of a series, weighed by itself.
struct WeighedBlock {
  double mean, variance;  // variance without what rounding leaves
  double rounding;        // standard uncertainty, in common with the other blocks
  double scatter;         // variance of the samples
};

constexpr double kSlowest = 1.0;     // Hz, of the bounces of a loaded truck on its springs
constexpr double kTiny = 1e-6;       // kg
constexpr std::int64_t kFewest = 8;  // samples of a block

inline double square(double x) noexcept { return x * x; }

// The median; puts the values into another order.
double median(double *values, std::int64_t n) noexcept;

// That of what the values are off `from`, which takes their place.
double median_deviation(double *values, std::int64_t n, double from) noexcept;

// What lies within these is no spike.
struct SpikeLimits {
  double low, high;
  bool hold(const WeightSample &x) const { return x.gross >= low && x.gross <= high; }
};

// `numbers`: room for n.
SpikeLimits spike_limits(const WeightSample *s, std::int64_t n, double resolution, double *numbers) noexcept;

// Where the readings are cut off at the top, or 0: they dwell at their highest and hardly below it, but come
// from far below.
double cut_off(const WeightSample *s, std::int64_t n, const SpikeLimits &limits, double resolution) noexcept;

// Samples from `start` on, at least one, and no more than `duration` after it.
struct BlockWindow {
  double start, duration;
  // -1 to 1
  double place(double time) const { return duration > 0.0 ? 2.0 * (time - start) / duration - 1.0 : 0.0; }
  // The biweight: as smooth at its ends as Hann's, and needs no sine.
  static double taper(double u) { return square(1.0 - u * u) + 1e-6; }
};

// Weighs samples free of spikes, sorted by time.
WeighedBlock weigh_block(const WeightSample *s, std::int64_t n, const BlockWindow &window,
                         double resolution) noexcept;

}  // namespace volest
