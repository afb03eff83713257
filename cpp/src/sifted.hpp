// The points of one scan that tell of the bed and its load, as the sensor has them: all that later stages look
// at, however many points the scan has.
#pragma once

#include "bed.hpp"

namespace volest {

// No more points than there is room for: when it is full half of them go, by the hash of their coordinates, so
// that which of them stay does not depend on their order.
struct Stream {
  float *x, *y, *z;  // [capacity + kStreamRoom] m
  int capacity, count;
  std::uint32_t keep;  // those stay whose hash has no other bits

  static constexpr std::uint32_t kAll = 0xFFFFFFFFu;
  void clear() {
    count = 0;
    keep = kAll;
  }
  // Each point stands for so many: 1 << halvings().
  int halvings() const { return keep == 0 ? 32 : __builtin_clz(keep); }
};
constexpr int kStreamRoom = 512;  // for a block of points more, and to be read beyond the last

struct Sifted {
  Stream amid;     // well inside all walls: load, and what hangs over it
  Stream outline;  // about walls and wall tops, and just outside of them

  void clear() {
    amid.clear();
    outline.clear();
  }
  // So many points a cell tell all that its surface shows.
  static int amid_capacity(const Grid &g) { return g.size() < 2048 ? 16384 : 8 * g.size(); }
  static int outline_capacity(const Grid &g) {
    return g.size() < 8192 ? 32768 : (g.size() < 16384 ? 4 * g.size() : 65536);
  }
};

// Where points tell of the bed: rectangles about one middle. Between inner and outer they may be of its
// outline, within inner only of the load.
struct Zone {
  double middle[2], inner[2], outer[2];  // x and y; halves of its edges, m
};

// The zone of a bed whose pose may be `margin` off; up to `about` inside a wall points may be of it. m.
Zone zone_of(const Bed &bed, double low, double high, double margin, double about) noexcept;

// For each block of rays in these directions [3 * count], from a sensor at this pose: the range, mm, from which
// on all of them end outside of the zone; 0 where none ever enters it.
void look_along_rays(const float *directions, std::int64_t count, const Zone &zone, const Pose &pose,
                     std::uint32_t *range) noexcept;

}  // namespace volest
