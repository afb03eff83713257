// How far what is hidden lies below the membrane.

constexpr int kAround = 4;            // cells to each side that tell of the surroundings
constexpr float kMostRaised = 0.02f;  // m
constexpr float kFarthest = 1.5f;     // m; a return farther away tells no more than one that is that far
constexpr int kBatch = kWide;         // cells that go through the network side by side

inline float clip(float v, float low, float high) { return v < low ? low : (v > high ? high : v); }

// Sums over the window of 2 kAround + 1 cells about each: of cells over the bed, of those with returns, and of
// these heights, their squares and the number of returns. A grid reaches at least kAround cells beyond the
// opening.
struct Windows {
  float *own[5], *columns[5];

  void fill(const Bed &bed, const CellTable &table, const HeightMap &map) const {
    const Grid &g = bed.grid;
    const Wide one = wide(1.0f), nothing{};
    for (int i = 0; i < g.size(); i += kWide) {
      const WideInts is_seen = wide_ints_at(map.state + i) == wide_ints(kSeen);
      const Wide h = is_seen ? wide_at(map.height + i) : nothing;
      put(own[0] + i, wide_at(table.open + i));
      put(own[1] + i, is_seen ? one : nothing);
      put(own[2] + i, h);
      put(own[3] + i, h * h);
      put(own[4] + i, is_seen ? wide_floats(wide_ints_at(map.count + i)) : nothing);
    }
    for (int k = 0; k < 5; ++k)
      for (int y = 0; y < g.ny; ++y) sum_columns(k, y, g);
  }

  void sum_columns(int k, int y, const Grid &g) const {
    const int from = y < kAround ? 0 : y - kAround, to = y + kAround < g.ny ? y + kAround : g.ny - 1;
    for (int x = 0; x < g.nx; x += kWide) {
      Wide sum = wide_at(own[k] + from * g.nx + x);
      for (int row = from + 1; row <= to; ++row) sum += wide_at(own[k] + row * g.nx + x);
      put(columns[k] + y * g.nx + x, sum);
    }
  }

  Wide about(int k, int i) const {
    Wide sum = wide_at(columns[k] + i - kAround);
    for (int a = 1 - kAround; a <= kAround; ++a) sum += wide_at(columns[k] + i + a);
    return sum;
  }
};

// A batch of cells without returns on their way through the network; what does not fill one waits for the next.
struct Batch {
  alignas(64) float features[kHiddenFeatures][3 * kBatch] = {};
  alignas(64) std::int32_t cells[3 * kBatch] = {};
  int held = 0;

  // Room for the next: what is beyond a batch moves up.
  void advance() {
    held -= kBatch;
    for (auto &feature : features) put(feature, wide_at(feature + kBatch));
    std::memcpy(cells, cells + kBatch, kBatch * sizeof *cells);
  }
};

struct HiddenView {
  const Bed &bed;
  const CellTable &table;
  const HeightMap &map;
  float roughness, fraction;
  Windows windows;

  // What the cells without returns among kLanes show of themselves; lengths in metres at the scale of a truck
  // bed.
  void collect(int i, int n, Batch &batch) const {
    const V::F one = V::set(1.0f), nothing = V::set(0.0f);
    const auto clipped = [](V::F v, float low, float high) {
      return V::greater(V::lower(v, V::set(high)), V::set(low));
    };
    const V::F state = wide_floats(wide_ints_at(map.state + i));
    const V::M unseen =
        V::both(V::first(n), V::both(V::ge(state, V::set(kHidden)), V::lt(state, V::set(kSeen))));
    const unsigned lanes = V::mask(unseen);
    if (lanes == 0) return;
    const V::F unit = V::set(static_cast<float>(1.0 / bed.scale)), h = V::load(map.height + i);
    const V::F seen = windows.about(1, i), share = V::greater(seen, one);
    const V::M lonely = V::lt(seen, one);
    const V::F mean = V::where(lonely, h, windows.about(2, i) / share);
    const V::F scatter = V::where(lonely, nothing, windows.about(3, i) / share - mean * mean);
    const V::F fall = V::load(map.air.fall + i);
    const V::M bounded = V::lt(nothing, fall);
    const V::F deviation = wide_roots(V::greater(scatter, nothing));
    const V::F value[kHiddenFeatures] = {
        V::where(bounded, clipped((V::load(map.air.bound + i) - h) * unit, 0.0f, 1.0f), one),
        V::where(bounded, one, nothing),
        clipped(V::load(map.distance + i) * unit, 0.0f, kFarthest),
        V::where(bounded, clipped(V::load(map.air.landing + i) * unit, 0.0f, 3.0f), nothing),
        V::where(bounded, clipped(fall, 0.0f, 4.0f), nothing),
        clipped(V::set(roughness) * unit, 0.0f, 0.2f),
        clipped((h - V::load(table.floor + i)) * unit, 0.0f, 2.5f),
        clipped(V::load(table.opening + i) * unit, 0.0f, 1.0f),
        clipped((h - V::load(table.top + i)) * unit, -2.0f, 1.5f),
        V::where(lonely, nothing, seen / V::greater(windows.about(0, i), one)),
        V::set(fraction),
        clipped(deviation * unit, 0.0f, 0.5f),
        clipped((mean - h) * unit, -1.0f, 1.0f),
        V::where(V::lt(state, V::set(kBetween)), nothing, one),
        V::where(lonely, nothing, clipped(windows.about(4, i) / share, 0.0f, 8.0f)),
    };
    for (int k = 0; k < kHiddenFeatures; ++k) V::pack(batch.features[k] + batch.held, unseen, value[k]);
    for (unsigned m = lanes; m != 0; m &= m - 1) batch.cells[batch.held++] = i + __builtin_ctz(m);
  }
};

// One layer of the network for a batch, six units at a time; rectified unless it is the last.
inline const float *layer(const float *weights, const Wide *in, int inputs, Wide *out, int outputs,
                          bool rectify) {
  const float *bias = weights + inputs * outputs;
  constexpr int kTogether = 6;
  for (int o = 0; o < outputs; o += kTogether) {
    Wide sum[kTogether];
    const int units = outputs - o < kTogether ? outputs - o : kTogether;
    for (int u = 0; u < kTogether; ++u) sum[u] = wide(bias[o + (u < units ? u : 0)]);
    for (int i = 0; i < inputs; ++i)
      for (int u = 0; u < kTogether; ++u)
        sum[u] += wide(weights[(o + (u < units ? u : 0)) * inputs + i]) * in[i];
    for (int u = 0; u < units; ++u) out[o + u] = rectify ? greatest_of(sum[u], Wide{}) : sum[u];
  }
  return bias + outputs;
}

// What the network expects of the first kBatch cells of a batch.
inline Wide evaluate(const float *weights, const Batch &batch) {
  Wide scaled[kHiddenFeatures], first[kHiddenUnits1], second[kHiddenUnits2], drop;
  for (int i = 0; i < kHiddenFeatures; ++i)
    scaled[i] = (wide_at(batch.features[i]) - wide(weights[i])) * wide(weights[kHiddenFeatures + i]);
  const float *at = weights + 2 * kHiddenFeatures;
  at = layer(at, scaled, kHiddenFeatures, first, kHiddenUnits1, true);
  at = layer(at, first, kHiddenUnits1, second, kHiddenUnits2, true);
  layer(at, second, kHiddenUnits2, &drop, 1, false);
  return drop;
}

// Batches of all cells without returns, in their order, handed to `use` with how many of the first kBatch
// count.
template <class Use>
int for_hidden(const Bed &bed, const CellTable &table, const HeightMap &map, const Scratch &scratch, Use use) {
  const Grid &g = bed.grid;
  int unseen = 0, inside = 0;
  for (int i = 0; i < g.size(); ++i) {
    unseen += map.state[i] == kHidden || map.state[i] == kBetween;
    inside += map.state[i] != kOutside;
  }
  if (unseen == 0) return 0;
  HiddenView view{bed,
                  table,
                  map,
                  static_cast<float>(roughness_of(bed, table, map)),
                  static_cast<float>(unseen) / static_cast<float>(inside),
                  {}};
  for (int k = 0; k < 5; ++k) {
    view.windows.own[k] = scratch.rows[k];
    view.windows.columns[k] = scratch.rows[5 + k];
  }
  view.windows.fill(bed, table, map);
  Batch batch;
  for (int i = 0; i < g.size(); i += V::kLanes) {
    view.collect(i, g.size() - i < V::kLanes ? g.size() - i : V::kLanes, batch);
    if (batch.held < kBatch) continue;
    use(batch, kBatch);
    batch.advance();
  }
  if (batch.held > 0) use(batch, batch.held);
  return unseen;
}

int hidden_features(const Bed &bed, const CellTable &table, const HeightMap &map, const Scratch &scratch,
                    std::int32_t *cells, float *features) noexcept {
  int done = 0;
  return for_hidden(bed, table, map, scratch, [&](const Batch &batch, int count) {
    for (int b = 0; b < count; ++b, ++done) {
      cells[done] = batch.cells[b];
      if (features == nullptr) continue;
      for (int k = 0; k < kHiddenFeatures; ++k) features[done * kHiddenFeatures + k] = batch.features[k][b];
    }
  });
}

void lower_hidden(const Bed &bed, const CellTable &table, const float *weights, const Scratch &scratch,
                  HeightMap &map) noexcept {
  const auto unit = static_cast<float>(bed.scale);
  // Surroundings are made of cells with returns alone, so heights may change while others are looked at.
  for_hidden(bed, table, map, scratch, [&](const Batch &batch, int count) {
    float drops[kBatch];
    put(drops, evaluate(weights, batch));
    for (int b = 0; b < count; ++b) {
      const int i = batch.cells[b];
      const float floor = bed.floor[i], depth = map.height[i] - floor;
      // It is there to lower: a guess upwards goes no further than noise would, and over an empty floor, where
      // a guess of either sign would only ever add load, nowhere.
      const float least = -clip(depth, 0.0f, kMostRaised * unit), drop = drops[b] * unit;
      const float lowered = map.height[i] - (drop > least ? drop : least);
      const float capped = lowered < map.air.bound[i] ? lowered : map.air.bound[i];
      map.height[i] = capped > floor ? capped : floor;
    }
  });
}
