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
inline float thin_at(float depth, float per_thick) {
  const float t = 1.0f - depth * per_thick;
  return t < 0.0f ? 0.0f : (t > 1.0f ? 1.0f : t);
}

// From one row to the next of the grid above one of so many columns.
inline int next_stride(int nx) { return (nx + 1) / 2 + 1; }

// Each coarse cell knows the mean of what its four cells know; what they do not know is 0.
void coarsen(const Sheet &fine, Sheet &coarse) {
  Loose &loose = coarse.loose;
  for (int y = 0; y < coarse.ny; ++y) {
    const int i = y * coarse.stride, j = 2 * y * fine.stride, up = fine.stride;
    float *__restrict level = coarse.level + i, *__restrict thin = coarse.thin + i,
                      *__restrict known = coarse.known + i, *__restrict open = coarse.open + i;
    const auto four = [up](const float *v, int x) {
      return (v[2 * x] + v[2 * x + 1]) + (v[2 * x + up] + v[2 * x + up + 1]);
    };
    for (int x = 0; x < coarse.nx; ++x) {
      const float count = four(fine.known + j, x), share = 1.0f / (count > 0.0f ? count : 1.0f);
      level[x] = four(fine.level + j, x) * share;
      thin[x] = four(fine.thin + j, x) * share;
      known[x] = count > 0.0f ? 1.0f : 0.0f;
      open[x] = four(fine.open + j, x) > 0.0f ? 1.0f : 0.0f;
    }
    for (int x = 0; x < coarse.nx; ++x) {
      loose.at[loose.count] = i + x;
      loose.above[loose.count] = y / 2 * next_stride(coarse.nx) + x / 2;
      loose.count += open[x] > known[x];
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
struct Membrane {
  const Bed &bed;
  const Sheet &s;
  HeightMap &map;
  float per_thick, pull, aim;

  void set(int i, float h) const {
    const float floor = bed.floor[i];
    h = h < map.air.bound[i] ? h : map.air.bound[i];
    h = h > floor ? h : floor;
    map.height[i] = h;
    s.thin[i] = thin_at(h - floor, per_thick);
    s.level[i] = h - s.thin[i] * floor;
  }
  void relax(int i, float share) const {
    if (!(share > 0.0f)) return;
    const float level = mean_about(s.level + i, s.stride, pull * aim, share),
                thin = mean_about(s.thin + i, s.stride, 0.0f, share);
    set(i, map.height[i] + kOverrelax * (level + thin * bed.floor[i] - map.height[i]));
  }
};

// Lays out what is known on the finest grid; false if nothing is.
bool lay_sheet(const HeightMap &map, const CellTable &table, float per_thick, const Sheet &s) {
  const Wide one = wide(1.0f), nothing{};
  Wide any{};
  for (int i = 0; i < s.nx * s.ny; i += kWide) {
    const WideInts state = wide_ints_at(map.state + i), seen = state == wide_ints(kSeen);
    const Wide h = wide_at(map.height + i), floor = wide_at(table.floor + i);
    const Wide known = seen ? one : nothing,
               thin = seen ? clip(one - (h - floor) * per_thick, 0.0f, 1.0f) : nothing;
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

// Hangs the membrane over the cells of `loose`, those of one colour of a chequerboard after those of the other,
// so that none waits for the one before.
void hang_membrane(const Bed &bed, const CellTable &table, const Loose &loose, SurfacePrior prior,
                   const Scratch &scratch, HeightMap &map) {
  const Grid &g = bed.grid;
  const double width = prior.reach > 0.0 ? g.cell / prior.reach : 0.0;
  const auto pull = static_cast<float>(width * width), aim = static_cast<float>(prior.height);
  Sheet grids[kMostGrids] = {{g.nx, g.ny, g.nx, scratch.level + g.nx, scratch.thin + g.nx, scratch.known + g.nx,
                              scratch.open + g.nx, loose}};
  const Sheet &finest = grids[0];
  const Membrane membrane{bed, finest, map, static_cast<float>(1.0 / (kThick * bed.scale)), pull, aim};
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
  share_out(finest, pull);
  for (int k = 0; k < loose.count; ++k) {
    const int i = loose.at[k];
    membrane.set(i, finest.level[i] + finest.thin[i] * bed.floor[i]);
  }
  for (int sweep = 0; sweep < kFineSweeps; ++sweep)
    for (int k = 0; k < loose.count; ++k) membrane.relax(loose.at[k], loose.share[k]);
}

// Chamfer distance of the cells without returns to the nearest one with some, in cells.
void measure_distance(const Grid &g, const std::int32_t *cells, int count, HeightMap &map) {
  constexpr float kDiagonal = 1.41421356f;
  const Wide far = wide(1e6f);
  for (int i = 0; i < g.size(); i += kWide)
    put(map.distance + i, wide_ints_at(map.state + i) == wide_ints(kSeen) ? Wide{} : far);
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

// The cells without returns: in their order, and one colour of a chequerboard after the other in `loose`.
void list_hidden(const Grid &g, const HeightMap &map, const Scratch &scratch, Loose &loose) {
  int count = 0, odd = 0;
  const auto append = [](std::int32_t *list, int &n, V::M which, WideInts v) {
    V::pack(list + n, which, v);
    n += __builtin_popcount(V::mask(which));
  };
  for (int iy = 0; iy < g.ny; ++iy)
    for (int ix = 0; ix < g.nx; ix += kWide) {
      const int i = iy * g.nx + ix, row = iy / 2 * next_stride(g.nx);
      const WideInts x = wide_lanes() + ix, state = wide_ints_at(map.state + i);
      const V::M hidden =
          V::both(V::none(V::U(state ^ wide_ints(kHidden))), V::first(g.nx - ix < kWide ? g.nx - ix : kWide));
      if (V::mask(hidden) == 0) continue;
      const V::M is_even = V::none(V::U((x + iy) & 1));
      append(scratch.cells, count, hidden, wide_lanes() + i);
      for (const bool even : {true, false}) {
        const V::M own = even ? V::both(hidden, is_even) : V::but_not(hidden, is_even);
        int &n = even ? loose.count : odd;
        V::pack((even ? loose.above : scratch.ring) + n, own, (x >> 1) + row);
        append(even ? loose.at : scratch.way, n, own, wide_lanes() + i);
      }
    }
  std::memcpy(loose.at + loose.count, scratch.way, static_cast<std::size_t>(odd) * sizeof *loose.at);
  std::memcpy(loose.above + loose.count, scratch.ring, static_cast<std::size_t>(odd) * sizeof *loose.above);
  loose.count = count;
}

void complete_surface(const Bed &bed, const CellTable &table, const Vec3 *sensors, int sensor_count,
                      SurfacePrior prior, const Scratch &scratch, HeightMap &map) noexcept {
  const Grid &g = bed.grid;
  Loose loose{scratch.at, scratch.above, scratch.share, 0};
  list_hidden(g, map, scratch, loose);
  measure_distance(g, scratch.cells, loose.count, map);
  if (loose.count > 0) {
    hang_membrane(bed, table, loose, prior, scratch, map);
    find_between(bed, table, scratch.cells, loose.count, sensors, sensor_count, scratch, map);
  }
  for (int i = 0; i < g.size(); ++i) map.distance[i] *= static_cast<float>(g.cell);
}
