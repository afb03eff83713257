// All stages together: the caller's memory and nothing else, and the same bits whatever the order of the
// points.
#include "box.hpp"
#include "check.hpp"
#include "engine.hpp"

using namespace volest_test;

namespace {

constexpr SurfacePrior kNoPrior{0.0, 0.0};
const Pose kMast = pose_at({2.3, 0.1, 2.8}, 0.02, 0.4, 3.0);

// A rough load with dust above it, as the mast sees it; some of it lies in shadow.
Points scan_of(const Box &box) {
  const auto heap = [](double x, double y) { return 0.5 + 0.2 * std::sin(5.0 * x) * std::cos(4.0 * y); };
  Points points = surface(box, heap, 2);
  Random random(1);
  for (int i = 0; i < 500; ++i)
    points.add({random.between(-2.2, 2.2), random.between(-1.2, 1.2), random.between(-0.5, 2.6)});
  for (double x = -2.0; x < 2.0; x += 0.05)
    for (double z = 0.5; z < 1.0; z += 0.05) points.add(x, 1.0, z);
  return moved(points, inverse(kMast));
}

void a_cloud_in_any_order_and_in_parts_gives_the_same_bits() {
  const Box box({4.01, 2.03, 0.97, 0.03, 0.05, 0.002});
  const Points points = scan_of(box);
  Rig once(box), split(box), mixed(box);
  once.engine.add(points.cloud(), kMast, true);
  const std::int64_t cut = points.count() / 3;
  split.engine.add(points.cloud(cut, points.count()), kMast, true);
  split.engine.add(points.cloud(0, cut), kMast, true);
  mixed.engine.add(shuffled(points, 3).cloud(), kMast, true);
  for (Rig *rig : {&once, &split, &mixed}) {
    const SurfaceCounts counts = rig->engine.finish(kNoPrior);
    CHECK(counts.used > 1000 && counts.rejected > 10);
    CHECK(rig->memory.intact());
  }
  CHECK(once.engine.integral().area[kHidden] > 0.0);
  CHECK(same_bits(once.engine, split.engine));
  CHECK(same_bits(once.engine, mixed.engine));
}

void two_sensors_may_come_in_any_order() {
  const Box box;
  const Points points = scan_of(box);
  const Pose other = pose_at({-2.4, 0, 2.9}, 0, 0.4, 0);
  const Points again = moved(moved(points, kMast), inverse(other));
  Rig ab(box), ba(box);
  ab.engine.add(points.cloud(), kMast, true);
  ab.engine.add(again.cloud(), other, true);
  ba.engine.add(again.cloud(), other, true);
  ba.engine.add(points.cloud(), kMast, true);
  ab.engine.finish(kNoPrior);
  ba.engine.finish(kNoPrior);
  CHECK(same_bits(ab.engine, ba.engine));
}

// All stages, down to what the network expects of the hidden part.
void every_instruction_set_gives_the_same_bits() {
  const Box box({4.01, 2.03, 0.97, 0.03, 0.05, 0.002});
  const Points points = scan_of(box);
  std::vector<float> weights(kHiddenWeights);
  Random random(5);
  for (float &w : weights) w = static_cast<float>(random.between(-0.3, 0.3));
  Rig reference(box, *all_kernels().front());
  const auto run = [&](Rig &rig) {
    rig.engine.add(points.cloud(), kMast, true);
    rig.engine.finish(kNoPrior);
    rig.engine.lower(weights.data());
    CHECK(rig.memory.intact());
  };
  run(reference);
  CHECK(reference.engine.integral().area[kHidden] > 0.1);
  for (const Kernels *kernels : all_kernels()) {
    Rig rig(box, *kernels);
    run(rig);
    CHECK(same_bits(rig.engine, reference.engine));
  }
}

// Grids of all kinds of sizes, of which little is known: rows end anywhere in a vector, coarse grids are small.
void every_instruction_set_hangs_the_same_membrane() {
  for (int size = 0; size < 12; ++size) {
    const Box box({0.9 + 0.31 * size, 0.8 + 0.17 * size, 0.6});
    Points points;
    Random random(static_cast<std::uint64_t>(size));
    for (int i = 0; i < 400; ++i)
      points.add({random.between(-0.2, 0.45), random.between(-0.4, 0.1), 0.2 + random.between(0.0, 0.05)});
    const Pose above = pose_at({0.4, 0.2, 2.0}, 0.0, 0.0, 0.0);
    const Points seen = moved(points, inverse(above));
    for (const SurfacePrior prior : {kNoPrior, SurfacePrior{0.1, 0.3}}) {
      Rig reference(box, *all_kernels().front());
      const auto run = [&](Rig &rig) {
        rig.engine.add(seen.cloud(), above, true);
        for (int again = 0; again < 2; ++again) rig.engine.finish(prior);
        CHECK(rig.memory.intact());
      };
      run(reference);
      CHECK(reference.engine.integral().area[kSeen] > 0.01);
      CHECK(reference.engine.integral().area[kHidden] > 0.1);
      for (const Kernels *kernels : all_kernels()) {
        Rig rig(box, *kernels);
        run(rig);
        CHECK(same_bits(rig.engine, reference.engine));
      }
    }
  }
}

void what_was_dropped_was_never_seen() {
  const Box box;
  Rig fresh(box), used(box);
  const Points points = scan_of(box);
  used.engine.pass(surface(box, [](double, double) { return 0.9; }).cloud(), identity(), false);
  used.engine.drop();
  for (Rig *rig : {&fresh, &used}) {
    rig->engine.add(points.cloud(), kMast, true);
    rig->engine.finish(kNoPrior);
  }
  CHECK(same_bits(fresh.engine, used.engine));
}

// Poses that were only tried once took the places of sensors.
void what_was_dropped_leaves_room_for_all_sensors() {
  const Box box;
  Rig fresh(box), used(box);
  const Points points = scan_of(box);
  for (int i = 0; i < 2 * kMostSensors; ++i) {
    used.engine.pass(points.cloud(), pose_at({2.3, 0.1, 2.8 + 0.01 * i}, 0.02, 0.4, 3.0), true);
    used.engine.drop();
  }
  for (Rig *rig : {&fresh, &used}) {
    rig->engine.add(points.cloud(), kMast, true);
    rig->engine.finish(kNoPrior);
  }
  CHECK(same_bits(fresh.engine, used.engine));
}

void a_cleared_engine_is_as_new() {
  const Box box;
  const Points points = scan_of(box);
  Rig fresh(box), used(box);
  Points other;
  Random random(4);
  for (int i = 0; i < 3000; ++i)
    other.add({random.between(-2, 2), random.between(-1, 1), random.between(0, 2)});
  used.engine.add(other.cloud(), identity(), true);
  used.engine.find_bed(other.cloud(), identity(), {{0.1, 0.1, 0.1}, {0.1, 0.1, 0.1}}, true, 0.1);
  used.engine.finish({0.2, 0.3});
  used.engine.clear();
  CHECK(used.engine.integral().footprint == 0.0);  // until the next load is finished
  for (Rig *rig : {&fresh, &used}) {
    rig->engine.add(points.cloud(), kMast, true);
    rig->engine.finish(kNoPrior);
  }
  CHECK(same_bits(fresh.engine, used.engine));
}

void finishing_twice_changes_no_bit() {
  const Box box;
  Rig once(box), twice(box);
  const Points points = scan_of(box);
  for (Rig *rig : {&once, &twice}) {
    rig->engine.add(points.cloud(), kMast, true);
    rig->engine.finish(kNoPrior);
  }
  twice.engine.finish(kNoPrior);
  CHECK(same_bits(once.engine, twice.engine));
}

void what_was_never_finished_holds_nothing() {
  const Box box;
  Rig rig(box);
  const Integral v = rig.engine.integral();
  CHECK(v.volume == 0.0 && v.footprint == 0.0);
}

void more_sensors_than_fit_do_no_harm() {
  const Box box;
  Rig rig(box);
  const Points points = scan_of(box);
  for (int i = 0; i < kMostSensors + 5; ++i) rig.engine.add(points.cloud(), kMast, true);
  rig.engine.finish(kNoPrior);
  CHECK(rig.memory.intact());
  CHECK(std::isfinite(rig.engine.integral().volume));
}

// Beds of odd shapes, and points and poses that no sensor has: all within the memory, none of it infinite.
void no_scan_writes_outside_of_the_memory() {
  Random random(7);
  for (const BoxShape &shape : {BoxShape{4, 2, 1, 0, 0.05, 0.002}, BoxShape{0.3, 0.2, 0.1, 0.1, 0.01, 0.002},
                                BoxShape{12, 2.5, 2.5, 0.05, 0.07, 0.002}, BoxShape{1, 1, 1, 0, 0.5, 0.002}}) {
    const Box box(shape);
    for (int round = 0; round < 4; ++round) {
      Points wild;
      for (int i = 0; i < 2000; ++i) {
        const double size = std::pow(10.0, random.between(-6, 4));
        wild.add({random.between(-size, size), random.between(-size, size), random.between(-size, size)});
      }
      const Vec3 at{random.between(-9, 9), random.between(-9, 9), random.between(-9, 9)};
      const Vec3 turn{random.between(-3, 3), random.between(-3, 3), random.between(-3, 3)};
      const Pose pose = pose_at(at, turn.x, turn.y, turn.z);
      Rig rig(box);
      const Registration found = rig.engine.find_bed(wild.cloud(), pose, {{0.1, 0.1, 0.1}, {0.03, 0.03, 0.03}},
                                                     round % 2 == 0, random.between(0.01, 0.5));
      rig.engine.add(wild.cloud(), found.pose, round % 2 == 0);
      rig.engine.finish(kNoPrior);
      CHECK(rig.memory.intact());
      const Integral v = rig.engine.integral();
      for (double value : {v.volume, v.heaped, v.struck_capacity, v.roughness, v.hidden_distance})
        CHECK(std::isfinite(value));
      for (int i = 0; i < box.spec.grid.size(); ++i)
        if (!std::isfinite(rig.engine.map().height[i])) CHECK(false);
    }
  }
}

void the_memory_asked_for_grows_with_the_grid() {
  const Box small({1, 1, 1, 0, 0.1, 0.002}), large({8, 2, 1, 0, 0.1, 0.002});
  CHECK(Engine::required_bytes(small.spec) > kCandidateCapacity * sizeof(Vec3));
  CHECK(Engine::required_bytes(large.spec) > Engine::required_bytes(small.spec));
  CHECK(Engine::required_bytes(large.spec) % 64 == 0);
}

}  // namespace

int main() {
  a_cloud_in_any_order_and_in_parts_gives_the_same_bits();
  two_sensors_may_come_in_any_order();
  every_instruction_set_gives_the_same_bits();
  every_instruction_set_hangs_the_same_membrane();
  what_was_dropped_was_never_seen();
  what_was_dropped_leaves_room_for_all_sensors();
  a_cleared_engine_is_as_new();
  finishing_twice_changes_no_bit();
  what_was_never_finished_holds_nothing();
  more_sensors_than_fit_do_no_harm();
  no_scan_writes_outside_of_the_memory();
  the_memory_asked_for_grows_with_the_grid();
  return volest_test::checks_result("engine");
}
