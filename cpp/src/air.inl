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
inline Wide diamond(Wide dx, Wide dy) {
  const Wide nothing{};
  const Wide t = dx / (greatest_of(dx, -dx) + greatest_of(dy, -dy) + wide(1e-12f));
  return dy >= nothing ? wide(1.0f) - t : wide(3.0f) + t;
}

// Rings that hold cells, both included.
struct Rings {
  int first, last;
};

// Direction, ring and distance of each cell as a sensor sees them, and how many directions it spans.
Rings look_from(const Bed &bed, Vec3 sensor, const Scratch &scratch) {
  const Grid &g = bed.grid;
  const auto sx = static_cast<float>(sensor.x), sy = static_cast<float>(sensor.y);
  const auto x0 = static_cast<float>(g.x0 + 0.5 * g.cell), y0 = static_cast<float>(g.y0 + 0.5 * g.cell);
  const auto cell = static_cast<float>(g.cell), per_cell = 1.0f / cell;
  constexpr float kPerTurn = 0.25f * Fan::kWays;
  const auto width = static_cast<float>(0.5 * g.cell * Fan::kWays / 6.2831853);
  WideInts first = wide_ints(1 << 30), last{};
  for (int iy = 0; iy < g.ny; ++iy) {
    const Wide dy = wide(y0 + static_cast<float>(iy) * cell - sy);
    for (int ix = 0; ix < g.nx; ix += kWide) {
      const int i = iy * g.nx + ix;
      const Wide dx = wide(x0) + wide_floats(wide_lanes() + ix) * cell - wide(sx);
      const Wide far = wide_roots(dx * dx + dy * dy);
      const WideInts ring = V::whole(far * per_cell), in_row = wide_lanes() < wide_ints(g.nx - ix);
      const Wide half = width / (far + 1e-6f);
      put(scratch.far + i, far);
      put_lanes(scratch.span + i, V::whole(half < 0.5f ? Wide{} : least_of(half, wide(8.0f)) + 0.5f));
      put_lanes(scratch.way + i, V::whole(diamond(dx, dy) * kPerTurn) & (Fan::kWays - 1));
      put_lanes(scratch.ring + i, ring);
      first = (in_row & (ring < first)) ? ring : first;
      last = (in_row & (ring > last)) ? ring : last;
    }
  }
  Rings rings{first[0], last[0]};
  for (int k = 1; k < kWide; ++k) {
    rings.first = first[k] < rings.first ? first[k] : rings.first;
    rings.last = last[k] > rings.last ? last[k] : rings.last;
  }
  return rings;
}

// What the rays of one sensor say of the air.
struct Sweep {
  const Bed &bed;
  const CellTable &table;
  const Columns &columns;
  Vec3 sensor;
  std::uint32_t bit;
  const Scratch &scratch;
  Rings rings;

  static constexpr int kMostRing = (1 << kRingBits) - 1, kMostSteep = (1 << (32 - kRingBits)) - 1;

  // How far these cells are from the sensor.
  Few far_at(int i) const { return __builtin_convertvector(lanes_at<FewFloats>(scratch.far + i) + 1e-6f, Few); }

  // The steps above the lowest level at which the lowest returns of these columns lie; 1e12: none.
  Few lowest_returns(const Cell *cell) const {
    FewLongs sum, mask, low, seen;
    for (int k = 0; k < kFew; ++k) {
      sum[k] = cell[k].sum;
      mask[k] = cell[k].mask;
      low[k] = cell[k].low;
      seen[k] = cell[k].seen_by;
    }
    const auto is_seen = (seen & bit) != 0;
    // Of a column that spans three levels at most the mean, of others the middle of the lowest level.
    const FewLongs lowest = mask & -mask;
    const Few level = few_of(level_of(lowest));
    const Few mean = few_of(sum & Cell::kSumMask) / few_of(sum >> Cell::kCountShift);
    const Few own = (mask & ~(lowest * 7)) == 0 ? mean : (level + 0.5) * Cell::kSteps;
    const Few nothing = Few{} + 1e12, steps = (is_seen & (mask != 0)) ? own : nothing;
    const Few wall = (is_seen & (low != Cell::kNoLow)) ? few_of(low) : nothing;
    return wall < steps ? wall : steps;
  }

  // The lowest rays to these cells as one number each: the steeper the greater, of equally steep ones the
  // nearer end; 0: none. And their places in the fan.
  void find_lowest(int i) const {
    const Few steps = lowest_returns(columns.cell + i);
    const Few drop = sensor.z - (columns.z0 + steps * (columns.dz / Cell::kSteps));
    const Few parts = drop / far_at(i) * kFallUnit, most = Few{} + kMostSteep;
    const auto falls = (drop > 0.0) & (steps <= 1e11);
    const Few steep = falls ? (parts < most ? parts : most) : Few{};
    const FewInts is_ray = __builtin_convertvector(falls, FewInts), far = FewInts{} + kMostRing;
    const FewInts ring = lanes_at<FewInts>(scratch.ring + i) - rings.first;
    put_lanes(scratch.ray + i, is_ray & (__builtin_convertvector(steep, FewInts) << kRingBits |
                                         (far - (ring < far ? ring : far))));
    put_lanes(scratch.place + i, ring * Fan::kWays + lanes_at<FewInts>(scratch.way + i));
  }

  // Puts the rays into the fan, then lets each ring take over what the ring behind it knows.
  void spread() const {
    std::uint32_t *key = scratch.fan.key;
    const int count = rings.last - rings.first + 3, cells = bed.grid.size();
    std::memset(key, 0, sizeof(std::uint32_t) * Fan::kWays * static_cast<std::size_t>(count));
    const std::int32_t *places = scratch.place, *rays = scratch.ray;
    for (int i = 0; i < cells; i += kFew) find_lowest(i);
    for (int i = 0; i < cells; ++i) {
      const auto ray = static_cast<std::uint32_t>(rays[i]), at = key[places[i]];
      key[places[i]] = ray > at ? ray : at;
    }
    std::memset(scratch.fan.sides + (count - 1) * Fan::kWays, 0, sizeof(std::uint32_t) * Fan::kWays);
    for (int ring = count - 2; ring >= 0; --ring) {
      std::uint32_t *near = key + ring * Fan::kWays;
      const std::uint32_t *beyond = near + Fan::kWays;
      for (int w = 0; w < Fan::kWays; ++w) near[w] = beyond[w] > near[w] ? beyond[w] : near[w];
      join_sides(near, scratch.fan.sides + ring * Fan::kWays);
    }
  }

  // Of each direction and its neighbours to either side the lowest ray.
  static void join_sides(const std::uint32_t *__restrict ring, std::uint32_t *__restrict sides) {
    constexpr int kLast = Fan::kWays - 1;
    const auto lower_of = [](std::uint32_t a, std::uint32_t b) { return a > b ? a : b; };
    for (int w = 1; w < kLast; ++w) sides[w] = lower_of(lower_of(ring[w - 1], ring[w]), ring[w + 1]);
    sides[0] = lower_of(lower_of(ring[kLast], ring[0]), ring[1]);
    sides[kLast] = lower_of(lower_of(ring[kLast - 1], ring[kLast]), ring[0]);
  }

  // The lowest ray over a cell, of all directions that it spans.
  std::uint32_t ray_over(int i) const {
    const int span = scratch.span[i], at = scratch.place[i] + 2 * Fan::kWays;
    std::uint32_t best = (span > 0 ? scratch.fan.sides : scratch.fan.key)[at];  // most span three at most
    const std::uint32_t *ring = scratch.fan.key + (at & ~(Fan::kWays - 1));
    for (int w = 2; w <= span; ++w)
      for (const int side : {at - w, at + w}) {
        const std::uint32_t ray = ring[side & (Fan::kWays - 1)];
        best = ray > best ? ray : best;
      }
    return best;
  }

  void lower_bounds(FreeAir &air) const {
    const Grid &g = bed.grid;
    const int cells = g.size();
    std::int32_t *lowest = scratch.ray;
    for (int i = 0; i < cells; ++i)
      lowest[i] = table.kind[i] == CellKind::kOut ? 0 : static_cast<std::int32_t>(ray_over(i));
    for (int i = 0; i < cells; i += kFew) {
      const FewFloats far = lanes_at<FewFloats>(scratch.far + i);
      const FewInts ring = lanes_at<FewInts>(scratch.ring + i) - rings.first,
                    ray = lanes_at<FewInts>(lowest + i);
      const Few fall =
          __builtin_convertvector(ray >> kRingBits & kMostSteep, Few) / static_cast<double>(kFallUnit);
      const Few height = sensor.z - fall * __builtin_convertvector(far, Few);
      const Few beyond = __builtin_convertvector(kMostRing - (ray & kMostRing) - ring, Few) * g.cell;
      const FewFloats bound = __builtin_convertvector(height, FewFloats),
                      landing = __builtin_convertvector(beyond, FewFloats);
      const FewFloats old = lanes_at<FewFloats>(air.bound + i), landed = lanes_at<FewFloats>(air.landing + i);
      const FewInts lowers = (ray != 0) & ((bound < old) | ((bound == old) & (landing < landed)));
      put_lanes(air.bound + i, lowers ? bound : old);
      put_lanes(air.landing + i, lowers ? landing : landed);
      put_lanes(air.fall + i,
                lowers ? __builtin_convertvector(fall, FewFloats) : lanes_at<FewFloats>(air.fall + i));
    }
  }
};

// Lowers the bounds of the cells by the rays of one sensor.
void sweep_rays(const Bed &bed, const CellTable &table, const Columns &columns, Vec3 sensor, std::uint32_t bit,
                const Scratch &scratch, FreeAir &air) noexcept {
  const Sweep sweep{bed, table, columns, sensor, bit, scratch, look_from(bed, sensor, scratch)};
  sweep.spread();
  sweep.lower_bounds(air);
}
