// A dirty window: a part of a sensor's view from which nothing comes back, or only from near.
#pragma once

#include "surface.hpp"

namespace volest {

struct Kernels;

// The view of a sensor, drawn stereographically in bins about the third of its axes.
struct BinnedView {
  float axes[9];        // right, up, forward: rows
  float bins;           // for each unit of the projection
  float least[2];       // where they begin, in bins from the middle
  std::int32_t ni, nj;  // how many there are along each axis
};

// The scans of one sensor, all taken from one place.
struct Sighting {
  Pose pose;
  const Cloud *scans;
  int count;
};

// Room for the bins of a view.
struct ViewRoom {
  // 181 x 181 reach 130 degrees from the middle of the view to all sides. What spreads wider lies all around
  // the sensor, and is not judged.
  static constexpr int kBins = 1 << 15;
  std::uint32_t *returns, *usual;  // [kBins] from each bin, and those that tell what is usual
  std::uint8_t *marks;             // [kBins] what each is
};

// Whether two by two bins, seen from a distance [m], fit into the cells without returns; `begins` is room for
// [grid.size()].
bool may_be_blind(const Grid &grid, const std::uint8_t *state, double distance, std::uint8_t *begins) noexcept;

// How much of a load's surface lies where a sensor is blind though its view goes on around, m2. Uses of
// `scratch` what is free once a surface is made: rows, low, high, row, at and numbers.
double blind_area(const Grid &grid, const HeightMap &map, const Sighting *sensors, int count,
                  const Kernels &kernels, const Scratch &scratch, const ViewRoom &room) noexcept;

}  // namespace volest
