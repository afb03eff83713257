// What the rays of a sensor say of the air over the cells.
//
// A ray is known by where it ended and how steeply it fell, f metres a metre: over a cell at the distance d
// from the sensor it passed at its height minus f d. Of the rays in one direction that went beyond a cell, the
// steepest passed lowest. So the cells put their rays into a fan of directions and rings, each ring takes over
// what the ring behind it knows, and each cell looks up what went beyond it: linear in cells, as viewsheds are.

constexpr double kShy = 2.0;  // cells before its end where a ray stops to bound: its end is the surface itself
constexpr double kFallUnit = 1 << 14;  // steepness is kept in this many parts of one,
constexpr int kRingBits = 12;          // in what these leave of 32 bits
static_assert(kShy == 2.0, "rings are one cell wide");

// Direction of (dx, dy), 0 to 4, by the diamond that replaces the circle: no function but division.
inline float diamond(float dx, float dy) {
  const float t = dx / (std::fabs(dx) + std::fabs(dy) + 1e-12f);
  return dy >= 0.0f ? 1.0f - t : 3.0f + t;
}

// Direction, ring and distance of each cell as a sensor sees them; the nearest ring.
int look_from(const Bed &bed, Vec3 sensor, const Scratch &scratch) {
  const Grid &g = bed.grid;
  const auto sx = static_cast<float>(sensor.x), sy = static_cast<float>(sensor.y);
  const auto x0 = static_cast<float>(g.x0 + 0.5 * g.cell), y0 = static_cast<float>(g.y0 + 0.5 * g.cell);
  const auto cell = static_cast<float>(g.cell), per_cell = 1.0f / cell;
  constexpr float kPerTurn = 0.25f * Fan::kWays;
  for (int iy = 0; iy < g.ny; ++iy) {
    const float dy = y0 + static_cast<float>(iy) * cell - sy;
    std::int32_t *way = scratch.way + iy * g.nx, *ring = scratch.ring + iy * g.nx;
    float *far = scratch.far + iy * g.nx;
    for (int ix = 0; ix < g.nx; ++ix) {
      const float dx = x0 + static_cast<float>(ix) * cell - sx;
      far[ix] = std::sqrt(dx * dx + dy * dy);
      way[ix] = static_cast<std::int32_t>(diamond(dx, dy) * kPerTurn) & (Fan::kWays - 1);
      ring[ix] = static_cast<std::int32_t>(far[ix] * per_cell);
    }
  }
  int nearest = scratch.ring[0];
  for (int i = 0; i < g.size(); ++i) nearest = scratch.ring[i] < nearest ? scratch.ring[i] : nearest;
  return nearest;
}

// A ray as one number: the steeper the greater, of equally steep ones the nearer end.
inline std::uint32_t ray_key(double fall, int ring) {
  constexpr double kSteepest = (1 << (32 - kRingBits)) - 1;
  const double f = fall * kFallUnit;
  const auto steep = static_cast<std::uint32_t>(f < kSteepest ? f : kSteepest);
  const int most = (1 << kRingBits) - 1;
  return steep << kRingBits | static_cast<std::uint32_t>(most - (ring < most ? ring : most));
}

// The steps above the lowest level at which the lowest returns of a column lie.
inline double lowest_return(const Cell &c) {
  const int low = __builtin_ctzll(c.mask), high = 63 - __builtin_clzll(c.mask);
  if (high - low <= 2) return static_cast<double>(c.steps()) / static_cast<double>(c.count());
  return (low + 0.5) * Cell::kSteps;
}

// Lowers the bounds of the cells by the rays of one sensor.
void sweep_rays(const Bed &bed, const CellTable &table, const Columns &columns, Vec3 sensor, std::uint32_t bit,
                const Scratch &scratch, FreeAir &air) noexcept {
  const Grid &g = bed.grid;
  const int first = look_from(bed, sensor, scratch), rings = Fan::rings(g);
  std::uint32_t *key = scratch.fan.key;
  std::memset(key, 0, sizeof(std::uint32_t) * Fan::kWays * static_cast<std::size_t>(rings));
  for (int i = 0; i < g.size(); ++i) {
    const Cell &c = columns.cell[i];
    double steps = 1e12;
    if (c.mask != 0 && (c.seen_by & bit)) steps = lowest_return(c);
    if (c.low != Cell::kNoLow && c.low < steps && (c.seen_by & bit)) steps = c.low;
    const double drop = sensor.z - columns.height(steps);
    if (!(drop > 0.0) || steps > 1e11) continue;
    const int ring = scratch.ring[i] - first;
    const std::uint32_t ray = ray_key(drop / static_cast<double>(scratch.far[i] + 1e-6f), ring);
    std::uint32_t &at = key[ring * Fan::kWays + scratch.way[i]];
    if (ray > at) at = ray;
  }
  for (int ring = rings - 2; ring >= 0; --ring) {
    std::uint32_t *near = key + ring * Fan::kWays, *beyond = near + Fan::kWays;
    for (int w = 0; w < Fan::kWays; ++w) near[w] = beyond[w] > near[w] ? beyond[w] : near[w];
  }
  const auto width = static_cast<float>(0.5 * g.cell * Fan::kWays / 6.2831853);
  for (int i = 0; i < g.size(); ++i) {
    if (table.kind[i] == CellKind::kOut) continue;
    const int ring = scratch.ring[i] - first;
    const float half = width / (scratch.far[i] + 1e-6f);
    const int ways = half < 0.5f ? 0 : (half < 8.0f ? static_cast<int>(half + 0.5f) : 8);
    std::uint32_t best = 0;
    for (int w = -ways; w <= ways; ++w) {
      const std::uint32_t ray = key[(ring + 2) * Fan::kWays + ((scratch.way[i] + w) & (Fan::kWays - 1))];
      best = ray > best ? ray : best;
    }
    if (best == 0) continue;
    const double fall = static_cast<double>(best >> kRingBits) / kFallUnit;
    const auto bound = static_cast<float>(sensor.z - fall * static_cast<double>(scratch.far[i]));
    const int end = (1 << kRingBits) - 1 - static_cast<int>(best & ((1u << kRingBits) - 1));
    const auto landing = static_cast<float>((end - ring) * g.cell);
    if (bound > air.bound[i] || (bound == air.bound[i] && landing >= air.landing[i])) continue;
    air.bound[i] = bound;
    air.landing[i] = landing;
    air.fall[i] = static_cast<float>(fall);
  }
}
