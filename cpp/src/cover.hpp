// A sheet over the bed, told from a load by what no load does.
#pragma once

#include "surface.hpp"

namespace volest {

enum class Cover { kNone, kLikely, kSure };

// A cell near a wall, and one further in on the way across the bed.
struct EdgePair {
  std::int32_t near, further;    // indices into the height map
  double rim_near, rim_further;  // m, the plane of the wall tops over them
  double inside, run;  // how far from the wall the near one is, and how far from it the other one, m at the
                       // scale of a truck bed
};

// What of a bed a sheet is told by, the same for every load.
struct Edge {
  EdgePair *pairs;       // [capacity(grid)]
  std::int32_t *middle;  // [grid.size()] the cells far from all walls
  int pair_count, middle_count;

  static constexpr double kWidth = 0.15;  // m from the walls at the scale of a truck bed, the largest
  // Cells so near to four walls that lie about along the grid.
  static int capacity(const Grid &g) {
    const double deep = kWidth / g.cell + 2.0, most = 2.0 * (g.nx + g.ny) * deep;
    return most < g.size() ? static_cast<int>(most) : g.size();
  }
};

void fill_edge(const Bed &bed, Edge &edge) noexcept;

// Whether a surface is a sheet from wall to wall.
//
// A sheet is smooth, meets the wall tops all around, and sags or rises gently between them. Heaps that reach
// the wall tops all around rise from them as steeply as they can stand; those that do not, meet walls at many
// heights.
Cover cover_of(const Bed &bed, const Edge &edge, const HeightMap &map, const Scratch &scratch) noexcept;

}  // namespace volest
