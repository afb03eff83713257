#include "integral.hpp"

namespace volest {
namespace {

constexpr int kSub = 5;  // a cell at the border is looked at in kSub x kSub places

// Whether all of the cell lies inside the opening and over the floor, not over a leaning wall.
bool is_interior(const Bed &bed, int ix, int iy) {
  const Grid &g = bed.grid;
  const double floor = bed.floor[iy * g.nx + ix];
  for (int cy = 0; cy <= 1; ++cy)
    for (int cx = 0; cx <= 1; ++cx) {
      const double x = g.x0 + (ix + cx) * g.cell, y = g.y0 + (iy + cy) * g.cell;
      if (bed.inside_opening(x, y) < 0.0 || bed.wall_height(x, y) > floor) return false;
    }
  return true;
}

// Height differences to the neighbours, m per m; one-sided at the edge of what is known.
void slope(const Grid &g, const HeightMap &map, int ix, int iy, double &gx, double &gy) {
  const auto height = [&](int x, int y, double fallback) {
    if (x < 0 || y < 0 || x >= g.nx || y >= g.ny || map.state[y * g.nx + x] == kOutside) return fallback;
    return static_cast<double>(map.height[y * g.nx + x]);
  };
  const double h = map.height[iy * g.nx + ix];
  gx = (height(ix + 1, iy, h) - height(ix - 1, iy, h)) / (2.0 * g.cell);
  gy = (height(ix, iy + 1, h) - height(ix, iy - 1, h)) / (2.0 * g.cell);
}

struct Place {
  double x, y, area, load, empty, top;
  bool on_wall;
};

void add(Integral &out, const Place &p) {
  const double depth = p.on_wall ? std::fmax(0.0, p.load - p.empty) : p.load - p.empty;
  const double dv = depth * p.area;
  out.volume += dv;
  out.moment[0] += dv * p.x;
  out.moment[1] += dv * p.y;
  out.moment[2] += dv * 0.5 * (p.load + p.empty);
  out.heaped += std::fmax(0.0, p.load - std::fmax(p.top, p.empty)) * p.area;
  out.struck_capacity += std::fmax(0.0, p.top - p.empty) * p.area;
  out.footprint += p.area;
}

// The share of a square place that lies in the opening, as if the wall ran along its edge; moves (x, y) to the
// middle of that share.
double clip_to_opening(const Bed &bed, double edge, double &x, double &y) {
  const Vec3 p{x, y, bed.rim_height(x, y)};
  const Plane *nearest = bed.walls;
  for (const Plane &w : bed.walls)
    if (w.distance(p) < nearest->distance(p)) nearest = &w;
  const double share = clamp(nearest->distance(p) / edge + 0.5, 0.0, 1.0);
  x += 0.5 * (1.0 - share) * edge * nearest->n.x;
  y += 0.5 * (1.0 - share) * edge * nearest->n.y;
  return share;
}

// The part of a cell's area that counts, in kSub x kSub places; returns that area.
double add_border(Integral &out, const Bed &bed, const HeightMap &map, int ix, int iy) {
  const Grid &g = bed.grid;
  const int i = iy * g.nx + ix;
  const double before = out.footprint, part = g.cell / kSub;
  double gx, gy;
  slope(g, map, ix, iy, gx, gy);
  for (int b = 0; b < kSub; ++b)
    for (int a = 0; a < kSub; ++a) {
      double x = g.centre_x(ix) + (a + 0.5) * part - 0.5 * g.cell;
      double y = g.centre_y(iy) + (b + 0.5) * part - 0.5 * g.cell;
      const double share = clip_to_opening(bed, part, x, y);
      if (share <= 0.0) continue;
      const double dx = x - g.centre_x(ix), dy = y - g.centre_y(iy);
      const double wall = bed.wall_height(x, y), floor = bed.floor[i];
      add(out, {x, y, share * part * part, map.height[i] + gx * dx + gy * dy, std::fmax(floor, wall),
                bed.rim_height(x, y), wall > floor});
    }
  return out.footprint - before;
}

}  // namespace

Integral integrate(const Bed &bed, const HeightMap &map) noexcept {
  const Grid &g = bed.grid;
  Integral out{};
  double rough = 0.0;
  int seen = 0;
  for (int iy = 0; iy < g.ny; ++iy)
    for (int ix = 0; ix < g.nx; ++ix) {
      const int i = iy * g.nx + ix;
      if (map.state[i] == kOutside) continue;
      double area = g.cell * g.cell;
      const double x = g.centre_x(ix), y = g.centre_y(iy);
      double gx, gy;
      slope(g, map, ix, iy, gx, gy);
      if (is_interior(bed, ix, iy))
        add(out, {x, y, area, map.height[i], bed.floor[i], bed.rim_height(x, y), false});
      else
        area = add_border(out, bed, map, ix, iy);
      out.area[map.state[i]] += area;
      const double lever[6] = {-gx, -gy, 1.0, y + gy * map.height[i], -x - gx * map.height[i], gx * y - gy * x};
      for (int a = 0; a < 6; ++a) out.lever[a] += lever[a] * area;
      if (map.state[i] == kHidden) {
        const double top = std::fmin(map.air.bound[i], bed.rim_height(x, y) + 0.5);
        out.hidden_depth += area * std::fmax(0.0, std::fmax(top, map.height[i]) - bed.floor[i]);
        out.hidden_distance += area * map.distance[i];
      }
      if (map.state[i] == kBetween) out.gap += area * std::fmax(0.0, map.distance[i] - 2.0 * g.cell);
      if (map.state[i] == kSeen) {
        const double within = map.spread[i] * map.spread[i] + (gx * gx + gy * gy) * g.cell * g.cell / 12.0;
        rough += within;
        ++seen;
        out.surface_variance += area * area * within / map.count[i];
      }
    }
  out.roughness = seen > 0 ? std::sqrt(rough / seen) : 0.0;
  return out;
}

}  // namespace volest
