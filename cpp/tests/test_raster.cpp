// One pass over the points: what counts as a measurement, where each falls, and what its ray tells.
#include <limits>

#include "box.hpp"
#include "check.hpp"
#include "raster.hpp"

using namespace volest_test;

namespace {

// What a pass leaves behind.
struct Pass {
  std::vector<std::uint64_t> column, mask;
  std::vector<float> bound, landing, fall;
  Voxels voxels;
  PassCounts counts;

  explicit Pass(const Box &box)
      : column(static_cast<std::size_t>(box.spec.grid.size() * box.spec.nz)),
        mask(static_cast<std::size_t>(box.spec.grid.size())),
        bound(mask.size(), 9.0f),
        landing(mask.size()),
        fall(mask.size()),
        voxels{box.spec.z0, box.spec.dz, box.spec.nz, column.data(), mask.data()},
        counts{} {}
  Pass(const Pass &) = delete;
  Pass &operator=(const Pass &) = delete;

  Pass &add(const Box &box, const Cloud &cloud, const Pose &pose, bool rays) {
    FreeAir air{bound.data(), landing.data(), fall.data()};
    counts = rasterise(box.bed, cloud, pose, rays, voxels, air);
    return *this;
  }
  bool same_as(const Pass &other) const {
    return same_bits(column.data(), other.column.data(), column.size()) && mask == other.mask &&
           same_bits(bound.data(), other.bound.data(), bound.size()) &&
           same_bits(landing.data(), other.landing.data(), landing.size()) &&
           same_bits(fall.data(), other.fall.data(), fall.size());
  }
};

Points rough_cloud(const Box &box, std::uint64_t seed, int count) {
  Random random(seed);
  Points points;
  for (int i = 0; i < count; ++i)
    points.add(random.between(-0.7, 0.7) * box.shape.length, random.between(-0.7, 0.7) * box.shape.width,
               random.between(-0.4, 2.6));
  return points;
}

const Pose kAbove = {{1, 0, 0, 0, 1, 0, 0, 0, 1}, {0.3, -0.2, 3.5}};

Points seen_from(const Pose &pose, const Points &in_bed) { return moved(in_bed, inverse(pose)); }

void every_point_is_counted_once() {
  const Box box;
  const Points points = rough_cloud(box, 1, 20000);
  Pass pass(box);
  pass.add(box, points.cloud(), identity(), false);
  const PassCounts &c = pass.counts;
  CHECK(c.valid == points.count());
  CHECK(c.load > 0 && c.wall > 0 && c.stray > 0 && c.fixture == 0);
  std::int64_t inside = 0, held = 0;
  for (std::size_t i = 0; i < points.xyz.size(); i += 3)
    inside += box.spec.grid.index(points.xyz[i], points.xyz[i + 1]) >= 0 &&
              box.bed.inside_opening(points.xyz[i], points.xyz[i + 1]) >= 0.0;
  for (std::uint64_t v : pass.column) held += Voxels::count(v);
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
  pass.add(box, points.cloud(), identity(), false);
  const int cell = box.spec.grid.index(0.51, 0.51);
  double held = 0.0;
  for (int k = 0; k < box.spec.nz; ++k)
    held += pass.voxels.height_sum(pass.column[static_cast<std::size_t>(cell * box.spec.nz + k)], k);
  CHECK(std::fabs(held - sum) / 100 <= box.spec.dz / Voxels::kSteps);
  CHECK(held <= sum);  // rounded down
}

void a_mask_bit_is_set_where_a_voxel_holds_points() {
  const Box box;
  Pass pass(box);
  pass.add(box, rough_cloud(box, 3, 5000).cloud(), identity(), false);
  for (std::size_t i = 0; i < pass.mask.size(); ++i)
    for (std::size_t k = 0; k < 64; ++k)
      if ((pass.mask[i] >> k & 1) != (Voxels::count(pass.column[i * 64 + k]) > 0 ? 1u : 0u)) CHECK(false);
  CHECK(pass.counts.load > 0);
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
  plain.add(box, good.cloud(), kAbove, true);
  dirty.add(box, mixed.cloud(), kAbove, true);
  CHECK(mixed.count() == good.count() + added);
  CHECK(dirty.counts.valid == good.count());
  CHECK(same_bits(&plain.counts, &dirty.counts, 1));
  CHECK(dirty.same_as(plain));
}

void strided_points_equal_packed_points() {
  const Box box;
  const Points points = seen_from(kAbove, rough_cloud(box, 5, 3000));
  Pass packed(box);
  packed.add(box, points.cloud(), kAbove, true);
  for (const std::size_t stride : {12u, 13u, 16u, 48u}) {  // 13: nothing is aligned
    std::vector<char> bytes(stride * static_cast<std::size_t>(points.count()), '\x7f');
    for (std::size_t i = 0; i < static_cast<std::size_t>(points.count()); ++i)
      std::memcpy(bytes.data() + i * stride, points.xyz.data() + 3 * i, 12);
    Pass strided(box);
    strided.add(box, {bytes.data(), points.count(), static_cast<std::ptrdiff_t>(stride)}, kAbove, true);
    CHECK(strided.same_as(packed));
  }
  Pass backwards(box);
  const char *last = reinterpret_cast<const char *>(points.xyz.data() + points.xyz.size() - 3);
  backwards.add(box, {last, points.count(), -12}, kAbove, true);
  CHECK(backwards.same_as(packed));
}

void order_and_splits_change_no_bit() {
  const Box box;
  const Points points = seen_from(kAbove, rough_cloud(box, 6, 5000));
  Pass once(box);
  once.add(box, points.cloud(), kAbove, true);
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const Points other = shuffled(points, seed);
    CHECK(other.xyz != points.xyz);
    Pass pass(box);
    pass.add(box, other.cloud(), kAbove, true);
    CHECK(pass.same_as(once));
    CHECK(same_bits(&pass.counts, &once.counts, 1));
  }
  for (const std::int64_t cut : {std::int64_t{0}, std::int64_t{1}, std::int64_t{2500}, points.count()}) {
    Pass pass(box);
    pass.add(box, points.cloud(0, cut), kAbove, true).add(box, points.cloud(cut, points.count()), kAbove, true);
    CHECK(pass.same_as(once));
  }
}

void nothing_falls_outside_the_opening() {
  const Box box({4.0, 2.0, 1.0, 0.1, 0.05, 0.002});
  Points points;
  Random random(7);
  for (int i = 0; i < 2000; ++i) points.add(random.between(-3, 3), random.between(-2, 2), 0.5);
  Pass pass(box);
  pass.add(box, points.cloud(), identity(), false);
  for (int i = 0; i < box.spec.grid.size(); ++i) {
    const double x = box.spec.grid.centre_x(i % box.spec.grid.nx),
                 y = box.spec.grid.centre_y(i / box.spec.grid.nx);
    const bool beyond = std::fabs(x) > box.half_length(1.0) + 0.03 || std::fabs(y) > box.half_width(1.0) + 0.03;
    if (beyond && pass.mask[static_cast<std::size_t>(i)] != 0) CHECK(false);
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
  pass.add(box, points.cloud(), identity(), false);
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
  pass.add(box, points.cloud(), identity(), false);
  CHECK(pass.counts.wall == 2);
  CHECK(pass.counts.load == 2);
}

void a_ray_bounds_only_the_cells_that_it_passes() {
  const Box box;
  const Grid &g = box.spec.grid;
  const Vec3 sensor{-3.0, 0.011, 3.0}, hit{1.0, 0.011, 0.2};
  const Pose pose{{1, 0, 0, 0, 1, 0, 0, 0, 1}, sensor};
  Points points;
  points.add(hit - sensor);
  Pass pass(box);
  pass.add(box, points.cloud(), pose, true);
  const int row = g.index(hit.x, hit.y) / g.nx;
  const double ceiling = box.spec.z0 + box.spec.nz * box.spec.dz;
  int lowered = 0;
  for (int iy = 0; iy < g.ny; ++iy)
    for (int ix = 0; ix < g.nx; ++ix) {
      const float bound = pass.bound[static_cast<std::size_t>(iy * g.nx + ix)];
      if (bound == 9.0f) continue;
      ++lowered;
      const double x = g.centre_x(ix), on_ray = hit.z + (hit.x - x) / (hit.x - sensor.x) * (sensor.z - hit.z);
      CHECK(iy == row);
      CHECK(x < hit.x - 1.4 * g.cell);  // the cells at its end are the surface itself
      CHECK(std::fabs(bound - on_ray) <= g.cell * (sensor.z - hit.z) / (hit.x - sensor.x));
      CHECK(bound <= ceiling);
    }
  CHECK(lowered > 20);
}

void without_rays_nothing_is_bounded() {
  const Box box;
  Pass pass(box);
  pass.add(box, seen_from(kAbove, rough_cloud(box, 8, 2000)).cloud(), kAbove, false);
  for (float bound : pass.bound)
    if (bound != 9.0f) CHECK(false);
  CHECK(pass.counts.load > 0);
}

void no_ray_bounds_below_the_surface_that_it_sees() {
  const Box box;
  const auto height = [](double x, double y) {
    return 0.5 + 0.3 * std::exp(-4.0 * ((x - 0.4) * (x - 0.4) + y * y));
  };
  const Points points = seen_from(kAbove, surface(box, height, 2));
  Pass pass(box);
  pass.add(box, points.cloud(), kAbove, true);
  const Grid &g = box.spec.grid;
  for (int i = 0; i < g.size(); ++i) {
    const double x = g.centre_x(i % g.nx), y = g.centre_y(i / g.nx);
    if (std::fabs(x) > 1.9 || std::fabs(y) > 0.9) continue;
    // From above the steepest of these slopes is in view, so all rays stay above it, but for half a cell.
    if (pass.bound[static_cast<std::size_t>(i)] < height(x, y) - 0.5 * g.cell) CHECK(false);
  }
  CHECK(pass.counts.load > 0);
}

void rays_straight_down_and_from_far_away_end() {
  const Box box;
  Points down, far;
  down.add(0, 0, -3.0);
  far.add(-9000, -9000, -2000);
  Pass pass(box);
  pass.add(box, down.cloud(), pose_at({0.02, 0.02, 3.5}, 0, 0, 0), true);
  pass.add(box, far.cloud(), pose_at({5000, 5000, 1000}, 0, 0, 0), true);
  pass.add(box, far.cloud(), pose_at({0.02, 0.02, -9000}, 0, 0, 0), true);  // from below nothing is bounded
  pass.add(box, down.cloud(0, 0), kAbove, true);
  CHECK(pass.counts.valid == 0);
}

}  // namespace

int main() {
  every_point_is_counted_once();
  heights_are_kept_to_a_fraction_of_a_millimetre();
  a_mask_bit_is_set_where_a_voxel_holds_points();
  bad_points_are_skipped_and_change_no_bit();
  strided_points_equal_packed_points();
  order_and_splits_change_no_bit();
  nothing_falls_outside_the_opening();
  what_stands_in_the_empty_bed_is_no_load();
  returns_of_the_walls_are_told_from_load();
  a_ray_bounds_only_the_cells_that_it_passes();
  without_rays_nothing_is_bounded();
  no_ray_bounds_below_the_surface_that_it_sees();
  rays_straight_down_and_from_far_away_end();
  return volest_test::checks_result("raster");
}
