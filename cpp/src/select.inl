// What of a column is the surface, and what dust, rain, hoops, branches and mixed returns.

constexpr int kWindow = 2;        // cells to each side that are asked for support
constexpr int kNear = 2;          // levels up and down that count as the same height
constexpr double kSupport = 0.5;  // part of the neighbours with returns that must be at the same height
// Returns at the same height that one must have, in its cell or, a cell each, around it.
constexpr std::int64_t kCompany = 2;
constexpr double kThin = 0.2;    // part of the cells with returns below which a cloud is thin
constexpr double kUnder = 0.05;  // m; a ray that passed this far beneath returns passed through what they show
constexpr std::int64_t kCrowd =
    12;  // returns about a cell that are believed against such rays: one may be false
constexpr std::uint8_t kEmpty = 255;  // the highest level of a column without returns
constexpr double kPerched = 0.3;      // m above the load further in: more than load at the edge can stand

struct Run {
  int low, high;  // levels, both included; low < 0: none
};

// The highest run of occupied levels in `mask`, gaps of one level bridged.
inline Run highest_run(std::uint64_t mask) {
  if (mask == 0) return {-1, -1};
  Run run{0, 63 - __builtin_clzll(mask)};
  // Levels that are empty, and the one above them, too: the highest of them below the run ends it.
  const std::uint64_t below = ~std::uint64_t{0} >> (63 - run.high);
  const std::uint64_t gaps = ~mask & ~(mask >> 1) & below;
  if (gaps != 0) run.low = 64 - __builtin_clzll(gaps);
  while (!(mask >> run.low & 1)) ++run.low;
  return run;
}

// Whether all levels in each mask make one run: with each gap of one level closed no other is left.
inline auto is_one_run(FewLongs mask) {
  const FewLongs closed = mask | mask >> 1;
  return (closed & (closed + (closed & -closed))) == 0;
}

// Bits low to high, both included and cut to what exists.
inline std::uint64_t levels(int low, int high) {
  if (low < 0) low = 0;
  if (high > 63) high = 63;
  return (~std::uint64_t{0} >> (63 - high)) & (~std::uint64_t{0} << low);
}

// About how many of a cell's returns lie on these levels: all that it holds are thought to have as many.
inline std::int64_t returns_on(const Cell &c, std::uint64_t wanted) {
  const std::uint64_t on = c.mask & wanted;
  if (on == c.mask) return c.count();
  if (on == 0) return 0;
  const std::int64_t share = c.count() * __builtin_popcountll(on) / __builtin_popcountll(c.mask);
  return share > 0 ? share : 1;
}

struct Selection {
  const Bed &bed;
  const CellTable &table;
  const Columns &columns;
  const Cell *resolved;
  const Scratch &scratch;
  HeightMap &map;
  SurfaceCounts counts{};
  std::int64_t company = kCompany;
  FewLongs plain_returns{};
  float lowest = 0.0f, per_level = 0.0f;  // m, of the levels' floor, less what counts as beneath; and 1 / m

  int pad() const { return 2 * bed.grid.nx + 32; }

  // The lowest and highest level about each cell, so that most cells need no closer look, and how many returns
  // at its height one must have for company: where the cloud is so thin that cells with returns have hardly any
  // neighbours, a surface shows no more than one.
  void look_around() {
    const int n = bed.grid.size();
    std::uint8_t *low = scratch.low + pad(), *high = scratch.high + pad(), *mixed = scratch.mixed + pad(),
                 *own = scratch.company + pad();
    const auto bytes = static_cast<std::size_t>(n + 2 * pad());
    std::memset(scratch.low, 0, bytes);
    std::memset(scratch.mixed, 0, bytes);
    std::memset(scratch.high, kEmpty, bytes);
    for (int i = 0; i < n; i += kFew) {
      FewLongs sum, mask;
      for (int k = 0; k < kFew; ++k) {
        sum[k] = columns.cell[i + k].sum;
        mask[k] = columns.cell[i + k].mask;
      }
      const FewLongs number = sum >> Cell::kCountShift, most = FewLongs{} + (kCompany + 1), nothing{};
      const FewLongs company_of = number < most ? number : most;
      const auto is_one = is_one_run(mask), is_empty = mask == 0;
      const auto put_bytes = [&](std::uint8_t *bytes, FewLongs v) {
        put_lanes(bytes + i, __builtin_convertvector(v, FewBytes));
      };
      put_bytes(low, is_empty ? nothing : level_of(mask & -mask));
      put_bytes(high, is_empty ? nothing + kEmpty : level_of(mask & ~(mask >> 1)));
      put_bytes(own, is_one ? company_of : nothing);
      put_bytes(mixed, is_one ? nothing : nothing + 1);
    }
    int with = 0, inside = 0;
    for (int i = 0; i < n; ++i) {
      const int over_bed = table.opening[i] >= 0.0f;
      inside += over_bed;
      with += over_bed & (high[i] != kEmpty);
    }
    company = with < kThin * inside ? 1 : kCompany;
    const auto greater = [](std::uint8_t a, std::uint8_t b) { return a > b ? a : b; };
    const auto lower = [](std::uint8_t a, std::uint8_t b) { return a < b ? a : b; };
    join_about(scratch.low, scratch.near_low, greater);
    join_about(scratch.high, scratch.near_high, lower);
    join_about(scratch.mixed, scratch.near_mixed, greater);
  }

  // Joins the bytes of the 25 columns about each: five side by side, then five of these.
  template <class Join>
  void join_about(const std::uint8_t *bytes, std::uint8_t *out, Join join) const {
    const int n = bed.grid.size();
    join_five(bytes, 1, kWindow, n + 2 * pad() - kWindow, scratch.row, join);
    join_five(scratch.row, bed.grid.nx, pad(), pad() + n, out, join);
  }
  template <class Join>
  static void join_five(const std::uint8_t *bytes, int step, int from, int to, std::uint8_t *__restrict out,
                        Join join) {
    for (int i = from; i < to; ++i) {
      std::uint8_t all = bytes[i - kWindow * step];
      for (int k = 1 - kWindow; k <= kWindow; ++k) all = join(all, bytes[i + k * step]);
      out[i] = all;
    }
  }

  // Which of these cells are plainly load from top to bottom: no ray passed beneath, and all neighbours with
  // returns have some at the height of theirs. One with three returns of its own needs one of the nearest four
  // to have some, so that it does not stand alone; what has fewer is in company with two, if there are none of
  // several runs about, which may have none at its height.
  FewFlags are_plain(int i) const {
    const auto at = [&](const std::uint8_t *bytes, int j) { return lanes_at<FewBytes>(bytes + pad() + j); };
    const int nx = bed.grid.nx;
    const FewBytes low = at(scratch.low, i), high = at(scratch.high, i), own = at(scratch.company, i);
    const FewFloats above = (lanes_at<FewFloats>(map.air.bound + i) - lowest) * per_level;
    const FewInts grounded = __builtin_convertvector(high, FewFloats) < above;
    const auto has = [&](int j) { return at(scratch.high, j) != kEmpty; };
    const FewFlags nearest = has(i - 1) + has(i + 1) + has(i - nx) + has(i + nx);  // less one for each
    const FewFlags accompanied =
        own > kCompany ? nearest < 0 : (nearest < -1) & (at(scratch.near_mixed, i) == 0);
    return __builtin_convertvector(grounded, FewFlags) & (own > 0) & accompanied &
           (at(scratch.near_low, i) <= high + kNear) & (at(scratch.near_high, i) + kNear >= low);
  }

  // Whether the neighbouring columns that have points have them at the run's height: sensors draw lines, dust
  // stands alone, or in twos by chance where nothing else was hit.
  bool is_supported(int ix, int iy, Run run, std::int64_t returns) const {
    const Grid &g = bed.grid;
    const std::uint64_t wanted = levels(run.low - kNear, run.high + kNear);
    int with = 0, near = 0;
    for (int y = iy - kWindow; y <= iy + kWindow; ++y)
      for (int x = ix - kWindow; x <= ix + kWindow; ++x) {
        if ((x == ix && y == iy) || x < 0 || y < 0 || x >= g.nx || y >= g.ny) continue;
        const std::uint64_t column = columns.cell[y * g.nx + x].mask;
        with += column != 0;
        near += (column & wanted) != 0;
      }
    return near > 0 && near >= kSupport * with && near + returns > company;
  }

  // Levels that no ray passed beneath: a surface is opaque, and what floats above it a hoop, a branch or dust.
  std::uint64_t grounded_levels(float bound) const {
    const float above = (bound - lowest) * per_level;
    if (!(above > 0.0f)) return 0;
    const int whole = above < 63.0f ? static_cast<int>(above) : 63;
    return levels(0, static_cast<float>(whole) < above ? whole : whole - 1);
  }

  // Whether many returns about the column lie at the run's height, and most of all of them.
  bool is_crowd(int ix, int iy, Run run) const {
    const Grid &g = bed.grid;
    const std::uint64_t wanted = levels(run.low - kNear, run.high + kNear);
    std::int64_t near = 0, all = 0;
    for (int y = iy - kWindow; y <= iy + kWindow; ++y)
      for (int x = ix - kWindow; x <= ix + kWindow; ++x) {
        if (x < 0 || y < 0 || x >= g.nx || y >= g.ny) continue;
        const Cell &c = columns.cell[y * g.nx + x];
        all += c.count();
        near += returns_on(c, wanted);
      }
    return near >= kCrowd && 2 * near > all;
  }

  // The highest run of a column that its neighbours support and that does not float; low < 0: none.
  Run choose_run(const Cell &c, std::uint64_t grounded, int ix, int iy) const {
    const auto highest = [&](std::uint64_t left, bool floats) {
      while (left != 0) {
        const Run run = highest_run(left);
        if (is_supported(ix, iy, run, returns_on(c, levels(run.low, run.high) & left)) &&
            (!floats || is_crowd(ix, iy, run)))
          return run;
        left &= ~levels(run.low, 63);
      }
      return Run{-1, -1};
    };
    const Run floating = highest(c.mask & ~grounded, true);
    return floating.low >= 0 ? floating : highest(c.mask & grounded, false);
  }

  // Sums over the returns of a run, in steps.
  struct RunSums {
    double n, sum, squares;
  };

  // As if each of these levels held so many returns in its middle.
  static RunSums in_middles(std::uint64_t mask, double each) {
    RunSums s{0.0, 0.0, 0.0};
    for (; mask != 0; mask &= mask - 1) {
      const double middle = (__builtin_ctzll(mask) + 0.5) * Cell::kSteps;
      s.n += each;
      s.sum += each * middle;
      s.squares += each * middle * middle;
    }
    return s;
  }

  // The returns of a run that shares its cell with others.
  //
  // Of the levels outside of it each is thought to hold one return, in its middle, for dust comes alone; where
  // the mean that is left does not lie in the run there were more: its levels stand for it until a second pass.
  RunSums sums_among_others(const Cell &c, Run run, int i) {
    if (resolved != nullptr && resolved[i].mask != 0) {
      const Cell &own = resolved[i];
      return {static_cast<double>(own.count()), static_cast<double>(own.steps()),
              static_cast<double>(own.squares)};
    }
    const std::uint64_t wanted = levels(run.low, run.high);
    const RunSums dust = in_middles(c.mask & ~wanted, 1.0);
    const double n = static_cast<double>(c.count()) - dust.n, sum = static_cast<double>(c.steps()) - dust.sum;
    const double slack = 0.25 * Cell::kSteps;
    if (n >= 1.0 && sum >= n * (run.low * Cell::kSteps - slack) &&
        sum <= n * ((run.high + 1) * Cell::kSteps + slack)) {
      const RunSums flat = in_middles(c.mask & wanted, 1.0);
      const double mean = sum / n, middle = flat.sum / flat.n;
      return {n, sum, n * (mean * mean + flat.squares / flat.n - middle * middle)};
    }
    ++counts.unresolved;
    scratch.runs.low[i] = static_cast<std::uint8_t>(run.low);
    scratch.runs.high[i] = static_cast<std::uint8_t>(run.high);
    return in_middles(c.mask & wanted,
                      static_cast<double>(returns_on(c, wanted)) / __builtin_popcountll(c.mask & wanted));
  }

  // Mean height, variance and number of the returns of a run.
  void measure(const Cell &c, Run run, int i) {
    RunSums s{static_cast<double>(c.count()), static_cast<double>(c.steps()), static_cast<double>(c.squares)};
    if ((c.mask & ~levels(run.low, run.high)) != 0) s = sums_among_others(c, run, i);
    const double each = 1.0 / s.n, step = columns.dz / Cell::kSteps, mean = s.sum * each;
    const double variance = s.squares * each - mean * mean;
    map.height[i] = static_cast<float>(columns.height(mean + 0.5));  // steps are whole ones, rounded down
    map.variance[i] = static_cast<float>((variance > 0.0 ? variance : 0.0) * step * step);
    map.count[i] = s.n < 1.0 ? 1 : static_cast<std::uint32_t>(s.n);
  }

  // Mean height, variance and number of all returns of those of these cells that are plain, and what holds of
  // the others until they are looked at.
  void measure_plain(int i, FewFlags plain) {
    const Cell *cell = columns.cell + i;
    FewLongs sum, squares;
    for (int k = 0; k < kFew; ++k) {
      sum[k] = cell[k].sum;
      squares[k] = cell[k].squares;
    }
    const FewLongs number = sum >> Cell::kCountShift;
    const Few each = 1.0 / few_of(number);
    const double step = columns.dz / Cell::kSteps;
    const Few mean = few_of(sum & Cell::kSumMask) * each;
    const Few variance = few_of(squares) * each - mean * mean;
    const Few height = columns.z0 + (mean + 0.5) * step;  // steps are whole ones, rounded down
    const Few scatter = (variance > 0.0 ? variance : Few{}) * step * step;
    const FewInts is_plain = __builtin_convertvector(plain, FewInts);
    const FewInts count = __builtin_convertvector(number, FewInts) & is_plain;
    put_lanes(map.height + i,
              is_plain ? __builtin_convertvector(height, FewFloats) : lanes_at<FewFloats>(table.floor + i));
    put_lanes(map.variance + i, is_plain ? __builtin_convertvector(scatter, FewFloats) : FewFloats{});
    put_lanes(map.count + i, count);
    plain_returns += number & __builtin_convertvector(plain, FewLongs);
  }

  // Picks the surface of one cell after a closer look.
  void select(int i) {
    const int ix = i % bed.grid.nx, iy = i / bed.grid.nx;
    const Cell &c = columns.cell[i];
    const std::int64_t total = c.count();
    const Run chosen = choose_run(c, grounded_levels(map.air.bound[i]), ix, iy);
    if (chosen.low >= 0) {
      measure(c, chosen, i);
      map.state[i] = kSeen;
      counts.used += map.count[i];
    }
    counts.rejected += total - map.count[i];
    counts.hanging += hanging(c, chosen, total - map.count[i]);
  }

  // Of the rejected returns of a column those in the air above its surface, or all if it has none.
  static std::int64_t hanging(const Cell &c, Run surface, std::int64_t rejected) {
    if (surface.low < 0) return rejected;
    const std::uint64_t others = c.mask & ~levels(surface.low, surface.high);
    const int all = __builtin_popcountll(others);
    if (all == 0) return 0;
    const int above =
        surface.high + kNear + 1 > 63 ? 0 : __builtin_popcountll(others & levels(surface.high + kNear + 1, 63));
    return (rejected * above + all / 2) / all;
  }

  // Whether the seen cell lies at the edge, above the wall tops and high above what lies further in: a tarp
  // roll, a hoop.
  bool is_perched(int ix, int iy) const {
    const Grid &g = bed.grid;
    const int i = iy * g.nx + ix;
    const double h = static_cast<double>(map.height[i]);
    const double within = 0.2 * bed.scale, further = 0.3 * bed.scale;
    const double x = g.centre_x(ix), y = g.centre_y(iy), top = bed.rim_height(x, y);
    for (const Plane &w : bed.walls) {
      if (w.distance({x, y, top}) > within) continue;
      const int in = g.index(x + further * w.n.x, y + further * w.n.y);
      if (in >= 0 && map.state[in] == kSeen && h - static_cast<double>(map.height[in]) > kPerched * bed.scale)
        return true;
    }
    return false;
  }

  void drop_perched() {
    const Grid &g = bed.grid;
    const auto within = static_cast<float>(0.2 * bed.scale), below = static_cast<float>(0.02 * bed.scale);
    const auto drop = [&](int i) {
      if (!is_perched(i % g.nx, i / g.nx)) return;
      counts.used -= map.count[i];
      counts.rejected += map.count[i];
      map.count[i] = 0;
      map.variance[i] = 0.0f;
      map.state[i] = kHidden;
    };
    for (int i = 0; i < g.size(); i += kWide) {
      const WideInts seen = wide_ints_at(map.state + i) == wide_ints(kSeen);
      const Wide over = (seen & (wide_at(table.opening + i) <= within)) ? wide_at(map.height + i) : wide(-1e9f);
      const V::M high = V::ge(over, wide_at(table.top + i) - below);
      for (unsigned m = V::mask(high); m != 0; m &= m - 1) drop(i + __builtin_ctz(m));
    }
  }

  void run() {
    const Grid &g = bed.grid;
    lowest = static_cast<float>(columns.z0 - kUnder * bed.scale);
    per_level = static_cast<float>(1.0 / columns.dz);
    look_around();
    const auto cells = static_cast<std::size_t>(g.size());
    std::memset(scratch.runs.low, 255, cells);
    std::memset(scratch.runs.high, 0, cells);
    for (int i = 0; i < g.size(); i += kFew) {
      const FewFlags over_bed = lanes_at<FewBytes>(table.kind + i) != static_cast<std::uint8_t>(CellKind::kOut);
      const FewFlags plain = are_plain(i) & over_bed;
      const FewFlags others = (lanes_at<FewBytes>(scratch.high + pad() + i) != kEmpty) & over_bed & ~plain;
      measure_plain(i, plain);
      const FewBytes state = FewBytes{} + static_cast<std::uint8_t>(kHidden);
      put_lanes(map.state + i,
                plain ? state + static_cast<std::uint8_t>(kSeen - kHidden) : (over_bed ? state : FewBytes{}));
      std::uint64_t left = 0;
      std::memcpy(&left, &others, sizeof others);
      for (left &= 0x0101010101010101u; left != 0; left &= left - 1) select(i + __builtin_ctzll(left) / 8);
    }
    for (int k = 0; k < kFew; ++k) counts.used += static_cast<std::int64_t>(plain_returns[k]);
    drop_perched();
  }
};

SurfaceCounts select_surface(const Bed &bed, const CellTable &table, const Columns &columns,
                             const Cell *resolved, const Scratch &scratch, HeightMap &map) noexcept {
  Selection selection{bed, table, columns, resolved, scratch, map};
  selection.run();
  return selection.counts;
}
