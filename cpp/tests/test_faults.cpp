// What sheets are told by.
#include "check.hpp"
#include "faults.hpp"

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

}  // namespace

int main() {
  a_line_through_two_seen_cells_meets_the_wall();
  return volest_test::checks_result("faults");
}
