#include "cover.hpp"

#include <algorithm>
#include <cstdlib>

namespace volest {
namespace {

// Lengths are those of a truck bed; smaller boxes have smaller ones.
constexpr double kEdge = Edge::kWidth;  // from the walls: where a sheet is nearly as high as their tops
constexpr double kInward = 0.25;        // m; how much further in the slope from the wall is taken
constexpr double kLeastEdge = 0.05;     // part of the edge's cells,
constexpr int kFewest = 30;             // and how many, that must be seen
constexpr double kFastened = 0.05;      // m; a sheet meets the wall tops within this,
constexpr double kPerFall = 0.15;       // and so much more where it falls from them in a curve,
constexpr double kSagging = 0.7, kRaised = 0.9,
                 kLikely = 0.8;        // along so much of them; heaps rise from them, too
constexpr double kLikelySpread = 0.1;  // m between the lowest and the highest tenth of where it meets them
constexpr double kLeastBow =
    0.025;  // m of its middle over or under its edges: a level surface may be a level load
constexpr double kSteepest = 0.62,
                 kLikelySteepest = 0.75;  // m per m; what rises steeper from the tops is a heap
constexpr double kCoarsest = 0.025;       // m; bend within four cells

// Straight lines through the surface at the pairs both of whose cells are seen.
struct Lines {
  double *slope;  // how much each rises inwards
  double *met;    // where it meets the wall, over the wall's top
  int count;
};

Lines lines_of(const Edge &edge, const HeightMap &map, double unit, double *numbers) {
  Lines lines{numbers, numbers + edge.pair_count, 0};
  for (int k = 0; k < edge.pair_count; ++k) {
    const EdgePair &p = edge.pairs[k];
    const double at = (static_cast<double>(map.height[p.near]) - p.rim_near) / unit;
    const double further = (static_cast<double>(map.height[p.further]) - p.rim_further) / unit;
    const double slope = (further - at) / p.run;
    lines.slope[lines.count] = slope;
    lines.met[lines.count] = at - slope * p.inside;
    lines.count += (map.state[p.near] == kSeen) & (map.state[p.further] == kSeen);
  }
  return lines;
}

// The part of the lines that meet the wall tops.
double fastened_part(const Lines &lines) {
  int fastened = 0;
  for (int k = 0; k < lines.count; ++k) {
    const double fall = lines.slope[k] < 0.0 ? -lines.slope[k] : 0.0;
    fastened += std::fabs(lines.met[k]) < kFastened + kPerFall * fall;
  }
  return static_cast<double>(fastened) / lines.count;
}

// What a part of some numbers lies below, between two of them in proportion (Hyndman & Fan 1996, definition 7);
// reorders them.
double quantile(double *numbers, int n, double part) {
  const double at = part * (n - 1);
  const int below = static_cast<int>(at);
  double *low = numbers + below;
  std::nth_element(numbers, low, numbers + n);
  if (below + 1 == n) return *low;
  return *low + (*std::min_element(low + 1, numbers + n) - *low) * (at - below);
}

double median(double *numbers, int n) { return quantile(numbers, n, 0.5); }

// How far the surface departs from straight lines of four cells, in the median; without end where none is seen.
double bend(const Bed &bed, const HeightMap &map, double *numbers) {
  const Grid &g = bed.grid;
  constexpr int kHalf = 2;
  int count = 0;
  const auto look = [&](int i, int step) {
    const int ends[] = {i - kHalf * step, i + kHalf * step};
    const std::uint8_t *state = map.state;
    if (state[i] != kSeen || state[ends[0]] != kSeen || state[ends[1]] != kSeen) return;
    // The plane of the wall tops is straight: it bends nothing.
    const double both = static_cast<double>(map.height[ends[0]]) + static_cast<double>(map.height[ends[1]]);
    numbers[count++] = std::fabs(both - 2.0 * static_cast<double>(map.height[i])) / (2.0 * bed.scale);
  };
  for (int y = 0; y < g.ny; ++y)
    for (int x = 0; x < g.nx; ++x) {
      if (y >= kHalf && y + kHalf < g.ny) look(y * g.nx + x, g.nx);
      if (x >= kHalf && x + kHalf < g.nx) look(y * g.nx + x, 1);
    }
  return count > 0 ? median(numbers, count) : 1e30;
}

// How far over the wall tops the middle of what is seen lies, m; false where nothing is.
bool middle_over_tops(const Bed &bed, const Edge &edge, const HeightMap &map, double *numbers, double &over) {
  const Grid &g = bed.grid;
  int count = 0;
  for (int k = 0; k < edge.middle_count; ++k) {
    const std::int32_t i = edge.middle[k];
    if (map.state[i] != kSeen) continue;
    const double top = bed.rim_height(g.centre_x(i % g.nx), g.centre_y(i / g.nx));
    numbers[count++] = (static_cast<double>(map.height[i]) - top) / bed.scale;
  }
  if (count == 0) return false;
  over = median(numbers, count);
  return true;
}

// The nearest whole number.
int rounded(double v) { return static_cast<int>(v < 0.0 ? v - 0.5 : v + 0.5); }

int within(int i, int n) { return i < 0 ? 0 : (i < n ? i : n - 1); }

}  // namespace

void fill_edge(const Bed &bed, Edge &edge) noexcept {
  const Grid &g = bed.grid;
  const double cell = g.cell / bed.scale;
  edge.pair_count = edge.middle_count = 0;
  double deepest = 0.0;
  for (int iy = 0; iy < g.ny; ++iy)
    for (int ix = 0; ix < g.nx; ++ix) {
      const double x = g.centre_x(ix), y = g.centre_y(iy), top = bed.rim_height(x, y);
      const Plane *wall = bed.walls;
      for (const Plane &w : bed.walls)
        if (w.distance({x, y, top}) < wall->distance({x, y, top})) wall = &w;
      const double inside = wall->distance({x, y, top}) / bed.scale;
      deepest = std::fmax(deepest, inside);
      if (!(inside > 0.0 && inside < kEdge)) continue;
      const int sx = rounded(kInward * wall->n.x / cell), sy = rounded(kInward * wall->n.y / cell);
      const int fx = within(ix + sx, g.nx), fy = within(iy + sy, g.ny);
      const int steps = std::max(std::abs(sx), std::abs(sy));
      if (steps == 0) continue;  // a cell is wider than that
      if (edge.pair_count == Edge::capacity(g)) continue;
      edge.pairs[edge.pair_count++] = {
          iy * g.nx + ix, fy * g.nx + fx, top, bed.rim_height(g.centre_x(fx), g.centre_y(fy)),
          inside,         steps * cell};
    }
  for (int i = 0; i < g.size(); ++i)
    if (bed.inside_opening(g.centre_x(i % g.nx), g.centre_y(i / g.nx)) / bed.scale > 0.5 * deepest)
      edge.middle[edge.middle_count++] = i;
}

Cover cover_of(const Bed &bed, const Edge &edge, const HeightMap &map, const Scratch &scratch) noexcept {
  const Lines lines = lines_of(edge, map, bed.scale, scratch.numbers);
  if (lines.count < kFewest || lines.count < kLeastEdge * edge.pair_count) return Cover::kNone;
  const double fastened = fastened_part(lines);
  if (fastened <= std::fmin(kSagging, std::fmin(kRaised, kLikely))) return Cover::kNone;
  // Most loads are told by now; what follows looks at all cells.
  double *rest = scratch.numbers + 2 * bed.grid.size();
  double over = 0.0;
  if (!middle_over_tops(bed, edge, map, rest, over)) return Cover::kNone;
  const double bow = over - median(lines.met, lines.count);
  if (std::fabs(bow) < kLeastBow || bend(bed, map, rest) > kCoarsest) return Cover::kNone;
  if (bow < 0.0) return Cover::kSure;
  const double steepness = median(lines.slope, lines.count);
  if (fastened > kRaised && steepness < kSteepest) return Cover::kSure;
  const double spread = quantile(lines.met, lines.count, 0.9) - quantile(lines.met, lines.count, 0.1);
  const bool is_likely = fastened > kLikely && spread < kLikelySpread && steepness < kLikelySteepest;
  return is_likely ? Cover::kLikely : Cover::kNone;
}

}  // namespace volest
