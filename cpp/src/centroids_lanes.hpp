// The three loops that voxel_centroids spends its time in: for any CPU, and in wider lanes for those that have
// them.
#pragma once

#include "geometry.hpp"

namespace volest::centroids {

constexpr int kStepBits = 16;
constexpr int kSteps = 1 << kStepBits;          // into which a voxel's edge is divided
constexpr std::uint32_t kMostInVoxel = 0x7FFF;  // points whose sums certainly fit

// The box that holds the points.
struct Span {
  float low[3], high[3];
  bool sound;  // no coordinate is 0, NaN, infinite or absurd: each row is a measurement
};

// The box of voxels that spans the points; voxel (i, j, k) has index ((i - low[0]) * n[1] + j - low[1]) * n[2]
// + k - low[2].
struct Lattice {
  double size_m;
  float scale;  // steps to the metre
  std::int64_t low[3], n[3];
};

// Sums of the offsets of a voxel's points in steps, and how many they are.
struct alignas(16) Sums {
  std::uint32_t offset[3], count;
};

// A coordinate in steps: which voxel above, and where in it in the kStepBits below. Exact but for one rounding.
inline std::int64_t place(float metres, float scale) {
  const float steps = metres * scale;
  const auto whole = static_cast<std::int64_t>(steps);
  return whole - (static_cast<float>(whole) > steps);
}

struct Kernels {
  Span (*survey)(const float *xyz, std::int64_t count);
  void (*add)(const float *xyz, std::int64_t count, const Lattice &lattice, Sums *sums);
  // Sets a bit for each voxel that holds points, 64 voxels to the word; returns all their counts or'ed.
  std::uint32_t (*mark)(const Sums *sums, std::size_t words, std::uint64_t *occupied);
};

Kernels portable_kernels();
// What this CPU does best.
Kernels widest_kernels();

}  // namespace volest::centroids
