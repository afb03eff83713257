#include "surface.hpp"

namespace volest {
namespace {

constexpr int kWindow = 2;        // cells to each side that are asked for support
constexpr int kNear = 2;          // voxels up and down that count as the same height
constexpr double kSupport = 0.5;  // part of the neighbours with returns that must be at the same height
// Returns at the same height that one must have, in its cell or, a cell each, around it.
constexpr std::int64_t kCompany = 2;
constexpr double kThin = 0.2;    // part of the cells with returns below which a cloud is thin
constexpr double kUnder = 0.05;  // m; a ray that passed this far beneath returns passed through what they show
constexpr std::int64_t kCrowd =
    12;                            // returns about a cell that are believed against such rays: one may be false
constexpr double kPerched = 0.3;   // m above the load further in: more than load at the edge can stand
constexpr double kThick = 0.3;     // m; a layer of this depth shows nothing of the floor below
constexpr int kRelaxations = 120;  // sweeps of the membrane
constexpr double kOverrelax = 1.85;

struct Run {
  int low, high;  // levels, both included; low < 0: none
};

// The highest run of occupied levels in `mask`, gaps of one level bridged; {-1, -1} for an empty mask.
Run highest_run(std::uint64_t mask) {
  int level = 63;
  while (level >= 0 && !(mask >> level & 1)) --level;
  Run run{level, level};
  for (int k = level - 1; k >= 0 && run.low - k <= 2; --k)
    if (mask >> k & 1) run.low = k;
  return run;
}

// Bits low to high, both included and cut to what exists.
std::uint64_t levels(int low, int high) {
  if (low < 0) low = 0;
  if (high > 63) high = 63;
  return (~std::uint64_t{0} >> (63 - high)) & (~std::uint64_t{0} << low);
}

// How many returns at its height one must have for company. Where the cloud is so thin that cells with returns
// have hardly any neighbours, a surface shows no more than one.
std::int64_t company_due(const Bed &bed, const Voxels &voxels) {
  int with = 0, inside = 0;
  for (int iy = 0; iy < bed.grid.ny; ++iy)
    for (int ix = 0; ix < bed.grid.nx; ++ix) {
      if (bed.inside_opening(bed.grid.centre_x(ix), bed.grid.centre_y(iy)) < 0.0) continue;
      ++inside;
      with += voxels.mask[iy * bed.grid.nx + ix] != 0;
    }
  return with < kThin * inside ? 1 : kCompany;
}

// Whether the neighbouring columns that have points have them at the run's height: sensors draw lines, dust
// stands alone, or in twos by chance where nothing else was hit.
bool is_supported(const Grid &g, const std::uint64_t *mask, int ix, int iy, Run run, std::int64_t returns,
                  std::int64_t company) {
  const std::uint64_t wanted = levels(run.low - kNear, run.high + kNear);
  int with = 0, near = 0;
  for (int y = iy - kWindow; y <= iy + kWindow; ++y)
    for (int x = ix - kWindow; x <= ix + kWindow; ++x) {
      if ((x == ix && y == iy) || x < 0 || y < 0 || x >= g.nx || y >= g.ny) continue;
      const std::uint64_t column = mask[y * g.nx + x];
      with += column != 0;
      near += (column & wanted) != 0;
    }
  return near > 0 && near >= kSupport * with && near + returns > company;
}

// Levels that no ray passed beneath: a surface is opaque, and what floats above it a hoop, a branch or dust.
std::uint64_t grounded_levels(const Bed &bed, const Voxels &v, float bound) {
  const double floating = std::ceil((bound + kUnder * bed.scale - v.z0) / v.dz);
  return floating < 1.0 ? 0 : levels(0, static_cast<int>(std::fmin(floating, 64.0)) - 1);
}

// Whether many returns about the column lie at the run's height, and most of all of them.
bool is_crowd(const Grid &g, const Voxels &v, int ix, int iy, Run run) {
  std::int64_t near = 0, all = 0;
  for (int y = iy - kWindow; y <= iy + kWindow; ++y)
    for (int x = ix - kWindow; x <= ix + kWindow; ++x) {
      if (x < 0 || y < 0 || x >= g.nx || y >= g.ny) continue;
      const std::uint64_t *column = v.column + static_cast<std::ptrdiff_t>(y * g.nx + x) * v.nz;
      for (int k = 0; k < v.nz; ++k) {
        const std::int64_t n = Voxels::count(column[k]);
        all += n;
        if (k >= run.low - kNear && k <= run.high + kNear) near += n;
      }
    }
  return near >= kCrowd && 2 * near > all;
}

// The highest run of a column that its neighbours support and that does not float; low < 0: none.
Run choose_run(const Bed &bed, const Voxels &v, std::int64_t company, std::uint64_t grounded, int ix, int iy) {
  const Grid &g = bed.grid;
  const int i = iy * g.nx + ix;
  const std::uint64_t *column = v.column + static_cast<std::ptrdiff_t>(i) * v.nz;
  const auto highest = [&](std::uint64_t left, bool floats) {
    while (left != 0) {
      const Run run = highest_run(left);
      std::int64_t returns = 0;
      for (int k = run.low; k <= run.high; ++k) returns += Voxels::count(column[k]);
      if (is_supported(g, v.mask, ix, iy, run, returns, company) && (!floats || is_crowd(g, v, ix, iy, run)))
        return run;
      left &= ~levels(run.low, 63);
    }
    return Run{-1, -1};
  };
  const Run floating = highest(v.mask[i] & ~grounded, true);
  return floating.low >= 0 ? floating : highest(v.mask[i] & grounded, false);
}

// Whether the seen cell lies at the edge, above the wall tops and high above what lies further in: a tarp roll,
// a hoop.
bool is_perched(const Bed &bed, const HeightMap &map, int ix, int iy) {
  const Grid &g = bed.grid;
  const double x = g.centre_x(ix), y = g.centre_y(iy), top = bed.rim_height(x, y),
               h = map.height[iy * g.nx + ix];
  if (h < top - 0.02 * bed.scale) return false;
  const double within = 0.2 * bed.scale, further = 0.3 * bed.scale;
  for (const Plane &w : bed.walls) {
    if (w.distance({x, y, top}) > within) continue;
    const int in = g.index(x + further * w.n.x, y + further * w.n.y);
    if (in >= 0 && map.state[in] == kSeen && h - map.height[in] > kPerched * bed.scale) return true;
  }
  return false;
}

// Returns of a column that hang in the air above its surface, or above all if it has none.
std::int64_t hanging(const Voxels &v, const std::uint64_t *column, Run surface) {
  std::int64_t n = 0;
  for (int k = surface.low < 0 ? 0 : surface.high + kNear + 1; k < v.nz; ++k) n += Voxels::count(column[k]);
  return n;
}

// Mean height and spread of the points of a run.
void measure(const Voxels &v, const std::uint64_t *column, Run run, float &height, float &spread,
             std::uint32_t &count) {
  double sum = 0.0, n = 0.0;
  for (int k = run.low; k <= run.high; ++k) {
    sum += v.height_sum(column[k], k);
    n += Voxels::count(column[k]);
  }
  const double mean = sum / n;
  double squares = 0.0;
  for (int k = run.low; k <= run.high; ++k) {
    const double c = Voxels::count(column[k]);
    if (c == 0.0) continue;
    const double level_mean = v.height_sum(column[k], k) / c;
    squares += c * (level_mean - mean) * (level_mean - mean);
  }
  height = static_cast<float>(mean);
  spread = static_cast<float>(std::sqrt(squares / n));
  count = static_cast<std::uint32_t>(n);
}

// The height over cell i that its neighbour j suggests: a thin layer follows the floor, a thick one hides it.
double suggested_height(const Bed &bed, const HeightMap &map, int i, int j) {
  const double depth = map.height[j] - bed.floor[j];
  const double thin = clamp(1.0 - depth / (kThick * bed.scale), 0.0, 1.0);
  return map.height[j] + thin * (bed.floor[i] - bed.floor[j]);
}

// Chamfer distance to the nearest cell with returns, in cells, carrying that cell's height along.
void spread_nearest(const Bed &bed, HeightMap &map) {
  const Grid &g = bed.grid;
  const float far = 1e6f;
  for (int i = 0; i < g.size(); ++i) map.distance[i] = map.state[i] == kSeen ? 0.0f : far;
  const float diagonal = 1.41421356f;
  const auto relax = [&](int i, int j, float step) {
    if (map.distance[j] + step < map.distance[i]) {
      map.distance[i] = map.distance[j] + step;
      map.height[i] = static_cast<float>(suggested_height(bed, map, i, j));
    }
  };
  for (int pass = 0; pass < 2; ++pass) {
    const int sign = pass == 0 ? 1 : -1;
    for (int row = 0; row < g.ny; ++row)
      for (int column = 0; column < g.nx; ++column) {
        const int iy = pass == 0 ? row : g.ny - 1 - row, ix = pass == 0 ? column : g.nx - 1 - column;
        const int i = iy * g.nx + ix;
        const int px = ix - sign, py = iy - sign, qx = ix + sign;
        const bool px_in = px >= 0 && px < g.nx, py_in = py >= 0 && py < g.ny, qx_in = qx >= 0 && qx < g.nx;
        if (px_in) relax(i, iy * g.nx + px, 1.0f);
        if (py_in) relax(i, py * g.nx + ix, 1.0f);
        if (px_in && py_in) relax(i, py * g.nx + px, diagonal);
        if (qx_in && py_in) relax(i, py * g.nx + qx, diagonal);
      }
  }
}

// Successive over-relaxation of the membrane between the obstacles; cells with returns are held fast.
void relax_membrane(const Bed &bed, SurfacePrior prior, HeightMap &map) {
  const Grid &g = bed.grid;
  const double pull = prior.reach > 0.0 ? g.cell * g.cell / (prior.reach * prior.reach) : 0.0;
  for (int sweep = 0; sweep < kRelaxations; ++sweep)
    for (int colour = 0; colour < 2; ++colour)
      for (int iy = 0; iy < g.ny; ++iy)
        for (int ix = (iy + colour) & 1; ix < g.nx; ix += 2) {
          const int i = iy * g.nx + ix;
          if (map.state[i] != kHidden) continue;
          double sum = 0.0;
          int n = 0;
          const auto take = [&](int j) {
            if (map.state[j] == kOutside) return;
            sum += suggested_height(bed, map, i, j);
            ++n;
          };
          if (ix > 0) take(i - 1);
          if (ix + 1 < g.nx) take(i + 1);
          if (iy > 0) take(i - g.nx);
          if (iy + 1 < g.ny) take(i + g.nx);
          if (n == 0) continue;
          const double rest = (sum + pull * prior.height) / (n + pull);
          double h = map.height[i] + kOverrelax * (rest - map.height[i]);
          h = std::fmin(h, map.air.bound[i]);
          h = std::fmax(h, bed.floor[i]);
          map.height[i] = static_cast<float>(h);
        }
}

// Whether the way from the middle of the cell's surface to the sensor is free of the surface.
bool in_sight(const Bed &bed, const HeightMap &map, int ix, int iy, Vec3 sensor, double ceiling) {
  const Grid &g = bed.grid;
  const Vec3 from{g.centre_x(ix), g.centre_y(iy), map.height[iy * g.nx + ix]};
  const Vec3 way = sensor - from;
  if (!(way.z > 0.0)) return false;
  const double flat = std::sqrt(way.x * way.x + way.y * way.y);
  if (flat < g.cell) return true;
  const double step = g.cell / flat, end = std::fmin(1.0, (ceiling - from.z) / way.z);
  for (double t = 1.5 * step; t < end; t += step) {
    const double x = from.x + t * way.x, y = from.y + t * way.y, z = from.z + t * way.z;
    const int cell = g.index(x, y);
    if (cell < 0 || map.state[cell] == kOutside) {
      // Past the opening only the wall tops and what stands on them could be in the way.
      return z > bed.rim_height(x, y);
    }
    if (map.height[cell] > z + 0.5 * g.cell) return false;
  }
  return true;
}

// Spacing of the returns in cells: how far from a return a cell in sight still counts as seen.
double sampling_reach(const Grid &g, const HeightMap &map) {
  int inside = 0, seen = 0;
  for (int i = 0; i < g.size(); ++i) {
    inside += map.state[i] != kOutside;
    seen += map.state[i] == kSeen;
  }
  return seen == 0 ? 0.0 : clamp(1.5 * inside / seen, 1.5, 6.0);
}

}  // namespace

SurfaceCounts select_surface(const Bed &bed, const Voxels &voxels, HeightMap &map) noexcept {
  const Grid &g = bed.grid;
  SurfaceCounts counts{};
  const std::int64_t company = company_due(bed, voxels);
  for (int iy = 0; iy < g.ny; ++iy)
    for (int ix = 0; ix < g.nx; ++ix) {
      const int i = iy * g.nx + ix;
      map.count[i] = 0;
      map.spread[i] = 0.0f;
      map.height[i] = bed.floor[i];
      const double margin = -0.7072 * g.cell;  // a corner of the cell may reach into the opening
      if (bed.inside_opening(g.centre_x(ix), g.centre_y(iy)) < margin) {
        map.state[i] = kOutside;
        continue;
      }
      map.state[i] = kHidden;
      const std::uint64_t *column = voxels.column + static_cast<std::ptrdiff_t>(i) * voxels.nz;
      std::int64_t total = 0;
      for (int k = 0; k < voxels.nz; ++k) total += Voxels::count(column[k]);
      if (total == 0) continue;
      const Run chosen =
          choose_run(bed, voxels, company, grounded_levels(bed, voxels, map.air.bound[i]), ix, iy);
      counts.hanging += hanging(voxels, column, chosen);
      if (chosen.low >= 0) {
        measure(voxels, column, chosen, map.height[i], map.spread[i], map.count[i]);
        map.state[i] = kSeen;
        counts.used += map.count[i];
      }
      counts.rejected += total - map.count[i];
    }
  for (int iy = 0; iy < g.ny; ++iy)
    for (int ix = 0; ix < g.nx; ++ix) {
      const int i = iy * g.nx + ix;
      if (map.state[i] != kSeen || !is_perched(bed, map, ix, iy)) continue;
      counts.used -= map.count[i];
      counts.rejected += map.count[i];
      map.count[i] = 0;
      map.state[i] = kHidden;
    }
  return counts;
}

void complete_surface(const Bed &bed, const Vec3 *sensors, int sensor_count, double ceiling, SurfacePrior prior,
                      HeightMap &map) noexcept {
  const Grid &g = bed.grid;
  spread_nearest(bed, map);
  for (int i = 0; i < g.size(); ++i)
    if (map.state[i] == kHidden) {
      const float capped = std::fmin(map.height[i], map.air.bound[i]);
      map.height[i] = std::fmax(capped, bed.floor[i]);
    }
  relax_membrane(bed, prior, map);
  const double reach = sampling_reach(g, map);
  for (int iy = 0; iy < g.ny; ++iy)
    for (int ix = 0; ix < g.nx; ++ix) {
      const int i = iy * g.nx + ix;
      if (map.state[i] != kHidden || map.distance[i] > reach) continue;
      bool sight = sensor_count == 0;
      for (int s = 0; s < sensor_count && !sight; ++s) sight = in_sight(bed, map, ix, iy, sensors[s], ceiling);
      if (sight) map.state[i] = kBetween;
    }
  for (int i = 0; i < g.size(); ++i) map.distance[i] *= static_cast<float>(g.cell);
}

}  // namespace volest
