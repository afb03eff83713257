// What sheets and dirty windows are told by.
#include <limits>

#include "check.hpp"
#include "kernels.hpp"

using namespace volest;

namespace {

void a_line_through_two_seen_cells_meets_the_wall() {
  const float height[] = {1.0f, 1.25f, 0.5f, 0.5f};
  const bool seen[] = {true, true, true, false};
  // Tops at 1.2 m; the near cell is 0.1 m from the wall, the other one 0.25 m further in.
  const std::vector<EdgePair> pairs = {{0, 1, 1.2, 1.2, 0.1, 0.25}, {0, 3, 1.2, 1.2, 0.1, 0.25}};
  const EdgeLines lines = edge_lines(pairs, height, seen, 1.0);
  CHECK(lines.slope.size() == 1 && lines.met.size() == 1);
  CHECK(std::fabs(lines.slope[0] - 1.0) < 1e-6);
  CHECK(std::fabs(lines.met[0] - -0.3) < 1e-6);
  const EdgeLines half = edge_lines(pairs, height, seen, 0.5);  // heights in half metres
  CHECK(std::fabs(half.slope[0] - 2.0) < 1e-6);
}

void points_are_counted_in_their_bins() {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float xyz[][3] = {{0.1f, 0.1f, 4.0f},  {0.1f, 0.1f, 4.0f}, {-0.1f, 0.1f, 4.0f}, {0.1f, 0.1f, 0.5f},
                          {0.1f, 0.1f, -4.0f}, {nan, 0.1f, 4.0f},  {0.0f, 0.0f, 0.0f},  {0.1f, 0.1f, 2e4f}};
  const Cloud cloud{reinterpret_cast<const char *>(xyz), 8, sizeof xyz[0]};
  const BinnedView view{{1, 0, 0, 0, 1, 0, 0, 0, 1}, 40.0f, {-1.0f, -1.0f}, 2, 2};
  for (const Isa isa : kEveryIsa) {
    const Kernels *kernels = kernels_for(isa);
    if (kernels == nullptr) continue;
    double counts[4] = {};
    kernels->count_returns(cloud, view, 1.0f, counts);
    CHECK(counts[0] == 0.0 && counts[1] == 1.0 && counts[2] == 0.0 && counts[3] == 2.0);
  }
}

}  // namespace

int main() {
  a_line_through_two_seen_cells_meets_the_wall();
  points_are_counted_in_their_bins();
  return volest_test::checks_result("faults");
}
