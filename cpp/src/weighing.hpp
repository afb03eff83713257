// The gross mass at rest, from a series of readings that bounces, spikes, drops out, sticks and drifts.
//
// The series is cut into blocks of a few bounces; each gives a tapered mean with its standard uncertainty, and
// what the means scatter beyond that is drift (random effects). docs/weights.md tells the method.
//
// Nothing here allocates or throws; the work is bounded by the samples', and the bits are the same everywhere.
#pragma once

#include <array>
#include <cstdint>

#include "weighed_block.hpp"

namespace volest {

constexpr double kMaxGross = 200000.0;  // kg; no truck on a scale weighs so much
constexpr double kLatest = 1e12;        // s, 30,000 years: no clock

// Why a mass is not to be trusted, as bits.
enum WeightFlag : std::uint32_t {
  kWeightMissing = 1,     // no sample could be used
  kWeightMoving = 2,      // the truck moved in every sample that could have been; comes with kWeightMissing
  kWeightDrifts = 4,      // the level drifts or jumps by more than the resolution
  kWeightLost = 8,        // fewer than half of the samples at rest could be used
  kWeightStuck = 16,      // the reading stood still as no truck does, for too long
  kWeightSaturated = 32,  // the reading was cut off at full scale, too often
  kWeightShort = 64,      // shorter than a bounce
  kWeightClock = 128,     // the clock went back
  kWeightSwings = 256,    // it swings as no truck at rest does
  kWeightWide = 512,      // the uncertainty exceeds 1 % of the mass
};

struct GrossMass {
  double kg, std;     // std with drift and resolution; 0, 0 when missing
  double drift;       // kg, 1 sigma, where it is significant; else 0
  std::int64_t used;  // samples
  std::int64_t rest;  // samples in which the truck did not move, usable or not
  std::uint32_t flags;
};

// Readings as they came, `count` of each; `moving` may be null. What is no mass (not above 0, not below
// kMaxGross, no time) is a dropout.
struct WeightSeries {
  const double *time;   // s
  const double *gross;  // kg
  const bool *moving;
  std::int64_t count;
};

// Room for the work on a series of `count` samples: so many samples and numbers, and weighing_blocks(count).
struct WeighingWorkspace {
  WeightSample *samples;
  double *numbers;
  WeighedBlock *blocks;
};
constexpr std::int64_t weighing_blocks(std::int64_t count) noexcept { return count / 8 + 1; }

// `resolution`: the scale's steps, kg; 0 when it has none.
GrossMass settle(const WeightSeries &series, double resolution, const WeighingWorkspace &workspace) noexcept;

// The last kKept samples of a scale, sample by sample, in 110 kB. settle() gives the bits of the free function
// on these samples.
class Weighing {
 public:
  static constexpr std::int64_t kKept = 2048;

  void add(double time, double gross, bool moving) noexcept;
  void clear() noexcept;
  std::int64_t count() const noexcept { return count_; }
  GrossMass settle(double resolution) noexcept;

 private:
  std::int64_t count_ = 0, next_ = 0;
  std::array<double, kKept> time_{}, gross_{};
  std::array<bool, kKept> moving_{};
  std::array<WeightSample, kKept> samples_{};
  std::array<double, kKept> numbers_{};
  std::array<WeighedBlock, weighing_blocks(kKept)> blocks_{};
};

}  // namespace volest
