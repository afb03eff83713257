#include "hidden.hpp"

namespace volest {
namespace {

constexpr int kWindow = 4;            // cells to each side that tell of the surroundings
constexpr float kMostRaised = 0.02f;  // m
constexpr double kFarthest = 1.5;     // m; a return farther away tells no more than one that is that far

struct Surroundings {
  double seen, mean, deviation;  // part of the cells with returns, and mean and scatter of their heights, m
  double returns;                // in each of those cells
};

Surroundings look_around(const Bed &bed, const HeightMap &map, int ix, int iy) {
  const Grid &g = bed.grid;
  int cells = 0, seen = 0;
  double sum = 0.0, squares = 0.0, returns = 0.0;
  for (int y = iy - kWindow; y <= iy + kWindow; ++y)
    for (int x = ix - kWindow; x <= ix + kWindow; ++x) {
      if (x < 0 || y < 0 || x >= g.nx || y >= g.ny || map.state[y * g.nx + x] == kOutside) continue;
      ++cells;
      if (map.state[y * g.nx + x] != kSeen) continue;
      const double h = map.height[y * g.nx + x];
      ++seen;
      sum += h;
      squares += h * h;
      returns += map.count[y * g.nx + x];
    }
  const double own = map.height[iy * g.nx + ix];
  if (seen == 0) return {0.0, own, 0.0, 0.0};
  const double mean = sum / seen;
  return {static_cast<double>(seen) / cells, mean, std::sqrt(std::fmax(0.0, squares / seen - mean * mean)),
          returns / seen};
}

// One layer of the network; rectified unless it is the last.
const float *layer(const float *weights, const float *in, int inputs, float *out, int outputs, bool rectify) {
  const float *bias = weights + inputs * outputs;
  for (int o = 0; o < outputs; ++o) {
    float sum = bias[o];
    for (int i = 0; i < inputs; ++i) sum += weights[o * inputs + i] * in[i];
    out[o] = rectify && sum < 0.0f ? 0.0f : sum;
  }
  return bias + outputs;
}

float evaluate(const float *weights, const float *features) {
  float scaled[kHiddenFeatures], first[kHiddenUnits1], second[kHiddenUnits2], drop;
  for (int i = 0; i < kHiddenFeatures; ++i)
    scaled[i] = (features[i] - weights[i]) * weights[kHiddenFeatures + i];
  const float *at = weights + 2 * kHiddenFeatures;
  at = layer(at, scaled, kHiddenFeatures, first, kHiddenUnits1, true);
  at = layer(at, first, kHiddenUnits1, second, kHiddenUnits2, true);
  layer(at, second, kHiddenUnits2, &drop, 1, false);
  return drop;
}

bool is_unseen(const HeightMap &map, int i) { return map.state[i] == kHidden || map.state[i] == kBetween; }

}  // namespace

double unseen_fraction(const Bed &bed, const HeightMap &map) noexcept {
  int inside = 0, unseen = 0;
  for (int i = 0; i < bed.grid.size(); ++i) {
    inside += map.state[i] != kOutside;
    unseen += is_unseen(map, i);
  }
  return inside == 0 ? 0.0 : static_cast<double>(unseen) / inside;
}

void hidden_features(const Bed &bed, const HeightMap &map, double roughness, double hidden_fraction, int ix,
                     int iy, float features[kHiddenFeatures]) noexcept {
  const Grid &g = bed.grid;
  const int i = iy * g.nx + ix;
  const double x = g.centre_x(ix), y = g.centre_y(iy), h = map.height[i], unit = 1.0 / bed.scale;
  const Surroundings around = look_around(bed, map, ix, iy);
  const bool bounded = map.air.fall[i] > 0.0f;
  const double value[kHiddenFeatures] = {
      bounded ? clamp((map.air.bound[i] - h) * unit, 0.0, 1.0) : 1.0,
      bounded ? 1.0 : 0.0,
      clamp(map.distance[i] * unit, 0.0, kFarthest),
      bounded ? clamp(map.air.landing[i] * unit, 0.0, 3.0) : 0.0,
      bounded ? clamp(map.air.fall[i], 0.0, 4.0) : 0.0,
      clamp(roughness * unit, 0.0, 0.2),
      clamp((h - bed.floor[i]) * unit, 0.0, 2.5),
      clamp(bed.inside_opening(x, y) * unit, 0.0, 1.0),
      clamp((h - bed.rim_height(x, y)) * unit, -2.0, 1.5),
      around.seen,
      hidden_fraction,
      clamp(around.deviation * unit, 0.0, 0.5),
      clamp((around.mean - h) * unit, -1.0, 1.0),
      map.state[i] == kBetween ? 1.0 : 0.0,
      clamp(around.returns, 0.0, 8.0),
  };
  for (int k = 0; k < kHiddenFeatures; ++k) features[k] = static_cast<float>(value[k]);
}

void lower_hidden(const Bed &bed, const float *weights, double roughness, HeightMap &map) noexcept {
  const Grid &g = bed.grid;
  const double fraction = unseen_fraction(bed, map);
  const float unit = static_cast<float>(bed.scale);
  // Features look at the surroundings, so no height may change before all are known: drops wait in `spread`,
  // which means nothing for cells without returns.
  for (int iy = 0; iy < g.ny; ++iy)
    for (int ix = 0; ix < g.nx; ++ix) {
      const int i = iy * g.nx + ix;
      if (!is_unseen(map, i)) continue;
      float features[kHiddenFeatures];
      hidden_features(bed, map, roughness, fraction, ix, iy, features);
      // It is there to lower: a guess upwards goes no further than noise would, and over an empty floor, where
      // a guess of either sign would only ever add load, nowhere.
      const float least = -std::fmin(std::fmax(0.0f, map.height[i] - bed.floor[i]), kMostRaised * unit);
      map.spread[i] = std::fmax(least, evaluate(weights, features) * unit);
    }
  for (int i = 0; i < g.size(); ++i) {
    if (!is_unseen(map, i)) continue;
    const float lowered = map.height[i] - map.spread[i];
    map.height[i] = std::fmax(std::fmin(lowered, map.air.bound[i]), bed.floor[i]);
    map.spread[i] = 0.0f;
  }
}

}  // namespace volest
