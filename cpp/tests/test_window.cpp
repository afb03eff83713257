// A dirty window is told from shadows and from where the view ends.
#include <limits>

#include "box.hpp"
#include "check.hpp"

using namespace volest_test;

namespace {

// Of 40 x 80 cells all are seen but those from row 10 and column 20 on.
bool may_be(int rows, int columns, double distance) {
  const Grid g{0.0, 0.0, 0.05, 80, 40};
  std::vector<std::uint8_t> state(static_cast<std::size_t>(g.size()), kSeen), begins(state.size());
  for (int y = 10; y < 10 + rows; ++y)
    for (int x = 20; x < 20 + columns && x < g.nx; ++x)
      state[static_cast<std::size_t>(y * g.nx + x)] = x % 2 ? kHidden : kBetween;
  return may_be_blind(g, state.data(), distance, begins.data());
}

void a_block_of_cells_as_large_as_two_by_two_bins_may_be_blind() {
  // Two bins of 3 degrees are 28 cm wide there.
  CHECK(!may_be(2, 2, 2.7) && !may_be(3, 3, 2.7));
  CHECK(may_be(4, 4, 2.7) && may_be(6, 6, 2.7));
  CHECK(may_be(1, 1, -1.0) && may_be(30, 60, 3.0));
}

void a_long_thin_shadow_is_no_smudge() { CHECK(!may_be(2, 60, 3.0) && !may_be(30, 2, 3.0)); }

void a_bed_smaller_than_the_bins_has_none() {
  const Grid g{0.0, 0.0, 0.05, 5, 5};
  const std::vector<std::uint8_t> state(25, kHidden);
  std::vector<std::uint8_t> begins(25);
  CHECK(!may_be_blind(g, state.data(), 50.0, begins.data()));
  CHECK(!may_be_blind(g, state.data(), 1e30, begins.data()));
}

void a_block_does_not_run_on_into_the_next_row() {
  const Grid g{0.0, 0.0, 0.05, 8, 8};
  std::vector<std::uint8_t> state(64, kSeen), begins(64);
  for (std::size_t y = 0; y < 8; ++y)
    for (const std::size_t x : {0u, 1u, 6u, 7u}) state[8 * y + x] = kHidden;
  CHECK(!may_be_blind(g, state.data(), 2.7, begins.data()));
}

void points_are_counted_in_their_bins() {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float xyz[][3] = {{0.1f, 0.1f, 4.0f},  {0.1f, 0.1f, 4.0f}, {-0.1f, 0.1f, 4.0f}, {0.1f, 0.1f, 0.5f},
                          {0.1f, 0.1f, -4.0f}, {nan, 0.1f, 4.0f},  {0.0f, 0.0f, 0.0f},  {0.1f, 0.1f, 2e4f}};
  const Cloud cloud{reinterpret_cast<const char *>(xyz), 8, sizeof xyz[0]};
  const BinnedView view{{1, 0, 0, 0, 1, 0, 0, 0, 1}, 40.0f, {-1.0f, -1.0f}, 2, 2};
  for (const Kernels *kernels : all_kernels()) {
    std::uint32_t counts[4] = {};
    kernels->count_returns(cloud, view, 1.0f, counts);
    CHECK(counts[0] == 0 && counts[1] == 1 && counts[2] == 0 && counts[3] == 2);
  }
}

// A sensor 4 m over the middle looks straight down onto a level load and what is about the bed; it is blind
// where `is_lost` says so, of x and y.
template <class IsLost>
double blind_area(IsLost is_lost, const Kernels &kernels, Vec3 at = {0.0, 0.0, 4.0}) {
  const Box box;
  const Pose pose{{1, 0, 0, 0, -1, 0, 0, 0, -1}, at};
  Points level;
  for (double x = -2.6; x < 2.6; x += 0.02)
    for (double y = -1.6; y < 1.6; y += 0.02)
      if (!is_lost(x, y)) level.add(x, y, 0.5);
  const Points scan = moved(level, inverse(pose));
  Rig rig(box, kernels);
  rig.engine.add(scan.cloud(), pose, true);
  rig.engine.finish({});
  const Cloud cloud = scan.cloud();
  const Sighting sighting{pose, &cloud, 1};
  const double area = rig.engine.blind_area(&sighting, 1);
  CHECK(rig.engine.blind_area(&sighting, 0) == 0.0);
  CHECK(rig.engine.blind_area(&sighting, 1) == area && rig.memory.intact());
  return area;
}

void a_spot_on_the_window_is_told_and_the_end_of_the_view_is_not() {
  const Kernels &best = best_kernels();
  const double spot = blind_area([](double x, double y) { return x * x + y * y < 0.16; }, best);
  CHECK(spot > 0.1 && spot < 0.6);
  CHECK(blind_area([](double, double) { return false; }, best) == 0.0);
  CHECK(blind_area([](double x, double) { return x > 0.5; }, best) == 0.0);
}

void every_instruction_set_tells_the_same() {
  const auto is_lost = [](double x, double y) { return (x - 0.3) * (x - 0.3) + y * y < 0.2; };
  const double first = blind_area(is_lost, *all_kernels().front());
  for (const Kernels *kernels : all_kernels()) CHECK(blind_area(is_lost, *kernels) == first);
}

void a_sensor_amid_the_load_tells_nothing() {
  const auto is_lost = [](double x, double y) { return x * x + y * y < 0.16; };
  for (const double z : {0.4999, 0.5, 0.5001, 1e6})
    CHECK(blind_area(is_lost, best_kernels(), {0.025, 0.025, z}) == 0.0);
}

}  // namespace

int main() {
  a_block_of_cells_as_large_as_two_by_two_bins_may_be_blind();
  a_long_thin_shadow_is_no_smudge();
  a_bed_smaller_than_the_bins_has_none();
  a_block_does_not_run_on_into_the_next_row();
  points_are_counted_in_their_bins();
  a_spot_on_the_window_is_told_and_the_end_of_the_view_is_not();
  every_instruction_set_tells_the_same();
  a_sensor_amid_the_load_tells_nothing();
  return volest_test::checks_result("window");
}
