// From voxel columns to the load's surface: what is a surface and what is dust, where it lies, what lies
// hidden.
#pragma once

#include "raster.hpp"

namespace volest {

enum CellState : std::uint8_t {
  kOutside = 0,  // not over the bed
  kHidden = 1,   // in shadow from every sensor, or too far from any return
  kBetween = 2,  // no return of its own, but in sight and among returns
  kSeen = 3,     // with returns of its own
};

struct HeightMap {
  float *height;         // [grid.size()] m; surface of what lies in the bed
  float *spread;         // standard deviation of the returns in the cell, m; 0 where none
  std::uint32_t *count;  // returns that make the surface
  FreeAir air;           // what the rays say of the cell
  float *distance;       // to the nearest cell with returns, m
  std::uint8_t *state;   // CellState
};

struct SurfaceCounts {
  std::int64_t used;      // points that make the surface
  std::int64_t rejected;  // points above or below it that no surface explains: dust, rain, hoops, mixed returns
  std::int64_t hanging;   // of the rejected, those in the air above it
};

// Picks in each column the run of voxels that is the surface: the highest that its neighbours support.
SurfaceCounts select_surface(const Bed &bed, const Voxels &voxels, HeightMap &map) noexcept;

// What is known of the surface where nothing was seen: it tends to `height` at `reach` from what was; reach 0:
// nothing.
struct SurfacePrior {
  double height, reach;  // m
};

// Fills the cells without returns by a membrane hung between those with returns, held down by `bound` and up by
// the empty bed; cells with returns keep their height. `sensors` are the origins of the rays, none if unknown.
void complete_surface(const Bed &bed, const Vec3 *sensors, int sensor_count, double ceiling, SurfacePrior prior,
                      HeightMap &map) noexcept;

}  // namespace volest
