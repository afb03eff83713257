// What lies where nothing was seen: a membrane hung between the cells with returns.
//
// It is found on grids coarser and coarser, from the coarsest to the finest (cascadic multigrid: Bornemann and
// Deuflhard, Numerische Mathematik 75, 1996), where obstacles are kept: so the cost is linear in cells.

constexpr double kThick = 0.3;  // m; a layer of this depth shows nothing of the floor below
constexpr int kMostGrids = 12;
constexpr int kCoarseSweeps = 4, kFineSweeps = 6;
constexpr float kOverrelax = 1.5f;

// Cells of a grid where the membrane is to be found, in the order in which it is.
struct Loose {
  std::int32_t *at, *above;  // their indices, and those of the coarser cells over them
  float *share;              // that each neighbour over the bed has in them; 0: there is none
  int count;
};

// A grid of the cascade, between empty cells: a column on the right and a row on either side, so that no cell
// lacks a neighbour and rows and columns may be taken for even. A cell's height is level + thin * floor: a thin
// layer follows the floor (thin 1), a thick one hides it (0).
struct Sheet {
  int nx, ny, stride;
  float *level, *thin;  // what is known, and the membrane elsewhere; 0 not over the bed
  float *known, *open;  // 1 or 0: what is known; what is over the bed
  Loose loose;

  int room() const { return stride * (ny + 2) + kSixteen; }
};

// How much of the floor's relief shows through a layer of this depth.
inline Wide thin_at(Wide depth, float per_thick) { return clip(1.0f - depth * per_thick, 0.0f, 1.0f); }

// From one row to the next of the grid above one of so many columns.
inline int next_stride(int nx) { return (nx + 1) / 2 + 1; }

// Each coarse cell knows the mean of what its four cells know; what they do not know is 0.
void coarsen(const Sheet &fine, Sheet &coarse) {
  const V::M even = V::none(V::U(wide_lanes() & 1));
  Loose &loose = coarse.loose;
  const auto sum_fours = [&](const float *from, float *to) {
    for (int x = 0; x < fine.nx; x += kWide) {
      const float *v = from + x, *up = v + fine.stride;
      V::pack(to + x / 2, even, (wide_at(v) + wide_at(v + 1)) + (wide_at(up) + wide_at(up + 1)));
    }
  };
  for (int y = 0; y < coarse.ny; ++y) {
    const int i = y * coarse.stride, j = 2 * y * fine.stride;
    sum_fours(fine.level + j, coarse.level + i);
    sum_fours(fine.thin + j, coarse.thin + i);
    sum_fours(fine.known + j, coarse.known + i);
    sum_fours(fine.open + j, coarse.open + i);
    for (int x = 0; x < coarse.nx + kWide; x += kWide) {  // and what was packed beyond
      const int k = i + x, row = y / 2 * next_stride(coarse.nx);
      const WideInts column = wide_lanes() + x, in_row = column < wide_ints(coarse.nx);
      const Wide one = wide(1.0f), nothing{}, count = in_row ? wide_at(coarse.known + k) : nothing;
      const Wide share = count > nothing ? one / count : nothing;
      const Wide known = count > nothing ? one : nothing;
      const Wide open = (in_row & (wide_at(coarse.open + k) > nothing)) ? one : nothing;
      put(coarse.level + k, in_row ? wide_at(coarse.level + k) * share : nothing);
      put(coarse.thin + k, in_row ? wide_at(coarse.thin + k) * share : nothing);
      put(coarse.known + k, known);
      put(coarse.open + k, open);
      const V::M to_find = V::lt(known, open);
      V::pack(loose.at + loose.count, to_find, wide_lanes() + k);
      V::pack(loose.above + loose.count, to_find, (column >> 1) + row);
      loose.count += __builtin_popcount(V::mask(to_find));
    }
  }
}

// Where the grid is to be found it starts from the coarser one.
void refine(const Sheet &coarse, const Sheet &fine) {
  for (int k = 0; k < fine.loose.count; ++k) {
    const int i = fine.loose.at[k], j = fine.loose.above[k];
    fine.level[i] = coarse.level[j];
    fine.thin[i] = coarse.thin[j];
  }
}

// What each neighbour over the bed counts in a cell's mean, with a prior pulling at it.
void share_out(const Sheet &s, float pull) {
  for (int k = 0; k < s.loose.count; ++k) {
    const float *open = s.open + s.loose.at[k];
    const float n = pull + open[-1] + open[1] + open[-s.stride] + open[s.stride];
    s.loose.share[k] = n > 0.0f ? 1.0f / n : 0.0f;
  }
}

// What its neighbours over the bed make of a cell.
inline float mean_about(const float *v, int stride, float pulled, float share) {
  return (pulled + v[-1] + v[1] + v[-stride] + v[stride]) * share;
}

// Finds what is to be found on a coarse grid: sweeps in which each cell becomes the mean of its neighbours.
void smooth(const Sheet &s, float pull, float aim) {
  share_out(s, pull);
  for (int sweep = 0; sweep < kCoarseSweeps; ++sweep)
    for (int k = 0; k < s.loose.count; ++k) {
      const int i = s.loose.at[k];
      const float share = s.loose.share[k];
      if (!(share > 0.0f)) continue;
      s.level[i] = mean_about(s.level + i, s.stride, pull * aim, share);
      s.thin[i] = mean_about(s.thin + i, s.stride, 0.0f, share);
    }
}

// The membrane on the finest grid, where heights are kept below what the rays bound and above the empty bed.
//
// Its cells are sorted as the fields of a chequerboard, those of either colour side by side: those of one are
// found after those of the other, so that none waits for the one before.
struct Membrane {
  const CellTable &table;
  const Sheet &s;
  const HeightMap &map;
  const Chequer &fields;
  float per_thick, pull, aim;

  // What is known of a row, by colours.
  void sort_row(int iy) const {
    const int row = iy * fields.stride;
    int n[2] = {row, row};
    for (int ix = 0; ix < s.nx; ix += kWide) {
      const int i = iy * s.nx + ix, count = s.nx - ix < kWide ? s.nx - ix : kWide;
      const auto open = [&](int j) { return wide_at(s.open + j); };
      const Wide around = pull + open(i - 1) + open(i + 1) + open(i - s.stride) + open(i + s.stride);
      const WideInts is_loose = (open(i) > wide_at(s.known + i)) & (around > 0.0f);
      const Wide share = is_loose ? 1.0f / around : Wide{};
      for (const int colour : {0, 1}) {
        const V::M own = V::both(V::none(V::U((wide_lanes() + (iy + colour)) & 1)), V::first(count));
        V::pack(fields.level[colour] + n[colour], own, wide_at(s.level + i));
        V::pack(fields.thin[colour] + n[colour], own, wide_at(s.thin + i));
        V::pack(fields.share[colour] + n[colour], own, share);
        V::pack(fields.floor[colour] + n[colour], own, wide_at(table.floor + i));
        V::pack(fields.bound[colour] + n[colour], own, wide_at(map.air.bound + i));
        n[colour] += __builtin_popcount(V::mask(own));
      }
    }
    for (const int colour : {0, 1})
      for (float *const *sorted : {fields.level, fields.thin, fields.share})
        for (int k = n[colour]; k < row + fields.stride + kWide; ++k) sorted[colour][k] = 0.0f;
  }
  void set(int colour, int j, Wide h) const {
    const Wide floor = wide_at(fields.floor[colour] + j);
    const WideInts is_loose = wide_at(fields.share[colour] + j) > 0.0f;
    h = greatest_of(least_of(h, wide_at(fields.bound[colour] + j)), floor);
    const Wide thin = thin_at(h - floor, per_thick);
    float *level = fields.level[colour] + j, *thins = fields.thin[colour] + j;
    put(fields.height[colour] + j, h);
    put(thins, is_loose ? thin : wide_at(thins));
    put(level, is_loose ? h - thin * floor : wide_at(level));
  }
  void start(int colour, int j) const {
    set(colour, j,
        wide_at(fields.level[colour] + j) +
            wide_at(fields.thin[colour] + j) * wide_at(fields.floor[colour] + j));
  }
  void relax(int colour, int iy, int j) const {
    // Of the fields of the other colour in this row the one with the same index is to the right or to the left.
    const int left = j - 1 + ((colour + iy) & 1);
    const auto mean = [&](const float *v, float pulled) {
      return (pulled + wide_at(v + left) + wide_at(v + left + 1) + wide_at(v + j - fields.stride) +
              wide_at(v + j + fields.stride)) *
             wide_at(fields.share[colour] + j);
    };
    const Wide level = mean(fields.level[1 - colour], pull * aim), thin = mean(fields.thin[1 - colour], 0.0f);
    const Wide h = wide_at(fields.height[colour] + j), floor = wide_at(fields.floor[colour] + j);
    set(colour, j, h + kOverrelax * (level + thin * floor - h));
  }
  // Of blocks of fields those with some to be found.
  int list_blocks(Block *blocks) const {
    int count = 0;
    for (int iy = 0; iy < s.ny; ++iy)
      for (int ix = 0; ix < fields.stride; ix += kWide) {
        blocks[count] = {ix, iy};
        const int j = blocks[count].at(fields.stride);
        count += V::mask(V::lt(Wide{}, wide_at(fields.share[0] + j) + wide_at(fields.share[1] + j))) != 0;
      }
    return count;
  }
  // The rows about each field are empty.
  void empty_borders() const {
    const int n = s.ny * fields.stride, border = fields.apart - n;
    const auto empty = [](float *from, int count) {
      std::memset(from, 0, static_cast<std::size_t>(count) * sizeof *from);
    };
    for (float *const *sorted : {fields.level, fields.thin, fields.share}) {
      empty(sorted[0] - fields.stride, fields.stride);
      for (const int colour : {0, 1}) empty(sorted[colour] + n, border);
    }
  }
  void hang(Block *blocks) const {
    empty_borders();
    for (int iy = 0; iy < s.ny; ++iy) sort_row(iy);
    const int count = list_blocks(blocks);
    for (int sweep = 0; sweep <= kFineSweeps; ++sweep)
      for (const int colour : {0, 1})
        for (int k = 0; k < count; ++k) {
          const int j = blocks[k].at(fields.stride);
          sweep == 0 ? start(colour, j) : relax(colour, blocks[k].iy, j);
        }
  }
};

// Lays out what is known on the finest grid; false if nothing is.
bool lay_sheet(const HeightMap &map, const CellTable &table, float per_thick, const Sheet &s) {
  const Wide one = wide(1.0f), nothing{};
  Wide any{};
  for (int i = 0; i < s.nx * s.ny; i += kWide) {
    const WideInts state = wide_ints_at(map.state + i), seen = state == wide_ints(kSeen);
    const Wide h = wide_at(map.height + i), floor = wide_at(table.floor + i);
    const Wide known = seen ? one : nothing, thin = seen ? thin_at(h - floor, per_thick) : nothing;
    any = greatest_of(any, known);
    put(s.known + i, known);
    put(s.open + i, state == wide_ints(kOutside) ? nothing : one);
    put(s.thin + i, thin);
    put(s.level + i, seen ? h - thin * floor : nothing);
  }
  for (int k = 0; k < kWide; ++k)
    if (any[k] > 0.0f) return true;
  return false;
}

// Hangs the membrane over the cells of `loose`.
void hang_membrane(const Bed &bed, const CellTable &table, const Loose &loose, SurfacePrior prior,
                   const Scratch &scratch, HeightMap &map) {
  const Grid &g = bed.grid;
  const double width = prior.reach > 0.0 ? g.cell / prior.reach : 0.0;
  const auto pull = static_cast<float>(width * width), aim = static_cast<float>(prior.height);
  Sheet grids[kMostGrids] = {{g.nx, g.ny, g.nx, scratch.level + g.nx, scratch.thin + g.nx, scratch.known + g.nx,
                              scratch.open + g.nx, loose}};
  const Sheet &finest = grids[0];
  const Membrane membrane{table, finest, map, scratch.fields, static_cast<float>(1.0 / (kThick * bed.scale)),
                          pull,  aim};
  if (!lay_sheet(map, table, membrane.per_thick, finest) && !(pull > 0.0f))
    return;  // nothing to hang it from: the empty bed
  int last = 0;
  while (last + 1 < kMostGrids && (grids[last].nx > 2 || grids[last].ny > 2)) {
    const Sheet &fine = grids[last];
    const int nx = (fine.nx + 1) / 2, stride = next_stride(fine.nx), room = fine.room() - fine.stride + stride;
    const Loose &f = fine.loose;
    grids[last + 1] = {nx,
                       (fine.ny + 1) / 2,
                       stride,
                       fine.level + room,
                       fine.thin + room,
                       fine.known + room,
                       fine.open + room,
                       {f.at + f.count, f.above + f.count, f.share + f.count, 0}};
    coarsen(fine, grids[++last]);
  }
  for (int k = last; k > 0; --k) {
    const auto edge = static_cast<float>(1 << k);
    smooth(grids[k], pull * edge * edge, aim);
    refine(grids[k], grids[k - 1]);
  }
  membrane.hang(scratch.blocks);
  for (int k = 0; k < loose.count; ++k) map.height[loose.at[k]] = scratch.fields.height[0][scratch.place[k]];
}

// Chamfer distance of the cells without returns to the nearest one with some, in cells.
void measure_distance(const Grid &g, const std::int32_t *cells, int count, HeightMap &map) {
  constexpr float kDiagonal = 1.41421356f;
  const Wide far = wide(1e6f);
  for (int i = 0; i < g.size(); i += kWide)
    put(map.distance + i, wide_ints_at(map.state + i) == wide_ints(kSeen) ? Wide{} : far);
  for (int k = 1; k <= g.nx + 1; ++k) map.distance[-k] = map.distance[g.size() - 1 + k] = 1e6f;
  for (const int sign : {1, -1})
    for (int k = 0; k < count; ++k) {
      float *at = map.distance + cells[sign > 0 ? k : count - 1 - k], d = *at;
      const auto take = [&](int j, float step) { d = at[j] + step < d ? at[j] + step : d; };
      take(-sign * g.nx, 1.0f);
      take(-sign * (g.nx + 1), kDiagonal);
      take(-sign * (g.nx - 1), kDiagonal);
      take(-sign, 1.0f);
      *at = d;
    }
}

constexpr float kNoRoof = 1e30f;  // the surface's height where there is none: past the opening

// The ways from the middles of cells on the surface to a sensor.
struct Sightlines {
  const Bed &bed;
  const float *roof;  // [grid.size()] m; the surface, or kNoRoof
  Vec3 sensor;
  double highest;  // m; above it nothing is in the way

  // In steps of a cell:
  float u[kWide], v[kWide], z[kWide];       // where they begin
  float du[kWide], dv[kWide], rise[kWide];  // how they go on
  float length[kWide];                      // and how far; negative: they never reach the sensor

  void start(const std::int32_t *cells) {
    const Grid &g = bed.grid;
    for (int k = 0; k < kWide; k += kFew) {
      FewFloats height;
      for (int lane = 0; lane < kFew; ++lane) height[lane] = roof[cells[k + lane]];
      const Few index = __builtin_convertvector(lanes_at<FewInts>(cells + k), Few),
                h = __builtin_convertvector(height, Few);
      const Few iy = __builtin_convertvector(__builtin_convertvector((index + 0.5) / g.nx, FewInts), Few),
                ix = index - iy * g.nx;
      const Few up = sensor.z - h;
      const Few dx = (sensor.x - (g.x0 + (ix + 0.5) * g.cell)) / g.cell,
                dy = (sensor.y - (g.y0 + (iy + 0.5) * g.cell)) / g.cell;
      double roots[kFew];
      put_lanes(roots, dx * dx + dy * dy);
      for (double &root : roots) root = std::sqrt(root);
      const Few flat = lanes_at<Few>(roots), clear = (highest - h) / up * flat;
      const Few way = flat < 1.0 ? Few{} : (clear < flat ? clear : flat);
      put_lanes(u + k, __builtin_convertvector(ix, FewFloats) + 0.5f);
      put_lanes(v + k, __builtin_convertvector(iy, FewFloats) + 0.5f);
      put_lanes(z + k, height);
      put_lanes(du + k, __builtin_convertvector(dx / flat, FewFloats));
      put_lanes(dv + k, __builtin_convertvector(dy / flat, FewFloats));
      put_lanes(rise + k, __builtin_convertvector(up / flat, FewFloats));
      put_lanes(length + k, __builtin_convertvector(up > 0.0 ? way : Few{} - 1.0, FewFloats));
    }
  }

  // Those that are free of the surface, by bits.
  unsigned free() const {
    const Grid &g = bed.grid;
    const Wide nothing{}, half = wide(static_cast<float>(0.5 * g.cell)),
                          columns = wide(static_cast<float>(g.nx)), rows = wide(static_cast<float>(g.ny));
    unsigned under_way = V::mask(V::ge(wide_at(length), nothing)), free = 0;
    for (float t = 1.5f;; t += 1.0f) {
      const unsigned through = under_way & V::mask(V::ge(wide(t), wide_at(length)));
      free |= through;
      under_way &= ~through;
      if (under_way == 0) return free;
      const Wide x = wide_at(u) + wide(t) * wide_at(du), y = wide_at(v) + wide(t) * wide_at(dv),
                 at = wide_at(z) + wide(t) * wide_at(rise);
      const V::M within =
          V::both(V::both(V::ge(x, nothing), V::ge(y, nothing)), V::both(V::lt(x, columns), V::lt(y, rows)));
      std::int32_t cell[kWide];
      float over[kWide];
      put_lanes(cell, V::times(V::whole_where(within, y), g.nx) + V::whole_where(within, x));
      for (int k = 0; k < kWide; ++k) over[k] = roof[cell[k]];
      const Wide surface = V::where(within, wide_at(over), wide(kNoRoof));
      const unsigned met = under_way & V::mask(V::lt(at + half, surface));
      under_way &= ~met;
      for (unsigned m = met; m != 0; m &= m - 1) {
        const int k = __builtin_ctz(m);
        // Past the opening only the wall tops and what stands on them could be in the way.
        if (surface[k] < kNoRoof) continue;
        const double left = g.x0 + static_cast<double>(x[k]) * g.cell,
                     front = g.y0 + static_cast<double>(y[k]) * g.cell;
        if (static_cast<double>(at[k]) > bed.rim_height(left, front)) free |= 1u << k;
      }
    }
  }
};

// How far from a return a cell in sight still counts as seen, in cells: by the spacing of the returns.
double sampling_reach(int unseen, int inside) {
  const int seen = inside - unseen;
  return seen == 0 ? 0.0 : clamp(1.5 * inside / seen, 1.5, 6.0);
}

// Tells what lies among returns and in sight from what is hidden.
void find_between(const Bed &bed, const CellTable &table, std::int32_t *cells, int count, const Vec3 *sensors,
                  int sensor_count, const Scratch &scratch, HeightMap &map) {
  const Grid &g = bed.grid;
  float *roof = scratch.rows[0];
  Wide top = wide(-1e9f);
  WideInts within{};
  for (int i = 0; i < g.size(); i += kWide) {
    const WideInts is_out = wide_ints_at(map.state + i) == wide_ints(kOutside);
    const Wide h = wide_at(map.height + i), higher = greatest_of(h, wide_at(table.top + i));
    put(roof + i, is_out ? wide(kNoRoof) : h);
    top = is_out ? top : greatest_of(top, higher);
    within += is_out + 1;
  }
  int inside = 0;
  float highest = -1e9f;
  for (int k = 0; k < kWide; ++k) {
    inside += within[k];
    highest = top[k] > highest ? top[k] : highest;
  }
  const double reach = sampling_reach(count, inside);
  int near = 0;
  for (int k = 0; k < count; ++k) {
    const std::int32_t i = cells[k];
    cells[near] = i;
    near += static_cast<double>(map.distance[i]) <= reach;
  }
  if (sensor_count == 0)
    for (int k = 0; k < near; ++k) map.state[cells[k]] = kBetween;
  for (int s = 0; s < sensor_count; ++s) {
    Sightlines lines{bed, roof, sensors[s], static_cast<double>(highest) + 0.02 * bed.scale, {}, {}, {}, {},
                     {},  {},   {}};
    int left = 0;
    for (int k = near; k % kWide != 0; ++k) cells[k] = cells[0];
    for (int k = 0; k < near; k += kWide) {
      lines.start(cells + k);
      const unsigned free = lines.free();
      for (int lane = 0; lane < kWide && k + lane < near; ++lane) {
        const std::int32_t i = cells[k + lane];
        if (free >> lane & 1) map.state[i] = kBetween;
        cells[left] = i;
        left += !(free >> lane & 1);
      }
    }
    near = left;
  }
}

// The cells without returns.
Loose list_hidden(const Grid &g, const HeightMap &map, const Scratch &scratch) {
  Loose loose{scratch.at, scratch.above, scratch.share, 0};
  for (int iy = 0; iy < g.ny; ++iy)
    for (int ix = 0; ix < g.nx; ix += kWide) {
      const int i = iy * g.nx + ix;
      const V::M hidden = V::both(V::none(V::U(wide_ints_at(map.state + i) ^ wide_ints(kHidden))),
                                  V::first(g.nx - ix < kWide ? g.nx - ix : kWide));
      if (V::mask(hidden) == 0) continue;
      const WideInts x = wide_lanes() + ix, half = x >> 1;
      V::pack(loose.at + loose.count, hidden, wide_lanes() + i);
      V::pack(loose.above + loose.count, hidden, half + iy / 2 * next_stride(g.nx));
      V::pack(scratch.place + loose.count, hidden,
              half + iy * scratch.fields.stride + ((x + iy) & 1) * scratch.fields.apart);
      loose.count += __builtin_popcount(V::mask(hidden));
    }
  return loose;
}

void complete_surface(const Bed &bed, const CellTable &table, const Vec3 *sensors, int sensor_count,
                      SurfacePrior prior, const Scratch &scratch, HeightMap &map) noexcept {
  const Grid &g = bed.grid;
  const Loose loose = list_hidden(g, map, scratch);
  measure_distance(g, loose.at, loose.count, map);
  if (loose.count > 0) {
    hang_membrane(bed, table, loose, prior, scratch, map);
    find_between(bed, table, loose.at, loose.count, sensors, sensor_count, scratch, map);
  }
  for (int i = 0; i < g.size(); ++i) map.distance[i] *= static_cast<float>(g.cell);
}
