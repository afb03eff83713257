// The integrals over the surface. Each lane sums on its own, in floats for a few rows and in doubles for all.

constexpr int kRows = 8;  // whose sums are kept as floats

// What is summed up over cells; areas are by CellState.
enum Sum {
  kVolume,
  kMomentX,
  kMomentY,
  kMomentZ,
  kHeaped,
  kHiddenArea,
  kBetweenArea,
  kSeenArea,
  kSlopeX,
  kSlopeY,
  kTurnX,
  kTurnY,
  kTurnZ,
  kHiddenDistance,
  kGap,
  kRough,
  kSeenCells,
  kVariance,
  kSums
};

// A sum is made in sixteen parts, whatever a vector holds.
struct RowSums {
  Wide parts[kSums][kSixteen / kWide];
  double whole[kSums];

  void add(Sum s, int first, Wide v) { parts[s][first % kSixteen / kWide] += v; }
  void flush() {
    for (int s = 0; s < kSums; ++s)
      for (Wide &part : parts[s]) {
        for (int lane = 0; lane < kWide; ++lane) whole[s] += static_cast<double>(part[lane]);
        part = Wide{};
      }
  }
};

struct Integrator {
  const Bed &bed;
  const CellTable &table;
  const HeightMap &map;
  RowSums sums{};

  // Slopes of the surface in m per m; one-sided at the edge of what is known.
  void slopes(int i, Wide h, Wide &gx, Wide &gy) const {
    const int nx = bed.grid.nx;
    const Wide half = wide(static_cast<float>(0.5 / bed.grid.cell)), nothing{};
    const auto beside = [&](int j) { return wide_at(table.open + j) > nothing ? wide_at(map.height + j) : h; };
    gx = (beside(i + 1) - beside(i - 1)) * half;
    gy = (beside(i + nx) - beside(i - nx)) * half;
  }

  void add_cells(int ix, int iy) {
    const Grid &g = bed.grid;
    const int i = iy * g.nx + ix;
    const auto cell = static_cast<float>(g.cell);
    const int lane = ix % kSixteen;
    const Wide x = wide(static_cast<float>(g.centre_x(ix - lane))) +
                   wide_floats(wide_lanes() + wide_ints(lane)) * wide(cell);
    const Wide y = wide(static_cast<float>(g.centre_y(iy))), nothing{};
    const WideInts in_row = wide_lanes() < wide_ints(g.nx - ix), state = wide_ints_at(map.state + i);
    const Wide h = wide_at(map.height + i), floor = wide_at(table.floor + i);
    const Wide area = in_row ? wide_at(table.area + i) : nothing,
               inner = in_row ? wide_at(table.inner + i) : nothing;
    const auto add = [&](Sum s, Wide v) { sums.add(s, ix, v); };
    Wide gx, gy;
    slopes(i, h, gx, gy);
    const Wide dv = (h - floor) * inner, over = h - greatest_of(wide_at(table.top + i), floor);
    add(kVolume, dv);
    add(kMomentX, dv * x);
    add(kMomentY, dv * y);
    add(kMomentZ, dv * wide(0.5f) * (h + floor));
    add(kHeaped, greatest_of(over, nothing) * inner);
    const Wide hidden = state == wide_ints(kHidden) ? area : nothing;
    const Wide between = state == wide_ints(kBetween) ? area : nothing;
    const WideInts is_seen = (state == wide_ints(kSeen)) & in_row;
    const Wide distance = wide_at(map.distance + i);
    add(kHiddenArea, hidden);
    add(kBetweenArea, between);
    add(kSeenArea, is_seen ? area : nothing);
    add(kSlopeX, -(gx * area));
    add(kSlopeY, -(gy * area));
    add(kTurnX, (y + gy * h) * area);
    add(kTurnY, -((x + gx * h) * area));
    add(kTurnZ, (gx * y - gy * x) * area);
    add(kHiddenDistance, hidden * distance);
    add(kGap, between * greatest_of(distance - wide(2.0f * cell), nothing));
    const Wide within = add_roughness(ix, i, is_seen, gx, gy);
    add(kVariance, area * area * within / greatest_of(wide_floats(wide_ints_at(map.count + i)), wide(1.0f)));
  }

  // The spread of the surface within each of the seen cells.
  Wide add_roughness(int ix, int i, WideInts is_seen, Wide gx, Wide gy) {
    const auto cell = static_cast<float>(bed.grid.cell);
    const Wide spread = wide_at(map.variance + i) + (gx * gx + gy * gy) * wide(cell * cell / 12.0f);
    const Wide within = is_seen ? spread : Wide{};
    sums.add(kRough, ix, within);
    sums.add(kSeenCells, ix, is_seen ? wide(1.0f) : Wide{});
    return within;
  }

  // The part of a border cell's volume, in places.
  void add_border(int ix, int iy) {
    const Grid &g = bed.grid;
    const int i = iy * g.nx + ix, nx = g.nx;
    const float h = map.height[i], half = static_cast<float>(0.5 / g.cell);
    const auto beside = [&](int j) { return table.open[j] > 0.0f ? map.height[j] : h; };
    const float gx = (beside(i + 1) - beside(i - 1)) * half, gy = (beside(i + nx) - beside(i - nx)) * half;
    if (table.border[i] >= 0) {
      add_places(table.places[table.border[i]], ix, iy, h, gx, gy);
    } else {
      Places places;
      fill_places(bed, ix, iy, places);
      add_places(places, ix, iy, h, gx, gy);
    }
  }

  void add_places(const Places &p, int ix, int iy, float h, float gx, float gy) {
    const Grid &g = bed.grid;
    const Wide x = wide(static_cast<float>(g.centre_x(ix))), y = wide(static_cast<float>(g.centre_y(iy)));
    const Wide top = wide(table.top[iy * g.nx + ix]), nothing{};
    for (int k = 0; k < kPlaces; k += kWide) {
      const Wide dx = wide_at(p.dx + k), dy = wide_at(p.dy + k), empty = wide_at(p.empty + k),
                 area = wide_at(p.area + k);
      const auto add = [&](Sum s, Wide v) { sums.add(s, k, v); };
      const Wide load = wide(h) + wide(gx) * dx + wide(gy) * dy;
      const Wide dv = greatest_of(load - empty, wide_at(p.least + k)) * area;
      const Wide rim =
          top + wide(static_cast<float>(bed.rim[1])) * dx + wide(static_cast<float>(bed.rim[2])) * dy;
      add(kVolume, dv);
      add(kMomentX, dv * (x + dx));
      add(kMomentY, dv * (y + dy));
      add(kMomentZ, dv * wide(0.5f) * (load + empty));
      add(kHeaped, greatest_of(load - greatest_of(rim, empty), nothing) * area);
    }
  }

  template <class Add>
  void over_rows(Add add) {
    for (int iy = 0; iy < bed.grid.ny; ++iy) {
      add(iy);
      if (iy % kRows == kRows - 1) sums.flush();
    }
    sums.flush();
  }

  void add_row(int iy) {
    const Grid &g = bed.grid;
    for (int ix = 0; ix < g.nx; ix += kWide) add_cells(ix, iy);
    const CellKind *row = table.kind + iy * g.nx, *end = row + g.nx;
    for (const CellKind *at = row;; ++at) {
      at = static_cast<const CellKind *>(
          std::memchr(at, static_cast<int>(CellKind::kBorder), static_cast<std::size_t>(end - at)));
      if (at == nullptr) return;
      add_border(static_cast<int>(at - row), iy);
    }
  }

  void add_roughness_of_row(int iy) {
    const Grid &g = bed.grid;
    for (int ix = 0; ix < g.nx; ix += kWide) {
      const int i = iy * g.nx + ix;
      Wide gx, gy;
      slopes(i, wide_at(map.height + i), gx, gy);
      const WideInts in_row = wide_lanes() < wide_ints(g.nx - ix);
      add_roughness(ix, i, (wide_ints_at(map.state + i) == wide_ints(kSeen)) & in_row, gx, gy);
    }
  }

  double roughness() const {
    const double seen = sums.whole[kSeenCells];
    return seen > 0.0 ? std::sqrt(sums.whole[kRough] / seen) : 0.0;
  }
};

// Root mean square spread and slope of the seen surface within a cell, m.
double roughness_of(const Bed &bed, const CellTable &table, const HeightMap &map) {
  Integrator it{bed, table, map};
  it.over_rows([&](int iy) { it.add_roughness_of_row(iy); });
  return it.roughness();
}

Integral integrate(const Bed &bed, const CellTable &table, const HeightMap &map) noexcept {
  Integrator it{bed, table, map};
  it.over_rows([&](int iy) { it.add_row(iy); });
  const RowSums &s = it.sums;
  Integral out{};
  out.volume = s.whole[kVolume];
  out.heaped = s.whole[kHeaped];
  for (int a = 0; a < 3; ++a) out.moment[a] = s.whole[kMomentX + a];
  for (int state = kHidden; state <= kSeen; ++state) out.area[state] = s.whole[kHiddenArea + state - kHidden];
  // Of a load that was never finished no cell is over the bed.
  const double finished = out.area[kHidden] + out.area[kBetween] + out.area[kSeen];
  if (!(finished > 0.0)) return Integral{};
  out.struck_capacity = table.struck_capacity;
  out.footprint = table.footprint;
  const double lever[6] = {s.whole[kSlopeX], s.whole[kSlopeY], finished,
                           s.whole[kTurnX],  s.whole[kTurnY],  s.whole[kTurnZ]};
  for (int a = 0; a < 6; ++a) out.lever[a] = lever[a];
  out.hidden_distance = s.whole[kHiddenDistance];
  out.gap = s.whole[kGap];
  out.roughness = it.roughness();
  out.surface_variance = s.whole[kVariance];
  return out;
}
