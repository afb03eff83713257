// From columns to the load's surface: what the rays say of each cell, what is a surface and what is dust, what
// lies hidden.
#pragma once

#include "raster.hpp"
#include "table.hpp"

namespace volest {

enum CellState : std::uint8_t {
  kOutside = 0,  // not over the bed
  kHidden = 1,   // in shadow from every sensor, or too far from any return
  kBetween = 2,  // no return of its own, but in sight and among returns
  kSeen = 3,     // with returns of its own
};

// What the rays say of each cell [grid.size()]: the height above which it holds nothing, and of the ray that
// told so how far beyond the cell it ended and how steeply it fell. The lowest ray decides; of equally low ones
// the one that ends nearest.
struct FreeAir {
  float *bound;    // m
  float *landing;  // m
  float *fall;     // m per m
};

// The rays of one sensor by where they end: their way in so many directions, and in rings one cell wide.
struct Fan {
  static constexpr int kWays = 256;
  std::uint32_t *key;    // [kWays * rings(grid)]
  std::uint32_t *sides;  // [the same] the greatest of each key and of those to either side
  // The farthest two places of the grid are less than nx + ny cells apart; the last two stay empty.
  static int rings(const Grid &g) { return g.nx + g.ny + 4; }
};

struct HeightMap {
  float *height;         // [grid.size()] m; surface of what lies in the bed
  float *variance;       // of the heights of the returns in the cell, m2; 0 where none
  std::uint32_t *count;  // returns that make the surface
  FreeAir air;           // what the rays say of the cell
  float *distance;       // to the nearest cell with returns, m
  std::uint8_t *state;   // CellState
};

struct SurfaceCounts {
  std::int64_t used;      // points that make the surface
  std::int64_t rejected;  // points above or below it that no surface explains: dust, rain, hoops, mixed returns
  std::int64_t hanging;   // of the rejected, those in the air above it
  std::int64_t unresolved;  // cells whose surface a second pass would tell better from what else returns there
};

// What is known of the surface where nothing was seen: it tends to `height` at `reach` from what was; reach 0:
// nothing.
struct SurfacePrior {
  double height, reach;  // m
};

// The cells of a grid as the fields of a chequerboard, those of either colour side by side: the cell (ix, iy)
// has the colour (ix + iy) & 1 and the index iy * stride + ix / 2, between empty ones.
struct Chequer {
  float *level[2], *thin[2], *share[2], *floor[2], *bound[2], *height[2];
  int stride, apart;  // from one row to the next, from one colour to the other

  static int stride_of(const Grid &g) { return (g.nx / 2 + 17) / 16 * 16; }
};

// Fields that lie side by side, as many as a vector holds, from the first on.
struct Block {
  int ix, iy;

  int at(int stride) const { return iy * stride + ix; }
};

// Room for what is needed only while a surface is made or judged. Pieces that are never needed at the same time
// share memory: of one stage none is left for the next but `runs`, for a second pass.
struct Scratch {
  Fan fan;
  std::int32_t *way;   // [grid.size()] direction of each cell as a sensor sees it
  std::int32_t *ray;   // [grid.size()] the lowest to it, or over it
  std::int32_t *span;  // [grid.size()] of how many directions to each side it takes
  std::int32_t *ring;  // [grid.size()] its distance
  float *far;          // [grid.size()] the same, m
  // Of each column [grid.size() + 4 * nx + 64]: its lowest and highest level, and of the 25 columns about it
  // the highest of the lowest ones, and the lowest of the highest.
  std::uint8_t *low, *high, *near_low, *near_high;
  std::uint8_t *company;  // [the same] returns of a column whose levels make one run, at most 3; else 0
  std::uint8_t *mixed, *near_mixed;  // [the same] 1 where the levels make several runs, and about it
  std::uint8_t *row;                 // [the same] of five side by side
  // On ever coarser grids [2 * grid.size() + 8 * (nx + ny) + 1024] the membrane, and the cells to be found.
  float *level, *thin, *known, *open, *share;
  std::int32_t *at, *above;
  std::int32_t *place;  // [grid.size()] where cells lie in the fan or in `fields`
  Chequer fields;
  Block *blocks;    // [fields.apart] of fields, where some are to be found
  Runs runs;        // [grid.size()] the surface where it is not resolved
  float *rows[10];  // [grid.size()] and 32 more on either side: sums over windows
  double *numbers;  // [4 * grid.size()] what sheets and windows are told by
};

}  // namespace volest
