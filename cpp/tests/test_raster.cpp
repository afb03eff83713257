// One pass over the points: what counts as a measurement, where each falls, and what its ray tells.
#include <limits>

#include "box.hpp"
#include "check.hpp"
#include "raster.hpp"

using namespace volest_test;

namespace {

// An engine over a box that has passed over some points.
struct Pass {
  const Box &box;
  Rig rig;
  PassCounts counts{};

  explicit Pass(const Box &b, const Kernels &kernels = best_kernels()) : box(b), rig(b, kernels) {}
  Pass &add(const Cloud &cloud, const Pose &pose, bool rays) {
    counts = rig.engine.add(cloud, pose, rays);
    CHECK(rig.memory.intact());
    return *this;
  }
  const Cell &cell(int i) const { return rig.engine.columns().cell[i]; }
  float bound(int i) const { return rig.engine.map().air.bound[i]; }
  // To the last bit, with what the rays tell.
  bool same_as(Pass &other) {
    rig.engine.finish({0.0, 0.0});
    other.rig.engine.finish({0.0, 0.0});
    return same_bits(rig.engine, other.rig.engine);
  }
};

Points rough_cloud(const Box &box, std::uint64_t seed, int count) {
  Random random(seed);
  Points points;
  for (int i = 0; i < count; ++i)
    points.add({random.between(-0.7, 0.7) * box.shape.length, random.between(-0.7, 0.7) * box.shape.width,
                random.between(-0.4, 2.6)});
  return points;
}

const Pose kAbove = {{1, 0, 0, 0, 1, 0, 0, 0, 1}, {0.3, -0.2, 3.5}};

Points seen_from(const Pose &pose, const Points &in_bed) { return moved(in_bed, inverse(pose)); }

void every_point_is_counted_once() {
  const Box box;
  const Points points = rough_cloud(box, 1, 20000);
  Pass pass(box);
  pass.add(points.cloud(), identity(), false);
  const PassCounts &c = pass.counts;
  CHECK(c.load > 0 && c.wall > 0 && c.stray > 0 && c.fixture == 0);
  std::int64_t inside = 0, held = 0;
  for (std::size_t i = 0; i < points.xyz.size(); i += 3)
    inside += box.spec.grid.index(points.xyz[i], points.xyz[i + 1]) >= 0 &&
              box.bed.inside_opening(points.xyz[i], points.xyz[i + 1]) >= 0.0;
  for (int i = 0; i < box.spec.grid.size(); ++i) held += pass.cell(i).count();
  CHECK(c.load + c.wall + c.stray == inside);
  CHECK(held == c.load);
}

void heights_are_kept_to_a_fraction_of_a_millimetre() {
  const Box box;
  Points points;
  double sum = 0.0;
  Random random(2);
  for (int i = 0; i < 100; ++i) {
    const double z = random.between(0.1, 0.9);
    points.add(0.51, 0.51, z);
    sum += points.xyz.back();
  }
  Pass pass(box);
  pass.add(points.cloud(), identity(), false);
  const Cell &cell = pass.cell(box.spec.grid.index(0.51, 0.51));
  const double mean = pass.rig.engine.columns().height(static_cast<double>(cell.steps()) / 100.0);
  CHECK(cell.count() == 100);
  CHECK(std::fabs(mean - sum / 100) <= box.spec.dz / Cell::kSteps);
  CHECK(mean <= sum / 100 + 1e-6);  // rounded down
}

void a_mask_tells_the_levels_that_hold_points() {
  const Box box;
  const Points points = rough_cloud(box, 3, 5000);
  Pass pass(box);
  pass.add(points.cloud(), identity(), false);
  std::int64_t levels = 0;
  for (int i = 0; i < box.spec.grid.size(); ++i) {
    const Cell &c = pass.cell(i);
    CHECK((c.mask != 0) == (c.count() != 0));
    CHECK(__builtin_popcountll(c.mask) <= c.count());
    levels += __builtin_popcountll(c.mask);
  }
  CHECK(levels > 1000);
  Pass one(box);
  one.add(Points{{0.51f, 0.21f, 0.6f}}.cloud(), identity(), false);
  CHECK(one.cell(box.spec.grid.index(0.51, 0.21)).mask ==
        std::uint64_t{1} << static_cast<int>((0.6 - box.spec.z0) / box.spec.dz));
}

void squares_tell_the_scatter() {
  const Box box;
  Points points;
  for (int i = 0; i < 200; ++i) points.add(0.51, 0.51, i % 2 == 0 ? 0.35 : 0.45);
  Pass pass(box);
  pass.add(points.cloud(), identity(), false);
  const Cell &c = pass.cell(box.spec.grid.index(0.51, 0.51));
  const double mean = static_cast<double>(c.steps()) / 200.0, step = box.spec.dz / Cell::kSteps;
  CHECK(std::fabs(std::sqrt(static_cast<double>(c.squares) / 200.0 - mean * mean) * step - 0.05) < 1e-3);
}

void bad_points_are_skipped_and_change_no_bit() {
  const Box box;
  const Points good = seen_from(kAbove, rough_cloud(box, 4, 3000));
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const float bad[][3] = {{nan, 0, 0},   {0.1f, nan, 0.2f}, {0, 0, nan},      {inf, 0, 0},
                          {0, -inf, 1},  {1, 1, inf},       {1e30f, 0, -1},   {0, -3.4e38f, 0},
                          {1e4f, 0, -3}, {0, 0, 0},         {-0.0f, 0, -0.0f}};
  Points mixed;
  std::int64_t added = 0;
  for (std::int64_t i = 0; i < good.count(); ++i) {
    if (i % 7 == 0)
      for (const auto &b : bad) {
        mixed.add(b[0], b[1], b[2]);
        ++added;
      }
    for (int k = 0; k < 3; ++k) mixed.xyz.push_back(good.xyz[static_cast<std::size_t>(3 * i + k)]);
  }
  Pass plain(box), dirty(box);
  plain.add(good.cloud(), kAbove, true);
  dirty.add(mixed.cloud(), kAbove, true);
  CHECK(mixed.count() == good.count() + added);
  CHECK(same_bits(&plain.counts, &dirty.counts, 1));
  CHECK(dirty.same_as(plain));
}

void strided_points_equal_packed_points() {
  const Box box;
  const Points points = seen_from(kAbove, rough_cloud(box, 5, 3000));
  Pass packed(box);
  packed.add(points.cloud(), kAbove, true);
  for (const std::size_t stride : {12u, 13u, 16u, 48u}) {  // 13: nothing is aligned
    std::vector<char> bytes(stride * static_cast<std::size_t>(points.count()), '\x7f');
    for (std::size_t i = 0; i < static_cast<std::size_t>(points.count()); ++i)
      std::memcpy(bytes.data() + i * stride, points.xyz.data() + 3 * i, 12);
    Pass strided(box);
    strided.add({bytes.data(), points.count(), static_cast<std::ptrdiff_t>(stride)}, kAbove, true);
    CHECK(strided.same_as(packed));
  }
  Pass backwards(box);
  const char *last = reinterpret_cast<const char *>(points.xyz.data() + points.xyz.size() - 3);
  backwards.add({last, points.count(), -12}, kAbove, true);
  CHECK(backwards.same_as(packed));
}

void order_and_splits_change_no_bit() {
  const Box box;
  const Points points = seen_from(kAbove, rough_cloud(box, 6, 5000));
  Pass once(box);
  once.add(points.cloud(), kAbove, true);
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const Points other = shuffled(points, seed);
    CHECK(other.xyz != points.xyz);
    Pass pass(box);
    pass.add(other.cloud(), kAbove, true);
    CHECK(pass.same_as(once));
    CHECK(same_bits(&pass.counts, &once.counts, 1));
  }
  for (const std::int64_t cut : {std::int64_t{0}, std::int64_t{1}, std::int64_t{2500}, points.count()}) {
    Pass pass(box);
    pass.add(points.cloud(0, cut), kAbove, true).add(points.cloud(cut, points.count()), kAbove, true);
    CHECK(pass.same_as(once));
  }
}

void nothing_falls_outside_the_opening() {
  const Box box({4.0, 2.0, 1.0, 0.1, 0.05, 0.002});
  Points points;
  Random random(7);
  for (int i = 0; i < 2000; ++i) points.add({random.between(-3, 3), random.between(-2, 2), 0.5});
  Pass pass(box);
  pass.add(points.cloud(), identity(), false);
  for (int i = 0; i < box.spec.grid.size(); ++i) {
    const double x = box.spec.grid.centre_x(i % box.spec.grid.nx),
                 y = box.spec.grid.centre_y(i / box.spec.grid.nx);
    const bool beyond = std::fabs(x) > box.half_length(1.0) + 0.03 || std::fabs(y) > box.half_width(1.0) + 0.03;
    if (beyond && pass.cell(i).mask != 0) CHECK(false);
  }
  CHECK(pass.counts.load > 500);
  CHECK(pass.counts.wall > 0);  // at 0.5 m the walls stand further in than the opening
}

void what_stands_in_the_empty_bed_is_no_load() {
  Box box;
  const int cell = box.spec.grid.index(0.51, 0.21);
  const double z = 0.6;
  const int level = static_cast<int>((z - box.spec.z0) / box.spec.dz);
  box.fixtures[static_cast<std::size_t>(cell)] = std::uint64_t{1} << level;
  Points points;
  points.add(0.51, 0.21, z);
  points.add(0.51, 0.21, z + 2 * box.spec.dz);
  Pass pass(box);
  pass.add(points.cloud(), identity(), false);
  CHECK(pass.counts.fixture == 1);
  CHECK(pass.counts.load == 1);
}

void returns_of_the_walls_are_told_from_load() {
  const Box box;
  Points points;
  points.add(1.99, 0.0, 0.5);  // on the front wall
  points.add(1.0, -0.98, 0.5);
  points.add(1.0, -0.9, 0.5);
  points.add(1.99, 0.0, 1.5);  // high above the front wall: a heap
  Pass pass(box);
  pass.add(points.cloud(), identity(), false);
  CHECK(pass.counts.wall == 2);
  CHECK(pass.counts.load == 2);
}

// The fan keeps rays by 256 directions and by rings one cell wide: a ray tells of cells half a direction aside,
// too.
void a_ray_bounds_only_the_cells_that_it_passes() {
  const Box box;
  const Grid &g = box.spec.grid;
  const Vec3 sensor{-3.0, 0.011, 3.0}, hit{1.0, 0.011, 0.2};
  const Pose pose{{1, 0, 0, 0, 1, 0, 0, 0, 1}, sensor};
  Points points;
  points.add(hit - sensor);
  Pass pass(box);
  pass.add(points.cloud(), pose, true);
  pass.rig.engine.finish({0.0, 0.0});
  const double ceiling = box.spec.z0 + box.spec.nz * box.spec.dz,
               slope = (sensor.z - hit.z) / (hit.x - sensor.x);
  int lowered = 0;
  for (int i = 0; i < g.size(); ++i) {
    const float bound = pass.bound(i);
    if (bound >= static_cast<float>(ceiling)) continue;
    ++lowered;
    const double x = g.centre_x(i % g.nx), y = g.centre_y(i / g.nx), on_ray = hit.z + (hit.x - x) * slope;
    CHECK(std::fabs(y - hit.y) < 2.0 * g.cell);
    CHECK(x < hit.x - 0.9 * g.cell);  // the cells at its end are the surface itself
    CHECK(std::fabs(bound - on_ray) <= g.cell * slope);
  }
  CHECK(lowered > 20);
}

void without_rays_nothing_is_bounded() {
  const Box box;
  Pass pass(box);
  pass.add(seen_from(kAbove, rough_cloud(box, 8, 2000)).cloud(), kAbove, false);
  pass.rig.engine.finish({0.0, 0.0});
  for (int i = 0; i < box.spec.grid.size(); ++i)
    if (pass.rig.engine.map().air.fall[i] != 0.0f) CHECK(false);
  CHECK(pass.counts.load > 0);
}

void no_ray_bounds_below_the_surface_that_it_sees() {
  const Box box;
  const auto height = [](double x, double y) {
    return 0.5 + 0.3 * std::exp(-4.0 * ((x - 0.4) * (x - 0.4) + y * y));
  };
  Pass pass(box);
  pass.add(seen_from(kAbove, surface(box, height, 2)).cloud(), kAbove, true);
  pass.rig.engine.finish({0.0, 0.0});
  const Grid &g = box.spec.grid;
  for (int i = 0; i < g.size(); ++i) {
    const double x = g.centre_x(i % g.nx), y = g.centre_y(i / g.nx);
    if (std::fabs(x) > 1.9 || std::fabs(y) > 0.9) continue;
    // From above the steepest of these slopes is in view, so all rays stay above it, but for half a cell.
    if (pass.bound(i) < height(x, y) - 0.5 * g.cell) CHECK(false);
  }
  CHECK(pass.counts.load > 0);
}

// What returns from a wall, or from its top, came over the load before it.
void rays_that_end_on_walls_bound_what_they_passed() {
  const Box box;
  const Vec3 sensor{2.6, 0.0, 2.0};
  const Pose pose{{1, 0, 0, 0, 1, 0, 0, 0, 1}, sensor};
  Points rear;
  for (double y = -0.9; y < 0.9; y += 0.02)
    for (double z = 0.5; z < 1.0; z += 0.02) rear.add(-2.0, y, z);
  Pass pass(box);
  pass.add(moved(rear, inverse(pose)).cloud(), pose, true);
  pass.rig.engine.finish({0.0, 0.0});
  CHECK(pass.counts.wall == rear.count());
  const double expected = 0.5 + (sensor.z - 0.5) * 1.0 / 4.6;  // over x = -1
  CHECK(std::fabs(pass.bound(box.spec.grid.index(-1.0, 0.02)) - expected) < 0.06);
}

void rays_straight_down_and_from_far_away_end() {
  const Box box;
  Points down, far;
  down.add(0, 0, -3.0);
  far.add(-9000, -9000, -2000);
  Pass pass(box);
  pass.add(down.cloud(), pose_at({0.02, 0.02, 3.5}, 0, 0, 0), true);
  CHECK(pass.counts.load == 1);
  pass.add(far.cloud(), pose_at({5000, 5000, 1000}, 0, 0, 0), true);
  pass.add(far.cloud(), pose_at({0.02, 0.02, -9000}, 0, 0, 0), true);  // from below nothing is bounded
  pass.add(far.cloud(), pose_at({1e30, 1e30, 1e30}, 0, 0, 0), true);
  pass.add(down.cloud(0, 0), kAbove, true);
  CHECK(pass.counts.load == 0);
  pass.rig.engine.finish({0.0, 0.0});
  for (int i = 0; i < box.spec.grid.size(); ++i)
    if (!std::isfinite(pass.bound(i))) CHECK(false);
  CHECK(pass.rig.memory.intact());
}

// Where a bed cannot be: what hangs over, and what only a ray through a wall could have met.
void points_beside_and_behind_the_walls_are_counted() {
  const Box box;
  const Pose pose{{1, 0, 0, 0, 1, 0, 0, 0, 1}, {0.0, 0.0, 3.0}};
  Points points;
  points.add(0.0, 1.2, 1.3);    // over the left wall
  points.add(2.2, 0.0, 1.3);    // over the front wall: the cab
  points.add(0.0, 1.2, 0.5);    // behind the left wall, below its top
  points.add(-2.25, 0.3, 0.6);  // behind the tailgate
  points.add(0.0, 1.05, 1.0);   // on the top
  points.add(0.5, 0.5, 0.5);
  Pass pass(box);
  pass.add(moved(points, inverse(pose)).cloud(), pose, true);
  CHECK(pass.counts.beside == 1);
  CHECK(pass.counts.through == 2);
  CHECK(pass.counts.inside == 1);
  CHECK(pass.counts.load == 1);
}

void every_instruction_set_gives_the_same_bits() {
  const Box box({4.01, 2.03, 0.97, 0.03, 0.05, 0.002});
  for (const Pose &pose : {kAbove, identity(), pose_at({2.3, 0.1, 2.8}, 0.02, 0.4, 3.0)}) {
    const Points points = seen_from(pose, rough_cloud(box, 9, 20011));
    Pass reference(box, *all_kernels().front());
    reference.add(points.cloud(), pose, true);
    for (const Kernels *kernels : all_kernels()) {
      Pass pass(box, *kernels);
      pass.add(points.cloud(), pose, true);
      CHECK(same_bits(&pass.counts, &reference.counts, 1));
      CHECK(pass.same_as(reference));
    }
  }
}

}  // namespace

int main() {
  every_point_is_counted_once();
  heights_are_kept_to_a_fraction_of_a_millimetre();
  a_mask_tells_the_levels_that_hold_points();
  squares_tell_the_scatter();
  bad_points_are_skipped_and_change_no_bit();
  strided_points_equal_packed_points();
  order_and_splits_change_no_bit();
  nothing_falls_outside_the_opening();
  what_stands_in_the_empty_bed_is_no_load();
  returns_of_the_walls_are_told_from_load();
  a_ray_bounds_only_the_cells_that_it_passes();
  without_rays_nothing_is_bounded();
  no_ray_bounds_below_the_surface_that_it_sees();
  rays_that_end_on_walls_bound_what_they_passed();
  rays_straight_down_and_from_far_away_end();
  points_beside_and_behind_the_walls_are_counted();
  every_instruction_set_gives_the_same_bits();
  return volest_test::checks_result("raster");
}
