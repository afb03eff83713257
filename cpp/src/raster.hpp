// The points over the bed: each falls into a cell, and what is no load is counted by what it is.
#pragma once

#include "sifted.hpp"

namespace volest {

// What the returns over one cell add up to. Heights are counted in steps, 1/1024 of a level, above the lowest
// level's floor: sums of integers do not depend on the order of the points.
struct alignas(32) Cell {
  std::uint64_t sum;      // number of returns (upper 24 bits) and sum of their heights, steps
  std::uint64_t squares;  // sum of the squares of their heights
  std::uint64_t mask;     // bit k: level k holds returns
  std::uint32_t low;      // lowest return of a wall or from outside the opening, steps; kNoLow: none
  std::uint32_t seen_by;  // bit s: sensor s has returns of its own here; all: no matter which

  static constexpr int kCountShift = 40;
  static constexpr std::uint64_t kSumMask = (std::uint64_t{1} << kCountShift) - 1;
  static constexpr std::uint32_t kNoLow = 0xFFFFFFFFu;
  static constexpr int kStepShift = 10;
  static constexpr int kSteps = 1 << kStepShift;  // in a level

  std::int64_t count() const { return static_cast<std::int64_t>(sum >> kCountShift); }
  std::uint64_t steps() const { return sum & kSumMask; }
};

struct Columns {
  double z0, dz;  // height of the lowest level's floor and depth of a level, m
  int nz;         // levels, at most 64
  Cell *cell;     // [grid.size()]

  double ceiling() const { return z0 + nz * dz; }
  double height(double steps) const { return z0 + steps * (dz / Cell::kSteps); }
};

// What the points of a scan are; where they were thinned, what all of them would be about.
struct PassCounts {
  std::int64_t load;     // points inside the opening that fell into a cell
  std::int64_t wall;     // points on the walls
  std::int64_t fixture;  // points on what stands in the empty bed's air: hoops, a tarp roll
  std::int64_t stray;    // points inside the opening, above or below all levels
  std::int64_t inside;   // points between the walls, above the floor
  std::int64_t beside;   // points just outside the side walls and the tailgate, above their tops
  std::int64_t through;  // points whose ray would have had to pass through a wall: the bed cannot be there

  // Adds what points show that are thinned by so many halvings.
  void add(const PassCounts &o, int halvings) {
    load += o.load << halvings;
    wall += o.wall << halvings;
    fixture += o.fixture << halvings;
    stray += o.stray << halvings;
    inside += o.inside << halvings;
    beside += o.beside << halvings;
    through += o.through << halvings;
  }
};

// The levels of each cell [grid.size()] that are its surface, both included; low above high: none is looked
// for.
struct Runs {
  std::uint8_t *low, *high;
};

// The most points that one cell may hold before its sums could overflow.
constexpr std::int64_t kCellCapacity = (std::int64_t{1} << 24) - 1;

// How deep behind a wall, and how far below its top, a ray must have passed to count as impossible; m.
constexpr double kWallDepth = 0.065;
// Load that hangs over: so far outside the inner walls (nearer are the wall tops) and so high above them;
// farther away nothing is looked at; m.
constexpr double kBesideFrom = 0.085, kBesideTo = 0.4, kBesideHigh = 1.0;

}  // namespace volest
