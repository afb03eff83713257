#include "sifted.hpp"

#include <algorithm>

#include "raster.hpp"

namespace volest {

Zone zone_of(const Bed &bed, double low, double high, double margin, double about) noexcept {
  const Grid &g = bed.grid;
  const double least[2] = {g.x0, g.y0}, edge[2] = {g.nx * g.cell, g.ny * g.cell};
  Zone zone{};
  for (int axis = 0; axis < 2; ++axis) {
    zone.middle[axis] = least[axis] + 0.5 * edge[axis];
    zone.inner[axis] = zone.outer[axis] = 0.5 * edge[axis];
  }
  for (int w = 0; w < kWalls; ++w) {
    const int axis = w < kLeft ? 0 : 1;
    const WallReach in = wall_reach(bed, w, std::fmax(about, bed.skin[w]), low, high),
                    off = wall_reach(bed, w, -kBesideTo * bed.scale, low, high);
    const double sign = (axis == 0 ? bed.walls[w].n.x : bed.walls[w].n.y) > 0.0 ? -1.0 : 1.0;
    zone.inner[axis] = std::fmin(zone.inner[axis], sign * (in.farthest - zone.middle[axis]));
    zone.outer[axis] = std::fmax(zone.outer[axis], sign * (off.nearest - zone.middle[axis]));
  }
  for (double &half : zone.outer) half += margin;
  return zone;
}

namespace {

// How far along a ray from `at` in a direction `d` it leaves the zone, m; 0 where it never enters it.
double leaves(const Zone &zone, Vec3 at, Vec3 d) {
  double from = 0.0, to = static_cast<double>(Cloud::farthest);
  const double start[2] = {at.x, at.y}, step[2] = {d.x, d.y};
  for (int axis = 0; axis < 2; ++axis) {
    const double off = zone.middle[axis] - start[axis], low = off - zone.outer[axis],
                 high = off + zone.outer[axis];
    if (std::fabs(step[axis]) < 1e-9) {
      if (low > 0.0 || high < 0.0) return 0.0;
      continue;
    }
    const double a = low / step[axis], b = high / step[axis];
    from = std::fmax(from, std::fmin(a, b));
    to = std::fmin(to, std::fmax(a, b));
  }
  return from < to ? to : 0.0;
}

}  // namespace

void look_along_rays(const float *directions, std::int64_t count, const Zone &zone, const Pose &pose,
                     std::uint32_t *range) noexcept {
  constexpr double kShare = 1e-4, kSlack = 2.0;  // mm; floats round
  for (std::int64_t block = 0; block < RayReach::blocks(count); ++block) {
    double farthest = 0.0;
    const std::int64_t end = std::min((block + 1) * RayReach::kRays, count);
    for (std::int64_t i = block * RayReach::kRays; i < end; ++i) {
      const float *d = directions + 3 * i;
      const Vec3 way =
          pose.rotate({static_cast<double>(d[0]), static_cast<double>(d[1]), static_cast<double>(d[2])});
      farthest = std::fmax(farthest, leaves(zone, pose.t, way));
    }
    const double mm = 1e3 * farthest * (1.0 + kShare) + (farthest > 0.0 ? kSlack : 0.0);
    range[block] = mm < 4e9 ? static_cast<std::uint32_t>(mm) : 0xFFFFFFFFu;
  }
}

}  // namespace volest
