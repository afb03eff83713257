// A lattice of voxels over points, and what is summed up in each.
#pragma once

#include "geometry.hpp"

namespace volest {

// The box that holds the points.
struct Span {
  float low[3], high[3];
  bool sound;  // no coordinate is 0, NaN, infinite or absurd: each row is a measurement
};

// The box of voxels that spans the points; voxel (i, j, k) has index ((i - low[0]) * n[1] + j - low[1]) * n[2]
// + k - low[2].
struct Lattice {
  static constexpr int kStepBits = 16, kSteps = 1 << kStepBits;  // into which a voxel's edge is divided
  static constexpr std::int64_t kReach = 32767;  // voxels from the origin up to which steps fit 32 bits

  double size_m;
  float scale;  // steps to the metre
  std::int64_t low[3], n[3];

  // A coordinate in steps: which voxel above, and where in it in the kStepBits below. Exact but for one
  // rounding.
  static std::int64_t steps(float metres, float scale) {
    const float steps = metres * scale;
    const auto whole = static_cast<std::int64_t>(steps);
    return whole - (static_cast<float>(whole) > steps);
  }
};

// Sums of the offsets of a voxel's points in steps, and how many they are.
struct alignas(16) VoxelSums {
  static constexpr std::uint32_t kMost = 0x7FFF;  // points whose sums certainly fit

  std::uint32_t offset[3], count;
};

}  // namespace volest
