#include "plausibility.hpp"

namespace volest {
namespace {

constexpr double kWallDepth = 0.065;  // m; how deep inside a wall a ray must pass to count as impossible
constexpr double kBesideFrom = 0.085, kBesideTo = 0.4;  // m outside the inner walls; nearer are the wall tops
constexpr double kHighest = 1.0;                        // m above the wall tops; higher is no load

// Whether the ray to p crosses a wall, well below its top, that the sensor stands in front of.
bool passes_through_wall(const Bed &bed, Vec3 sensor, Vec3 p) {
  const double depth = kWallDepth * bed.scale;
  for (int w = 0; w < kWalls; ++w) {
    const double before = bed.walls[w].distance(sensor), behind = bed.walls[w].distance(p);
    if (!(before > 0.0) || behind > -depth - 2.0 * bed.wall_std[w]) continue;
    const double t = before / (before - behind);
    const Vec3 at{sensor.x + t * (p.x - sensor.x), sensor.y + t * (p.y - sensor.y),
                  sensor.z + t * (p.z - sensor.z)};
    const int across = w < kLeft ? kLeft : kFront;
    const double over = at.z - bed.rim_height(at.x, at.y);
    if (over < -depth && over > depth - bed.rim[0] && bed.walls[across].distance(at) > depth &&
        bed.walls[across + 1].distance(at) > depth)
      return true;
  }
  return false;
}

// Whether p is where load that hangs over a side wall or the tailgate would be. In front stands the cab.
bool is_beside(const Bed &bed, Vec3 p) {
  const double from = kBesideFrom * bed.scale, to = kBesideTo * bed.scale;
  const double over = p.z - bed.rim_height(p.x, p.y);
  if (over < from || over > kHighest * bed.scale || bed.walls[kFront].distance(p) < from) return false;
  for (int w = kRear; w < kWalls; ++w) {
    const double out = -bed.walls[w].distance(p);
    if (out > from + 2.0 * bed.wall_std[w] && out < to) return true;
  }
  return false;
}

}  // namespace

Plausibility judge_pose(const Bed &bed, const Cloud &cloud, const Pose &pose, bool rays) noexcept {
  Plausibility counts{};
  for (std::int64_t i = 0; i < cloud.count; ++i) {
    Vec3 p;
    if (!cloud.read(i, p)) continue;
    ++counts.valid;
    p = pose * p;
    if (bed.inside_walls(p) > 0.0 && p.z > -0.5 * bed.rim[0]) ++counts.inside;
    if (is_beside(bed, p)) ++counts.beside;
    if (rays && passes_through_wall(bed, pose.t, p)) ++counts.through;
  }
  return counts;
}

}  // namespace volest
