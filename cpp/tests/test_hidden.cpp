// What is expected below the membrane: the network's arithmetic, and the limits that it cannot pass.
#include "box.hpp"
#include "check.hpp"
#include "hidden.hpp"

using namespace volest_test;

namespace {

constexpr SurfacePrior kNoPrior{0.0, 0.0};

// A network that says `drop` whatever it is shown.
std::vector<float> constant(float drop) {
  std::vector<float> weights(kHiddenWeights, 0.0f);
  weights.back() = drop;
  return weights;
}

// A level load with a hole in the middle that no ray reached.
struct Holed {
  Box box;
  Rig rig;

  Holed() : rig(box) {
    const Points all = surface(box, [](double, double) { return 0.5; });
    Points rest;
    for (std::size_t i = 0; i < all.xyz.size(); i += 3)
      if (std::fabs(all.xyz[i]) > 0.4 || std::fabs(all.xyz[i + 1]) > 0.4)
        rest.add(all.xyz[i], all.xyz[i + 1], all.xyz[i + 2]);
    rig.engine.add(rest.cloud(), identity(), false);
    rig.engine.finish(kNoPrior);
  }
  const HeightMap &map() const { return rig.engine.map(); }
  int middle() const { return box.spec.grid.index(0.0, 0.0); }
};

void hidden_cells_are_lowered_and_seen_ones_are_not() {
  Holed holed;
  const int seen = holed.box.spec.grid.index(1.0, 0.5);
  const float before = holed.map().height[seen];
  const auto weights = constant(0.1f);
  holed.rig.engine.lower(weights.data());
  CHECK(std::fabs(holed.map().height[holed.middle()] - 0.4f) < 1e-3f);
  CHECK(holed.map().height[seen] == before);
  CHECK(holed.rig.memory.intact());
}

void nothing_is_lowered_through_the_floor_nor_raised_through_the_free_air() {
  Holed deep, raised;
  const auto down = constant(9.0f), up = constant(-9.0f);
  deep.rig.engine.lower(down.data());
  raised.rig.engine.lower(up.data());
  for (int i = 0; i < deep.box.spec.grid.size(); ++i) {
    if (deep.map().state[i] != kHidden) continue;
    CHECK(deep.map().height[i] == deep.box.floor[static_cast<std::size_t>(i)]);
    CHECK(raised.map().height[i] <= raised.map().air.bound[i]);
  }
}

void layers_multiply_add_and_rectify() {
  Holed holed;
  const int i = holed.middle();
  const auto cells = static_cast<std::size_t>(holed.box.spec.grid.size());
  std::vector<std::int32_t> unseen(cells);
  std::vector<float> features(cells * kHiddenFeatures);
  const int count = holed.rig.engine.hidden_features(unseen.data(), features.data());
  CHECK(count > 200 && holed.rig.engine.hidden_features(unseen.data(), nullptr) == count);
  float distance = 0.0f;
  for (int k = 0; k < count; ++k)
    if (unseen[static_cast<std::size_t>(k)] == i)
      distance = features[static_cast<std::size_t>(k * kHiddenFeatures + 2)];
  CHECK(distance > 0.3f);
  // Unit 0 of each layer passes the distance on, unit 1 its negative, which the rectifier stops.
  std::vector<float> weights(kHiddenWeights, 0.0f);
  weights[kHiddenFeatures + 2] = 1.0f;  // scale
  float *first = weights.data() + 2 * kHiddenFeatures;
  first[2] = 1.0f;
  first[kHiddenFeatures + 2] = -1.0f;
  float *second = first + kHiddenUnits1 * (kHiddenFeatures + 1);
  second[0] = 0.25f;
  second[1] = 100.0f;
  float *third = second + kHiddenUnits2 * (kHiddenUnits1 + 1);
  third[0] = 1.0f;
  const float before = holed.map().height[i];
  holed.rig.engine.lower(weights.data());
  CHECK(std::fabs(before - holed.map().height[i] - 0.25f * distance) < 1e-6f);
}

void features_are_finite_without_any_return() {
  const Box box;
  Rig rig(box);
  rig.engine.finish(kNoPrior);
  const auto cells = static_cast<std::size_t>(box.spec.grid.size());
  std::vector<std::int32_t> unseen(cells);
  std::vector<float> features(cells * kHiddenFeatures);
  const int count = rig.engine.hidden_features(unseen.data(), features.data());
  CHECK(count > 1000);
  for (int k = 0; k < count * kHiddenFeatures; ++k)
    if (!std::isfinite(features[static_cast<std::size_t>(k)])) CHECK(false);
}

}  // namespace

int main() {
  hidden_cells_are_lowered_and_seen_ones_are_not();
  nothing_is_lowered_through_the_floor_nor_raised_through_the_free_air();
  layers_multiply_add_and_rectify();
  features_are_finite_without_any_return();
  return volest_test::checks_result("hidden");
}
