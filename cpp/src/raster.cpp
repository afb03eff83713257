#include "raster.hpp"

namespace volest {
namespace {

constexpr double kShy = 2.0;  // cells before its end where a ray stops to bound: its end is the surface itself

// Whether a ray says more of a cell than the one that decides so far; ties are broken so that order does not
// matter.
bool is_lower(const FreeAir &air, int cell, float z, float landing, float fall) {
  if (z != air.bound[cell]) return z < air.bound[cell];
  if (landing != air.landing[cell]) return landing < air.landing[cell];
  return fall < air.fall[cell];
}

// Walks back from the hit towards the sensor, cell by cell, as long as the ray is low enough to matter.
void lower_bound_along(const Bed &bed, Vec3 sensor, Vec3 hit, double ceiling, FreeAir &air) {
  const Grid &g = bed.grid;
  const Vec3 back = sensor - hit;
  const double flat = std::sqrt(back.x * back.x + back.y * back.y);
  if (!(flat > kShy * g.cell) || !(back.z > 0.0)) return;
  // The stretch of the ray over the grid and below the ceiling, as parts of the way back.
  double from = kShy * g.cell / flat, to = std::fmin(1.0, (ceiling - hit.z) / back.z);
  const double low[2] = {g.x0, g.y0}, high[2] = {g.x0 + g.nx * g.cell, g.y0 + g.ny * g.cell};
  const double at[2] = {hit.x, hit.y}, way[2] = {back.x, back.y};
  for (int a = 0; a < 2; ++a) {
    if (std::fabs(way[a]) < 1e-12) {
      if (at[a] < low[a] || at[a] > high[a]) return;
      continue;
    }
    const double u = (low[a] - at[a]) / way[a], v = (high[a] - at[a]) / way[a];
    from = std::fmax(from, std::fmin(u, v));
    to = std::fmin(to, std::fmax(u, v));
  }
  // Outside the walls a ray says nothing: it may pass beneath one that leans.
  for (const Plane &wall : bed.walls) {
    const double at_hit = wall.distance(hit), at_sensor = wall.distance(sensor), across = at_sensor - at_hit;
    if (across > 0.0)
      from = std::fmax(from, -at_hit / across);
    else if (across < 0.0)
      to = std::fmin(to, -at_hit / across);
    else if (at_hit < 0.0)
      return;
  }
  const double step = g.cell / flat;
  const float fall = static_cast<float>(back.z / flat);
  for (double t = from; t < to; t += step) {
    const int cell = g.index(hit.x + t * back.x, hit.y + t * back.y);
    if (cell < 0) continue;
    const float z = static_cast<float>(hit.z + t * back.z), landing = static_cast<float>(t * flat);
    if (!is_lower(air, cell, z, landing, fall)) continue;
    air.bound[cell] = z;
    air.landing[cell] = landing;
    air.fall[cell] = fall;
  }
}

}  // namespace

PassCounts rasterise(const Bed &bed, const Cloud &cloud, const Pose &pose, bool rays, Voxels &voxels,
                     FreeAir &air) noexcept {
  PassCounts counts{};
  const double ceiling = voxels.z0 + voxels.nz * voxels.dz;
  for (std::int64_t i = 0; i < cloud.count; ++i) {
    Vec3 p;
    if (!cloud.read(i, p)) continue;
    ++counts.valid;
    p = pose * p;
    if (rays && pose.t.z > p.z) lower_bound_along(bed, pose.t, p, ceiling, air);
    const int cell = bed.grid.index(p.x, p.y);
    if (cell < 0 || bed.inside_opening(p.x, p.y) < 0.0) continue;
    if (bed.on_wall(p)) {
      ++counts.wall;
      continue;
    }
    const double level = (p.z - voxels.z0) / voxels.dz;
    if (!(level >= 0.0 && level < voxels.nz)) {
      ++counts.stray;
      continue;
    }
    const int k = static_cast<int>(level);
    if (bed.fixtures[cell] >> k & 1) {
      ++counts.fixture;
      continue;
    }
    const auto part = static_cast<std::uint64_t>((level - k) * Voxels::kSteps);
    voxels.mask[cell] |= std::uint64_t{1} << k;
    voxels.column[static_cast<std::ptrdiff_t>(cell) * voxels.nz + k] +=
        (std::uint64_t{1} << Voxels::kCountShift) + part;
    ++counts.load;
  }
  return counts;
}

}  // namespace volest
