// What lies where nothing was seen: a membrane hung between the cells with returns.
//
// It is found on grids coarser and coarser, from the coarsest to the finest (cascadic multigrid: Bornemann and
// Deuflhard, Numerische Mathematik 75, 1996), where obstacles are kept: so the cost is linear in cells.

constexpr double kThick = 0.3;  // m; a layer of this depth shows nothing of the floor below
constexpr int kMostGrids = 12;
constexpr int kCoarseSweeps = 4, kFineSweeps = 6;
constexpr float kOverrelax = 1.5f;

// A grid of the cascade, its rows and columns made even by empty ones. A cell's height is level + thin * floor:
// a thin layer follows the floor (thin 1), a thick one hides it (0).
struct Sheet {
  int nx, ny, stride;
  float *level, *thin;  // what is known, and the membrane elsewhere; 0 not over the bed
  float *known, *open;  // 1 or 0: what is known; what is over the bed

  int room() const { return stride * (ny + (ny & 1)) + kWide; }
};

// How much of the floor's relief shows through a layer of this depth.
inline float thin_at(float depth, float per_thick) {
  const float t = 1.0f - depth * per_thick;
  return t < 0.0f ? 0.0f : (t > 1.0f ? 1.0f : t);
}

// Each coarse cell knows the mean of what its four cells know.
void coarsen(const Sheet &fine, const Sheet &coarse) {
  for (int y = 0; y < coarse.ny; ++y) {
    const float *level = fine.level + 2 * y * fine.stride, *thin = fine.thin + 2 * y * fine.stride,
                *known = fine.known + 2 * y * fine.stride, *open = fine.open + 2 * y * fine.stride;
    const int i = y * coarse.stride, up = fine.stride;
    const auto four = [up](const float *v, int a) { return (v[a] + v[a + 1]) + (v[a + up] + v[a + up + 1]); };
    for (int x = 0; x < coarse.nx; ++x) {
      const int a = 2 * x;
      const float count = four(known, a), share = count > 0.0f ? 1.0f / count : 0.0f;
      const float levels = (level[a] * known[a] + level[a + 1] * known[a + 1]) +
                           (level[a + up] * known[a + up] + level[a + up + 1] * known[a + up + 1]);
      const float thins = (thin[a] * known[a] + thin[a + 1] * known[a + 1]) +
                          (thin[a + up] * known[a + up] + thin[a + up + 1] * known[a + up + 1]);
      coarse.level[i + x] = levels * share;
      coarse.thin[i + x] = thins * share;
      coarse.known[i + x] = count > 0.0f ? 1.0f : 0.0f;
      coarse.open[i + x] = four(open, a) > 0.0f ? 1.0f : 0.0f;
    }
  }
}

// What its neighbours over the bed make of a cell, with a prior pulling at it; false where nothing does.
inline bool mean_about(const Sheet &s, int i, int x, int y, float pull, float aim, float &level, float &thin) {
  level = pull * aim;
  thin = 0.0f;
  float n = pull;
  const auto take = [&](int j) {
    level += s.level[j];
    thin += s.thin[j];
    n += s.open[j];
  };
  if (x > 0) take(i - 1);
  if (x + 1 < s.nx) take(i + 1);
  if (y > 0) take(i - s.stride);
  if (y + 1 < s.ny) take(i + s.stride);
  if (!(n > 0.0f)) return false;
  const float share = 1.0f / n;
  level *= share;
  thin *= share;
  return true;
}

// Finds what is to be found on a coarse grid: sweeps in which each cell becomes the mean of its neighbours.
void smooth(const Sheet &s, float pull, float aim) {
  for (int sweep = 0; sweep < kCoarseSweeps; ++sweep)
    for (int y = 0; y < s.ny; ++y)
      for (int x = 0; x < s.nx; ++x) {
        const int i = y * s.stride + x;
        if (s.open[i] <= s.known[i]) continue;
        float level, thin;
        if (!mean_about(s, i, x, y, pull, aim, level, thin)) continue;
        s.level[i] = level;
        s.thin[i] = thin;
      }
}

// Where the fine grid is to be found it starts from the coarse one.
void refine(const Sheet &coarse, const Sheet &fine) {
  for (int y = 0; y < fine.ny; ++y)
    for (int x = 0; x < fine.nx; ++x) {
      const int i = y * fine.stride + x, j = y / 2 * coarse.stride + x / 2;
      if (fine.open[i] <= fine.known[i]) continue;
      fine.level[i] = coarse.level[j];
      fine.thin[i] = coarse.thin[j];
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
  void relax(int i) const {
    float level, thin;
    if (!mean_about(s, i, i % s.nx, i / s.nx, pull, aim, level, thin)) return;
    set(i, map.height[i] + kOverrelax * (level + thin * bed.floor[i] - map.height[i]));
  }
};

// Hangs the membrane; `cells` are those without returns, of one colour of a chequerboard after those of the
// other, so that none waits for the one before.
void hang_membrane(const Bed &bed, const std::int32_t *cells, int count, SurfacePrior prior,
                   const Scratch &scratch, HeightMap &map) {
  const Grid &g = bed.grid;
  const double width = prior.reach > 0.0 ? g.cell / prior.reach : 0.0;
  const auto pull = static_cast<float>(width * width), aim = static_cast<float>(prior.height);
  Sheet grids[kMostGrids] = {{g.nx, g.ny, g.nx, scratch.level, scratch.thin, scratch.known, scratch.open}};
  const Sheet &finest = grids[0];
  const Membrane membrane{bed, finest, map, static_cast<float>(1.0 / (kThick * bed.scale)), pull, aim};
  bool any = false;
  for (int i = 0; i < g.size(); ++i) {
    const bool seen = map.state[i] == kSeen;
    any = any || seen;
    finest.known[i] = seen ? 1.0f : 0.0f;
    finest.open[i] = map.state[i] == kOutside ? 0.0f : 1.0f;
    const float thin = seen ? thin_at(map.height[i] - bed.floor[i], membrane.per_thick) : 0.0f;
    finest.thin[i] = thin;
    finest.level[i] = seen ? map.height[i] - thin * bed.floor[i] : 0.0f;
  }
  if (!any && !(pull > 0.0f)) return;  // nothing to hang it from: the empty bed
  int last = 0;
  while (last + 1 < kMostGrids && (grids[last].nx > 2 || grids[last].ny > 2)) {
    const Sheet &fine = grids[last];
    const int nx = (fine.nx + 1) / 2, room = fine.room();
    grids[last + 1] = {nx,
                       (fine.ny + 1) / 2,
                       nx + (nx & 1),
                       fine.level + room,
                       fine.thin + room,
                       fine.known + room,
                       fine.open + room};
    coarsen(fine, grids[++last]);
  }
  for (int k = last; k > 0; --k) {
    const auto edge = static_cast<float>(1 << k);
    smooth(grids[k], pull * edge * edge, aim);
    refine(grids[k], grids[k - 1]);
  }
  for (int k = 0; k < count; ++k)
    membrane.set(cells[k], finest.level[cells[k]] + finest.thin[cells[k]] * bed.floor[cells[k]]);
  for (int sweep = 0; sweep < kFineSweeps; ++sweep)
    for (int k = 0; k < count; ++k) membrane.relax(cells[k]);
}

// Chamfer distance of the cells without returns to the nearest one with some, in cells.
void measure_distance(const Grid &g, const std::int32_t *cells, int count, HeightMap &map) {
  constexpr float kDiagonal = 1.41421356f;
  for (int i = 0; i < g.size(); ++i) map.distance[i] = map.state[i] == kSeen ? 0.0f : 1e6f;
  for (const int sign : {1, -1})
    for (int k = 0; k < count; ++k) {
      const int i = cells[sign > 0 ? k : count - 1 - k], x = i % g.nx, y = i / g.nx;
      const int px = x - sign, py = y - sign, qx = x + sign;
      const bool px_in = px >= 0 && px < g.nx, py_in = py >= 0 && py < g.ny, qx_in = qx >= 0 && qx < g.nx;
      float d = map.distance[i];
      const auto take = [&](int j, float step) { d = map.distance[j] + step < d ? map.distance[j] + step : d; };
      if (px_in) take(y * g.nx + px, 1.0f);
      if (py_in) take(py * g.nx + x, 1.0f);
      if (px_in && py_in) take(py * g.nx + px, kDiagonal);
      if (qx_in && py_in) take(py * g.nx + qx, kDiagonal);
      map.distance[i] = d;
    }
}

// Whether the way from the middle of the cell's surface to the sensor is free of the surface. Above `highest`
// nothing is in the way.
bool in_sight(const Bed &bed, const HeightMap &map, int i, Vec3 sensor, double highest) {
  const Grid &g = bed.grid;
  const int ix = i % g.nx, iy = i / g.nx;
  const double z = static_cast<double>(map.height[i]), up = sensor.z - z;
  if (!(up > 0.0)) return false;
  const double dx = (sensor.x - g.centre_x(ix)) / g.cell, dy = (sensor.y - g.centre_y(iy)) / g.cell;
  const double flat = std::sqrt(dx * dx + dy * dy);
  if (flat < 1.0) return true;
  // In steps of a cell.
  const double clear = (highest - z) / up * flat;
  const auto length = static_cast<float>(clear < flat ? clear : flat), rise = static_cast<float>(up / flat);
  const auto du = static_cast<float>(dx / flat), dv = static_cast<float>(dy / flat);
  const float u0 = static_cast<float>(ix) + 0.5f, v0 = static_cast<float>(iy) + 0.5f, z0 = map.height[i],
              half = static_cast<float>(0.5 * g.cell);
  const auto columns = static_cast<float>(g.nx), rows = static_cast<float>(g.ny);
  for (float t = 1.5f; t < length; t += 1.0f) {
    const float u = u0 + t * du, v = v0 + t * dv, at = z0 + t * rise;
    const bool within = u >= 0.0f && v >= 0.0f && u < columns && v < rows;
    const int cell = within ? static_cast<int>(v) * g.nx + static_cast<int>(u) : -1;
    if (cell < 0 || map.state[cell] == kOutside) {
      // Past the opening only the wall tops and what stands on them could be in the way.
      const double x = g.x0 + static_cast<double>(u) * g.cell, y = g.y0 + static_cast<double>(v) * g.cell;
      return static_cast<double>(at) > bed.rim_height(x, y);
    }
    if (map.height[cell] > at + half) return false;
  }
  return true;
}

// How far from a return a cell in sight still counts as seen, in cells: by the spacing of the returns.
double sampling_reach(int unseen, int inside) {
  const int seen = inside - unseen;
  return seen == 0 ? 0.0 : clamp(1.5 * inside / seen, 1.5, 6.0);
}

// Tells what lies among returns and in sight from what is hidden.
void find_between(const Bed &bed, const CellTable &table, const std::int32_t *cells, int count,
                  const Vec3 *sensors, int sensor_count, HeightMap &map) {
  const Grid &g = bed.grid;
  int inside = 0;
  float highest = -1e9f;
  for (int i = 0; i < g.size(); ++i) {
    if (map.state[i] == kOutside) continue;
    ++inside;
    const float h = map.height[i] > table.top[i] ? map.height[i] : table.top[i];
    highest = h > highest ? h : highest;
  }
  const double reach = sampling_reach(count, inside), clear = static_cast<double>(highest) + 0.02 * bed.scale;
  for (int k = 0; k < count; ++k) {
    const int i = cells[k];
    if (static_cast<double>(map.distance[i]) > reach) continue;
    bool sight = sensor_count == 0;
    for (int s = 0; s < sensor_count && !sight; ++s) sight = in_sight(bed, map, i, sensors[s], clear);
    if (sight) map.state[i] = kBetween;
  }
}

void complete_surface(const Bed &bed, const CellTable &table, const Vec3 *sensors, int sensor_count,
                      SurfacePrior prior, const Scratch &scratch, HeightMap &map) noexcept {
  const Grid &g = bed.grid;
  int count = 0;
  for (int i = 0; i < g.size(); ++i) {
    scratch.cells[count] = i;
    count += map.state[i] == kHidden;
  }
  measure_distance(g, scratch.cells, count, map);
  if (count > 0) {
    int even = 0, odd = 0;
    for (int k = 0; k < count; ++k) {
      const int i = scratch.cells[k], is_odd = (i % g.nx + i / g.nx) & 1;
      scratch.way[even] = i;
      scratch.ring[odd] = i;
      even += !is_odd;
      odd += is_odd;
    }
    std::memcpy(scratch.way + even, scratch.ring, static_cast<std::size_t>(odd) * sizeof *scratch.way);
    hang_membrane(bed, scratch.way, count, prior, scratch, map);
    find_between(bed, table, scratch.cells, count, sensors, sensor_count, map);
  }
  for (int i = 0; i < g.size(); ++i) map.distance[i] *= static_cast<float>(g.cell);
}
