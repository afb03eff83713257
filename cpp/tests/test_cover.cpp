// A sheet over the bed is told from a load.
#include <cstdlib>

#include "box.hpp"
#include "check.hpp"

using namespace volest_test;

namespace {

void the_edge_of_a_box_is_what_lies_near_its_walls() {
  const Box box;
  const Grid &g = box.spec.grid;
  std::vector<EdgePair> pairs(static_cast<std::size_t>(g.size()));
  std::vector<std::int32_t> middle(pairs.size());
  Edge edge{pairs.data(), middle.data(), 0, 0};
  fill_edge(box.bed, edge);
  // Of 80 x 40 cells three to each side, and those more than half a metre from all walls.
  CHECK(edge.pair_count == 80 * 40 - 74 * 34);
  CHECK(edge.middle_count > 58 * 18 && edge.middle_count < 62 * 22);
  for (int k = 0; k < edge.pair_count; ++k) {
    const EdgePair &p = edge.pairs[k];
    CHECK(p.inside > 0.0 && p.inside < 0.15 && p.rim_near == 1.0 && p.rim_further == 1.0);
    const int dx = std::abs(p.near % g.nx - p.further % g.nx), dy = std::abs(p.near / g.nx - p.further / g.nx);
    CHECK(dx + dy == 5 && (dx == 0 || dy == 0) && std::fabs(p.run - 0.25) < 1e-9);
  }
}

template <class Over>
Cover cover(Over over, const Kernels &kernels = best_kernels()) {
  const Box box;
  Rig rig(box, kernels);
  CHECK(rig.engine.cover() == Cover::kNone);
  const Points points = surface(box, [&](double x, double y) { return 1.0 + over(x / 2.0, y); });
  rig.engine.add(points.cloud(), identity(), false);
  rig.engine.finish({});
  const Cover told = rig.engine.cover();
  CHECK(rig.engine.cover() == told && rig.memory.intact());
  return told;
}

double dome(double x, double y) { return (1.0 - x * x) * (1.0 - y * y); }

void sheets_sag_or_rise_gently_from_wall_to_wall() {
  for (const Kernels *kernels : all_kernels()) {
    CHECK(cover([](double x, double y) { return -0.2 * dome(x, y); }, *kernels) == Cover::kSure);
    CHECK(cover([](double x, double y) { return 0.2 * dome(x, y); }, *kernels) == Cover::kSure);
  }
}

void loads_are_level_or_lower_or_steeper_than_a_sheet() {
  CHECK(cover([](double, double) { return 0.0; }) == Cover::kNone);
  CHECK(cover([](double x, double y) { return 0.2 * dome(x, y) - 0.3; }) == Cover::kNone);
  CHECK(cover([](double x, double y) {
          return 0.9 * std::fmin(2.0 - 2.0 * std::fabs(x), 1.0 - std::fabs(y));
        }) == Cover::kNone);
}

void a_bed_without_an_edge_has_no_sheet() {
  BoxShape coarse;
  coarse.cell = 0.7;  // wider than a sheet's edge
  const Box box(coarse);
  Rig rig(box);
  rig.engine.add(surface(box, [](double, double) { return 0.9; }).cloud(), identity(), false);
  rig.engine.finish({});
  CHECK(rig.engine.cover() == Cover::kNone && rig.memory.intact());
}

}  // namespace

int main() {
  the_edge_of_a_box_is_what_lies_near_its_walls();
  sheets_sag_or_rise_gently_from_wall_to_wall();
  loads_are_level_or_lower_or_steeper_than_a_sheet();
  a_bed_without_an_edge_has_no_sheet();
  return volest_test::checks_result("cover");
}
