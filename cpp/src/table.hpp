// What of a bed's cells does not depend on any load, worked out once.
#pragma once

#include "bed.hpp"

namespace volest {

enum class CellKind : std::uint8_t {
  kOut = 0,     // not over the opening
  kInner = 1,   // all of it over the floor, inside the opening
  kBorder = 2,  // looked at in places
};

// A border cell is looked at in kSub x kSub places.
constexpr int kSub = 5, kPlaces = 32;
struct Places {
  float area[kPlaces];             // m2 that count; 0 for places outside the opening
  float dx[kPlaces], dy[kPlaces];  // m from the cell's middle
  float empty[kPlaces];            // m, height of floor or wall
  float least[kPlaces];            // m, of the depth: 0 over a wall, so that what lies below it is nothing
};

struct CellTable {
  CellKind *kind;  // [grid.size()], with room for 64 more on either side
  // Of each cell [grid.size()], with room for sixteen more on either side:
  float *opening;        // m inside the opening
  float *top;            // m, the plane of the wall tops over the cell's middle
  float *area;           // m2 of it that count
  float *inner;          // the same of inner cells, 0 of others
  float *floor;          // m, the empty bed's
  float *open;           // with room for a row more: 1 over the opening, 0 elsewhere
  std::int32_t *border;  // [grid.size()] index into `places` of border cells
  Places *places;        // [capacity(grid)]
  int places_used;
  double footprint, struck_capacity;  // m2, m3
  bool has_fixtures;

  // Cells along four walls, as many side by side as a leaning wall may cover; the rest is worked out each time.
  static int capacity(const Grid &g) { return g.size() < 4 * (g.nx + g.ny) ? g.size() : 4 * (g.nx + g.ny); }
};

void fill_table(const Bed &bed, CellTable &table) noexcept;

// The places of a border cell.
void fill_places(const Bed &bed, int ix, int iy, Places &places) noexcept;

}  // namespace volest
