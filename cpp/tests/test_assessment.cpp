// A volume with its uncertainty, on a box whose load is known in closed form.
#include "assessment.hpp"
#include "box.hpp"
#include "check.hpp"

using namespace volest;
using namespace volest_test;

namespace {

constexpr Calibration kCalibration{0.1, 0.01, 0.1, 3.0, 0.2, 0.2, 0.1, 1.0, 0.5, 0.02, 1.5};
const Knowledge kKnown{nullptr, kCalibration, true, 0.01};
const RegistrationPrior kStd{{0.01, 0.01, 0.01}, {0.003, 0.003, 0.003}};
const Pose kAbove = pose_at({0.0, 0.0, 4.0}, 0.0, 0.0, 0.0);

Box &with_floor(Box &box, double std) {
  box.bed.floor_std = std;
  return box;
}

// A box filled level with some points, seen from above.
struct Filled {
  Box box;
  Rig rig;
  Points points;
  Placing placing;

  explicit Filled(double fill, double floor_std = 0.0) : box(), rig(with_floor(box, floor_std)), placing() {
    points = moved(surface(box, [fill](double, double) { return fill; }), inverse(kAbove));
    placing = place(rig.engine, points.cloud(), {kAbove, kStd, 0.02, true}, false);
  }
  Assessment assess(const Knowledge &known = kKnown, const Change *changes = nullptr, int count = 0) {
    const PlacedScan scan{points.cloud(), &placing.placement, 0};
    return volest::assess(rig.engine, &scan, 1, known, changes, count);
  }
};

bool is_near(double a, double b, double within) { return std::fabs(a - b) <= within; }

void a_level_load_has_its_volume() {
  Filled load(0.5);
  CHECK(load.placing.misfit == Misfit::kNone && !load.placing.placement.moved);
  const Assessment a = load.assess();
  CHECK(a.verdict == Verdict::kOk && a.flags == 0);
  CHECK(is_near(a.integral.volume, 4.0, 1e-3) && is_near(a.volume.value, 4.0, 1e-2));
  CHECK(is_near(a.fill, 0.5, 2e-3) && a.seen == 1.0);
  CHECK(a.has_centroid && is_near(a.centroid[0], 0.0, 1e-3) && is_near(a.centroid[2], 0.25, 1e-3));
  CHECK(a.volume.std > 0.0 && is_near(a.volume.upper95 - a.volume.value, kCoverage95 * a.volume.std, 1e-12));
  CHECK(is_near(a.volume.std, a.budget.std(), 1e-15));
}

// The height of the sensor moves the whole surface: 1 cm of it is 8 m2 times 1 cm.
void the_budget_is_what_the_terms_say() {
  Filled load(0.5);
  const Assessment a = load.assess();
  CHECK(a.terms.pose > 0.0099 * 8.0 && a.terms.pose < 0.01 * 8.0 * 1.5);
  CHECK(is_near(a.budget.pose, 1.5 * a.terms.pose, 1e-12));
  CHECK(is_near(a.terms.noise, 0.01 * 8.0, 1e-3));
  const Budget budget = budget_of(kCalibration, {1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 3.0, 0.0});
  CHECK(is_near(budget.hidden, 0.015, 1e-12) && is_near(budget.pose, 3.0, 1e-12) &&
        is_near(budget.reference, 2.25, 1e-12));
  CHECK(is_near(budget.std(), std::sqrt(0.015 * 0.015 + 9.0 + 2.25 * 2.25), 1e-12));
}

void what_is_known_less_of_only_widens() {
  const Assessment plain = Filled(0.5).assess();
  Knowledge noisy = kKnown;
  noisy.range_noise = 0.05;
  const Assessment unfamiliar = Filled(0.5).assess(noisy);
  CHECK((unfamiliar.flags & kUnfamiliar) != 0);
  CHECK(is_near(unfamiliar.budget.pose, 1.5 * plain.budget.pose, 1e-12));
  CHECK(Filled(0.5).assess().budget.reference < Filled(0.5, 0.02).assess().budget.reference);
  const Change still{0.0, 3.9, 4.1}, moved{0.1, 3.0, 4.5};
  const Assessment quiet = Filled(0.5).assess(kKnown, &still, 1),
                   shaken = Filled(0.5).assess(kKnown, &moved, 1);
  CHECK(quiet.verdict == Verdict::kOk && is_near(quiet.budget.surface, 0.1, 0.01));
  CHECK(shaken.verdict == Verdict::kDegraded && (shaken.flags & kLoadMoved) != 0);
  CHECK(is_near(shaken.budget.surface, 1.0, 0.01) && shaken.volume.std > quiet.volume.std);
}

void an_empty_bed_is_empty() {
  const Assessment a = Filled(0.0).assess();
  CHECK((a.flags & kEmptyBed) != 0 && a.volume.value >= 0.0 && a.volume.lower95 == 0.0 && !a.has_centroid);
  CHECK((Filled(0.04).assess().flags & (kEmptyBed | kCarryBack)) == kCarryBack);
}

void nothing_inside_is_told() {
  const Box box;
  Rig rig(box);
  const Placement nothing{Engine::told(kAbove, kStd), {}, true, false, false};
  const PlacedScan scan{Points().cloud(), &nothing, 0};
  CHECK(assess(rig.engine, &scan, 1, kKnown, nullptr, 0).verdict == Verdict::kNothingInside);
}

// The same points with the frame of the bed moved under them.
void a_bed_that_is_elsewhere_is_told() {
  const Box box;
  Rig rig(box);
  Points field;
  for (double x = -6.0; x < 6.0; x += 0.05)
    for (double y = -6.0; y < 6.0; y += 0.05) field.add(x, y, -4.8);
  const Placing placing = place(rig.engine, field.cloud(), {kAbove, kStd, 0.02, true}, true);
  CHECK(placing.misfit != Misfit::kNone);
  rig.engine.clear();
  Points few;
  few.add(0.0, 0.0, -3.0);
  CHECK(place(rig.engine, few.cloud(), {kAbove, kStd, 0.02, true}, true).misfit == Misfit::kNoReturns);
}

}  // namespace

int main() {
  a_level_load_has_its_volume();
  the_budget_is_what_the_terms_say();
  what_is_known_less_of_only_widens();
  an_empty_bed_is_empty();
  nothing_inside_is_told();
  a_bed_that_is_elsewhere_is_told();
  return checks_result("assessment");
}
