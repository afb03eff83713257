// The pass over the points that were sifted: where each falls, and what it is.

// The bed in the pass's own coordinates: columns and rows of cells, and steps above the lowest level.
struct PassFrame {
  Motion motion;
  float columns, rows, steps;  // how far they go
  float inner[4];              // from, to column, from, to row: in between no return is of a wall
  float outer[4];              // the same: beyond, nothing is looked at
  Affine wall[kWalls];         // m inside each wall
  Affine opening[kWalls];      // m inside it at the height of the wall tops
  Affine over;                 // m above the wall tops
  float skin[kWalls], behind[kWalls];
  float beside[kWalls];  // m outside; from there on what hangs over
  float low;             // steps; higher returns between the walls are inside
  bool before[kWalls];   // whether the sensor stands in front of the wall
  float from[3];         // where it stands
};

inline PassFrame frame_of(const Bed &bed, const Columns &columns, const Pose &pose, bool rays) {
  const Grid &g = bed.grid;
  PassFrame f{};
  const double unit[3] = {1.0 / g.cell, 1.0 / g.cell, Cell::kSteps / columns.dz};
  const double least[3] = {g.x0, g.y0, columns.z0}, at[3] = {pose.t.x, pose.t.y, pose.t.z};
  f.motion = motion_of(pose, unit, least);
  for (int i = 0; i < 3; ++i) f.from[i] = static_cast<float>((at[i] - least[i]) * unit[i]);
  f.columns = static_cast<float>(g.nx);
  f.rows = static_cast<float>(g.ny);
  f.steps = static_cast<float>(columns.nz * Cell::kSteps);
  const auto affine = [&](double nx, double ny, double nz, double d) {
    return Affine{static_cast<float>(nx / unit[0]), static_cast<float>(ny / unit[1]),
                  static_cast<float>(nz / unit[2]),
                  static_cast<float>(nx * least[0] + ny * least[1] + nz * least[2] + d)};
  };
  f.over = affine(-bed.rim[1], -bed.rim[2], 1.0, -bed.rim[0]);
  const double slant = g.cell * (std::fabs(bed.rim[1]) * g.nx + std::fabs(bed.rim[2]) * g.ny);
  for (int w = 0; w < kWalls; ++w) {
    const Plane &p = bed.walls[w];
    f.wall[w] = affine(p.n.x, p.n.y, p.n.z, -p.d);
    f.opening[w] =
        affine(p.n.x + p.n.z * bed.rim[1], p.n.y + p.n.z * bed.rim[2], 0.0, p.n.z * bed.rim[0] - p.d);
    f.skin[w] = static_cast<float>(bed.skin[w]);
    f.behind[w] = static_cast<float>(-kWallDepth * bed.scale - 2.0 * bed.wall_std[w]);
    f.beside[w] = static_cast<float>(-kBesideFrom * bed.scale - 2.0 * bed.wall_std[w]);
    f.before[w] = rays && p.distance(pose.t) > 0.0;
    const WallReach skin = wall_reach(bed, w, bed.skin[w], columns.z0, columns.ceiling());
    const WallReach top = wall_reach(bed, w, 0.0, bed.rim[0] - slant, bed.rim[0] + slant);
    const WallReach off = wall_reach(bed, w, -kBesideTo * bed.scale, columns.z0, columns.ceiling());
    const bool is_least = (w < kLeft ? p.n.x : p.n.y) > 0.0;
    const double farthest =
        is_least ? std::fmax(skin.farthest, top.farthest) : std::fmin(skin.farthest, top.farthest);
    const double origin = w < kLeft ? g.x0 : g.y0, end = w < kLeft ? g.nx : g.ny;
    const double edge = (farthest - origin) / g.cell, beyond = (off.nearest - origin) / g.cell;
    const int side =
        w < kLeft ? 1 - w : 5 - w;  // front: greatest column, rear: least, left: greatest row, right
    f.inner[side] = static_cast<float>(is_least ? std::fmax(0.0, edge + 1e-3) : std::fmin(end, edge - 1e-3));
    f.outer[side] = static_cast<float>(is_least ? std::fmin(0.0, beyond) : std::fmax(end, beyond));
  }
  f.low = static_cast<float>((-0.5 * bed.rim[0] - columns.z0) * unit[2]);
  return f;
}

typedef std::uint64_t Pair __attribute__((vector_size(16)));

// Adds one return to its cell.
inline void drop_into(Cell &c, std::int32_t at) {
  const auto step = static_cast<std::uint64_t>(static_cast<std::uint32_t>(at));
  const std::uint64_t level = std::uint64_t{1} << (step >> Cell::kStepShift);
  c.mask |= level;
  Pair sums;
  std::memcpy(&sums, &c.sum, sizeof sums);
  sums += Pair{(std::uint64_t{1} << Cell::kCountShift) + step, step * step};
  std::memcpy(&c.sum, &sums, sizeof sums);
}

// What a block's points are, and where they fall.
struct Falls {
  alignas(64) std::int32_t cell[kBlock + V::kLanes], step[kBlock + V::kLanes];
  int count = 0;

  void add(V::M m, V::I c, V::I s) {
    V::pack(cell + count, m, c);
    V::pack(step + count, m, s);
    count += __builtin_popcount(V::mask(m));
  }
};

struct Pass {
  const Bed &bed;
  const Columns &columns;
  const PassFrame frame;
  bool rays;
  const Runs *runs;
  PassCounts counts{};
  Falls load{}, low{};
  alignas(64) float edge[3][kBlock + V::kLanes]{};  // points that may be of a wall or outside
  const std::int32_t nx = bed.grid.nx;

  // Where the ray to a point behind wall w crossed it: whether that is well below its top and between its ends.
  bool is_through(int w, float u, float v, float l) const {
    const Affine &a = frame.wall[w];
    const auto inside = [](const Affine &f, float x, float y, float z) {
      return f.a * x + f.b * y + f.c * z + f.d;
    };
    const float *from = frame.from;
    const float before = inside(a, from[0], from[1], from[2]), behind = inside(a, u, v, l);
    const float t = before / (before - behind);
    const float at[3] = {from[0] + t * (u - from[0]), from[1] + t * (v - from[1]), from[2] + t * (l - from[2])};
    const auto depth = static_cast<float>(kWallDepth * bed.scale);
    const float over = inside(frame.over, at[0], at[1], at[2]);
    const int across = w < kLeft ? kLeft : kFront;
    return over < -depth && over > depth - static_cast<float>(bed.rim[0]) &&
           inside(frame.wall[across], at[0], at[1], at[2]) > depth &&
           inside(frame.wall[across + 1], at[0], at[1], at[2]) > depth;
  }

  void judge_edges(int first, int n) {
    const V::F u = V::load(edge[0] + first), v = V::load(edge[1] + first), l = V::load(edge[2] + first);
    const V::M real = V::first(n);
    const V::F over = frame.over.at(u, v, l), nothing = V::set(0.0f);
    V::M open = real, wall = V::but_not(real, real), facing = real;
    V::F least = V::set(1e9f);
    V::F inside[kWalls];
    for (int w = 0; w < kWalls; ++w) {
      inside[w] = frame.wall[w].at(u, v, l);
      open = V::both(open, V::ge(frame.opening[w].at(u, v, l), nothing));
      const V::F skin = V::set(frame.skin[w]);
      wall = V::either(wall, V::both(V::lt(inside[w], skin), V::lt(over, skin)));
      if (!frame.before[w]) facing = V::but_not(facing, V::lt(inside[w], nothing));
      least = V::lower(least, inside[w]);
    }
    const V::M over_grid = V::both(V::both(V::ge(u, nothing), V::lt(u, V::set(frame.columns))),
                                   V::both(V::ge(v, nothing), V::lt(v, V::set(frame.rows))));
    const V::M high = V::ge(l, V::set(frame.low));
    const V::M within = V::both(over_grid, V::both(V::ge(l, nothing), V::lt(l, V::set(frame.steps))));
    open = V::both(open, over_grid);
    const V::M of_wall = V::both(open, wall), of_load = V::but_not(open, wall),
               falls = V::both(of_load, within);
    counts.wall += __builtin_popcount(V::mask(of_wall));
    counts.stray += __builtin_popcount(V::mask(V::but_not(of_load, within)));
    counts.inside += __builtin_popcount(V::mask(V::both(real, V::both(high, V::lt(nothing, least)))));
    const V::M placed = V::both(real, within);
    const V::I cell = V::times(V::whole_where(placed, v), nx) + V::whole_where(placed, u);
    const V::I step = V::whole_where(placed, l);
    load.add(falls, cell, step);
    if (rays) low.add(V::but_not(V::both(placed, facing), falls), cell, step);
    judge_outside(u, v, l, real, over, inside);
  }

  // What hangs over, and what can only be seen through a wall.
  void judge_outside(V::F u, V::F v, V::F l, V::M real, V::F over, const V::F inside[kWalls]) {
    const float from = static_cast<float>(kBesideFrom * bed.scale),
                high = static_cast<float>(kBesideHigh * bed.scale),
                farthest = static_cast<float>(-kBesideTo * bed.scale);
    V::M out = V::but_not(real, real);
    for (int w = kRear; w < kWalls; ++w)
      out = V::either(out,
                      V::both(V::lt(inside[w], V::set(frame.beside[w])), V::lt(V::set(farthest), inside[w])));
    V::M beside = V::both(V::both(out, V::ge(over, V::set(from))), V::lt(over, V::set(high)));
    beside = V::both(V::both(beside, real), V::ge(inside[kFront], V::set(from)));
    counts.beside += __builtin_popcount(V::mask(beside));
    unsigned through = 0;
    for (int w = 0; w < kWalls; ++w) {
      if (!frame.before[w]) continue;
      unsigned behind = V::mask(V::both(real, V::lt(inside[w], V::set(frame.behind[w])))) & ~through;
      if (behind == 0) continue;
      float at[3][V::kLanes];
      V::store(at[0], u);
      V::store(at[1], v);
      V::store(at[2], l);
      for (; behind != 0; behind &= behind - 1) {
        const int i = __builtin_ctz(behind);
        if (is_through(w, at[0][i], at[1][i], at[2][i])) through |= 1u << i;
      }
    }
    counts.through += __builtin_popcount(through);
  }

  // Of what falls keeps only where `stays(cell, level)` holds.
  template <class Stays>
  void keep_where(Stays stays) {
    int kept = 0;
    for (int i = 0; i < load.count; ++i) {
      const std::int32_t cell = load.cell[i], step = load.step[i];
      load.cell[kept] = cell;
      load.step[kept] = step;
      kept += stays(cell, step >> Cell::kStepShift);
    }
    load.count = kept;
  }

  // Removes what falls on fixtures of the empty bed.
  void leave_out_fixtures() {
    const int before = load.count;
    keep_where([&](std::int32_t cell, std::int32_t level) { return !(bed.fixtures[cell] >> level & 1); });
    counts.fixture += before - load.count;
  }

  // Removes what does not belong to the run of levels that is a cell's surface.
  void leave_out_others() {
    keep_where([&](std::int32_t cell, std::int32_t level) {
      return level >= runs->low[cell] && level <= runs->high[cell];
    });
  }

  void add_up(bool has_fixtures) {
    if (has_fixtures) leave_out_fixtures();
    if (runs != nullptr) leave_out_others();
    counts.load += load.count;
    // Neighbours in a scan fall into the same cell: four that are far apart need not wait for each other.
    const int n = load.count, quarter = n / 4;
    const std::int32_t *cell = load.cell, *step = load.step;
    Cell *const cells = columns.cell;
    for (int i = 0; i < quarter; ++i) {
      drop_into(cells[cell[i]], step[i]);
      drop_into(cells[cell[i + quarter]], step[i + quarter]);
      drop_into(cells[cell[i + 2 * quarter]], step[i + 2 * quarter]);
      drop_into(cells[cell[i + 3 * quarter]], step[i + 3 * quarter]);
    }
    for (int i = 4 * quarter; i < n; ++i) drop_into(cells[cell[i]], step[i]);
    for (int i = 0; i < low.count; ++i) {
      Cell &c = cells[low.cell[i]];
      const auto at = static_cast<std::uint32_t>(low.step[i]);
      c.low = at < c.low ? at : c.low;
    }
    load.count = low.count = 0;
  }

  // Where so many points fall: into cells, or to where they are looked at closely. `loads` and `edges_so_far`
  // are kept by the caller, in registers.
  void place(const Stream &points, int first, int n, int &loads, int &edges_so_far) {
    V::F u = V::load(points.x + first), v = V::load(points.y + first), l = V::load(points.z + first);
    const V::M real = V::first(n);
    frame.motion.apply(u, v, l);
    const V::M inner =
        V::both(V::both(V::both(V::ge(u, V::set(frame.inner[0])), V::lt(u, V::set(frame.inner[1]))),
                        V::both(V::ge(v, V::set(frame.inner[2])), V::lt(v, V::set(frame.inner[3])))),
                V::both(real, V::both(V::ge(l, V::set(0.0f)), V::lt(l, V::set(frame.steps)))));
    const unsigned inner_lanes = V::mask(inner), real_lanes = V::mask(real);
    if (inner_lanes == V::mask(V::first(V::kLanes))) {  // as mostly: nothing to pack
      V::store(load.cell + loads, V::times(V::whole(v), nx) + V::whole(u));
      V::store(load.step + loads, V::whole(l));
      loads += V::kLanes;
      return;
    }
    if (inner_lanes != 0) {
      V::pack(load.cell + loads, inner, V::times(V::whole_where(inner, v), nx) + V::whole_where(inner, u));
      V::pack(load.step + loads, inner, V::whole_where(inner, l));
      loads += __builtin_popcount(inner_lanes);
    }
    if (inner_lanes == real_lanes) return;
    const V::M about = V::both(V::both(V::ge(u, V::set(frame.outer[0])), V::lt(u, V::set(frame.outer[1]))),
                               V::both(V::ge(v, V::set(frame.outer[2])), V::lt(v, V::set(frame.outer[3]))));
    const V::M near = V::both(V::but_not(real, inner), about);
    const unsigned near_lanes = V::mask(near);
    if (near_lanes == 0) return;
    V::pack(edge[0] + edges_so_far, near, u);
    V::pack(edge[1] + edges_so_far, near, v);
    V::pack(edge[2] + edges_so_far, near, l);
    edges_so_far += __builtin_popcount(near_lanes);
  }

  void run(const Stream &points, bool has_fixtures) {
    for (int first = 0; first < points.count; first += kBlock) {
      const int n = points.count - first < kBlock ? points.count - first : kBlock;
      int loads = 0, edges = 0;
      for (int i = 0; i < n; i += V::kLanes)
        place(points, first + i, n - i < V::kLanes ? n - i : V::kLanes, loads, edges);
      load.count = loads;
      counts.inside += loads;
      for (int i = 0; i < edges; i += V::kLanes) judge_edges(i, edges - i < V::kLanes ? edges - i : V::kLanes);
      add_up(has_fixtures);
    }
  }
};

PassCounts rasterise(const Bed &bed, const Sifted &points, const Pose &pose, bool rays, bool has_fixtures,
                     const Runs *runs, const Columns &columns) noexcept {
  Pass pass{bed, columns, frame_of(bed, columns, pose, rays), rays, runs};
  PassCounts all{};
  for (const Stream *stream : {&points.amid, &points.outline}) {
    pass.counts = {};
    pass.run(*stream, has_fixtures);
    all.add(pass.counts, stream->halvings());
  }
  return all;
}
