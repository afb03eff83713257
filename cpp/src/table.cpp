#include "table.hpp"

namespace volest {
namespace {

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

double area_of(const Places &places) {
  double area = 0.0;
  for (float a : places.area) area += static_cast<double>(a);
  return area;
}

}  // namespace

void fill_places(const Bed &bed, int ix, int iy, Places &places) noexcept {
  const Grid &g = bed.grid;
  const double part = g.cell / kSub, x0 = g.centre_x(ix), y0 = g.centre_y(iy),
               floor = bed.floor[iy * g.nx + ix];
  std::memset(&places, 0, sizeof places);
  for (int b = 0; b < kSub; ++b)
    for (int a = 0; a < kSub; ++a) {
      double x = x0 + (a + 0.5) * part - 0.5 * g.cell, y = y0 + (b + 0.5) * part - 0.5 * g.cell;
      const double share = clip_to_opening(bed, part, x, y), wall = bed.wall_height(x, y);
      const int i = b * kSub + a;
      places.area[i] = static_cast<float>(share * part * part);
      places.dx[i] = static_cast<float>(x - x0);
      places.dy[i] = static_cast<float>(y - y0);
      places.empty[i] = static_cast<float>(std::fmax(floor, wall));
      places.least[i] = wall > floor ? 0.0f : -1e9f;
    }
}

void fill_table(const Bed &bed, CellTable &table) noexcept {
  const Grid &g = bed.grid;
  const double margin = -0.7072 * g.cell;  // a corner of the cell may reach into the opening
  table.places_used = 0;
  table.footprint = table.struck_capacity = 0.0;
  table.has_fixtures = false;
  for (int iy = 0; iy < g.ny; ++iy)
    for (int ix = 0; ix < g.nx; ++ix) {
      const int i = iy * g.nx + ix;
      const double x = g.centre_x(ix), y = g.centre_y(iy), opening = bed.inside_opening(x, y);
      table.has_fixtures = table.has_fixtures || bed.fixtures[i] != 0;
      table.opening[i] = static_cast<float>(opening);
      table.top[i] = static_cast<float>(bed.rim_height(x, y));
      table.floor[i] = bed.floor[i];
      table.area[i] = table.inner[i] = 0.0f;
      table.open[i] = opening < margin ? 0.0f : 1.0f;
      table.border[i] = -1;
      if (opening < margin) {
        table.kind[i] = CellKind::kOut;
        continue;
      }
      if (is_interior(bed, ix, iy)) {
        table.kind[i] = CellKind::kInner;
        table.area[i] = table.inner[i] = static_cast<float>(g.cell * g.cell);
        table.footprint += g.cell * g.cell;
        table.struck_capacity +=
            g.cell * g.cell * std::fmax(0.0, bed.rim_height(x, y) - static_cast<double>(bed.floor[i]));
        continue;
      }
      table.kind[i] = CellKind::kBorder;
      Places own;
      fill_places(bed, ix, iy, own);
      const double area = area_of(own);
      table.area[i] = static_cast<float>(area);
      table.footprint += area;
      for (int k = 0; k < kPlaces; ++k) {
        const double top =
            bed.rim_height(x + static_cast<double>(own.dx[k]), y + static_cast<double>(own.dy[k]));
        table.struck_capacity +=
            static_cast<double>(own.area[k]) * std::fmax(0.0, top - static_cast<double>(own.empty[k]));
      }
      if (table.places_used < CellTable::capacity(g)) {
        table.border[i] = table.places_used;
        table.places[table.places_used++] = own;
      }
    }
}

}  // namespace volest
