// One pass over the points: each falls into a voxel over the bed, and its ray lowers the bound of what it
// crossed.
#pragma once

#include "bed.hpp"

namespace volest {

// Columns of voxels over the bed's grid. A voxel packs its count of points (upper 24 bits) with the sum of
// their heights above its floor in 1/65536 of its depth: sums of integers do not depend on the order of the
// points.
struct Voxels {
  double z0, dz;          // height of the lowest voxel's floor and depth of a voxel, m
  int nz;                 // at most 64
  std::uint64_t *column;  // [grid.size()][nz]
  std::uint64_t *mask;    // [grid.size()]; bit k: level k holds points

  static constexpr int kCountShift = 40;
  static constexpr std::uint64_t kSumMask = (std::uint64_t{1} << kCountShift) - 1;
  static constexpr double kSteps = 65536.0;

  static std::uint32_t count(std::uint64_t v) { return static_cast<std::uint32_t>(v >> kCountShift); }
  // Sum of the heights of level k's points, m.
  double height_sum(std::uint64_t v, int k) const {
    return count(v) * (z0 + k * dz) + static_cast<double>(v & kSumMask) * (dz / kSteps);
  }
};

// What the rays say of each cell [grid.size()]: the height above which it holds nothing, and of the ray that
// told so how far beyond the cell it ended and how steeply it fell. The lowest ray decides; of equally low ones
// the one that ends nearest.
struct FreeAir {
  float *bound;    // m
  float *landing;  // m
  float *fall;     // m per m
};

struct PassCounts {
  std::int64_t valid;    // points that are measurements
  std::int64_t load;     // points inside the bed's outline that fell into a voxel
  std::int64_t wall;     // points on the walls
  std::int64_t fixture;  // points on what stands in the empty bed's air: hoops, a tarp roll
  std::int64_t stray;    // points inside the outline, above or below all voxels
};

// The most points that one voxel may hold before its sum could overflow.
constexpr std::int64_t kVoxelCapacity = (std::int64_t{1} << 24) - 1;

// Adds the points of one scan, seen from pose.t when `rays` is set, to the voxels and to the free air.
PassCounts rasterise(const Bed &bed, const Cloud &cloud, const Pose &pose, bool rays, Voxels &voxels,
                     FreeAir &air) noexcept;

}  // namespace volest
