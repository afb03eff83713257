// Finding the bed: known motions of a scan of walls and wall tops are found again, whatever the order of its
// points.
#include "box.hpp"
#include "check.hpp"
#include "registration.hpp"

using namespace volest_test;

namespace {

constexpr double kDegree = 3.14159265358979323846 / 180.0;
const RegistrationPrior kLoose = {{0.1, 0.1, 0.1}, {0.03, 0.03, 0.03}};
constexpr double kReach = 0.15;

// Walls from the load's level up, wall tops 6 cm wide and the load itself, in the bed frame, `step` apart.
Points shell(const Box &box, double level, double step, double noise) {
  Points points;
  Random random(11);
  const auto add = [&](double x, double y, double z) {
    points.add({x + random.normal(noise), y + random.normal(noise), z + random.normal(noise)});
  };
  const double top = box.shape.height;
  for (const double side : {-1.0, 1.0}) {
    for (double z = level; z < top; z += step) {
      for (double x = -box.half_length(z); x < box.half_length(z); x += step)
        add(x, side * box.half_width(z), z);
      for (double y = -box.half_width(z); y < box.half_width(z); y += step)
        add(side * box.half_length(z), y, z);
    }
    for (double out = 0.005; out < 0.06; out += 0.5 * step) {
      for (double x = -box.half_length(top); x < box.half_length(top); x += step)
        add(x, side * (box.half_width(top) + out), top);
      for (double y = -box.half_width(top); y < box.half_width(top); y += step)
        add(side * (box.half_length(top) + out), y, top);
    }
  }
  for (double x = -1.9; x < 1.9; x += 2 * step)
    for (double y = -0.9; y < 0.9; y += 2 * step) add(x, y, level + 0.05 * x);
  return points;
}

struct Search {
  Registration operator()(const Box &box, const Points &points, const Pose &prior,
                          const RegistrationPrior &std = kLoose, bool rays = true, double reach = kReach) {
    Rig rig(box);
    const Registration found = rig.engine.find_bed(points.cloud(), prior, std, rays, reach);
    CHECK(rig.memory.intact());
    return found;
  }
};

// The turn from one pose to the other, rad.
double turn_between(const Pose &a, const Pose &b) {
  double trace = 0.0;
  for (int i = 0; i < 9; ++i) trace += a.R[i] * b.R[i];
  return std::acos(std::fmin(1.0, 0.5 * (trace - 1.0)));
}

// How far off the middle of the bed is put, m.
double middle_off(const Pose &found, const Pose &truth) {
  const Vec3 d = found * (inverse(truth) * Vec3{0, 0, 0.5});
  return std::sqrt(dot(d - Vec3{0, 0, 0.5}, d - Vec3{0, 0, 0.5}));
}

bool same_bits(const Registration &a, const Registration &b) {
  return volest_test::same_bits(a.pose.R, b.pose.R, 9) && volest_test::same_bits(&a.pose.t, &b.pose.t, 1) &&
         volest_test::same_bits(a.correction, b.correction, 6) &&
         volest_test::same_bits(a.covariance, b.covariance, 36) && a.evidence == b.evidence &&
         a.score == b.score && a.residual == b.residual && a.inliers == b.inliers &&
         a.candidates == b.candidates && a.tops == b.tops && a.above == b.above;
}

struct Motion {
  Vec3 shift;               // m
  double roll, pitch, yaw;  // degrees
};

const Motion kMotions[] = {
    {{0, 0, 0}, 0, 0, 0},
    {{0.05, 0, 0}, 0, 0, 0},
    {{0, -0.05, 0}, 0, 0, 0},
    {{0, 0, 0.04}, 0, 0, 0},
    {{0, 0, -0.04}, 0, 0, 0},
    {{0, 0, 0}, 0, 0, 1.0},
    {{0, 0, 0}, 0.6, 0, 0},
    {{0, 0, 0}, 0, -0.6, 0},
    {{0.03, -0.02, 0.02}, 0.4, -0.3, 0.5},
    {{-0.04, 0.03, -0.03}, -0.3, 0.4, -0.8},
};

void known_motions_are_found_again(double lean, Vec3 sensor) {
  const Box box({4.0, 2.0, 1.0, lean, 0.05, 0.002});
  const Points in_bed = shell(box, 0.4, 0.04, 0.008);
  const Pose truth = pose_at(sensor, 0.01, 0.3, -0.2);
  const Points seen = moved(in_bed, inverse(truth));
  Search search;
  for (const Motion &m : kMotions) {
    const Pose turn = pose_at({}, m.roll * kDegree, m.pitch * kDegree, m.yaw * kDegree);
    Pose told = truth;
    for (int i = 0; i < 3; ++i)
      for (int j = 0; j < 3; ++j) {
        told.R[3 * i + j] = 0.0;
        for (int k = 0; k < 3; ++k) told.R[3 * i + j] += turn.R[3 * i + k] * truth.R[3 * k + j];
      }
    told.t = truth.t + m.shift;
    const Registration found = search(box, seen, told);
    CHECK(middle_off(found.pose, truth) < 0.003);
    CHECK(turn_between(found.pose, truth) < 0.06 * kDegree);  // half its standard uncertainty
    CHECK(found.evidence > 0.9);
    CHECK(found.residual < 0.02);
    CHECK(found.inliers > 1000);
  }
}

void with_nothing_to_see_the_prior_stays() {
  const Box box;
  const Pose told = pose_at({0.1, 0.2, 3.5}, 0.02, -0.1, 0.3);
  Points load;
  for (double x = -1.5; x < 1.5; x += 0.02)
    for (double y = -0.5; y < 0.5; y += 0.02) load.add(x, y, 0.3);
  Search search;
  for (const Points &points : {Points{}, moved(load, inverse(told))}) {
    const Registration found = search(box, points, told);
    CHECK(volest_test::same_bits(&found.pose.t, &told.t, 1));
    CHECK(turn_between(found.pose, told) < 1e-9);
    for (double c : found.correction) CHECK(c == 0.0);
    for (int i = 0; i < 6; ++i) {
      const double std = i < 3 ? kLoose.std_translation[i] : kLoose.std_rotation[i - 3];
      CHECK(std::fabs(found.covariance[7 * i] - std * std) < 1e-9);
    }
    CHECK(found.evidence == 0.0 && found.inliers == 0 && found.score == 0.0);
  }
}

void what_was_not_seen_stays_at_the_prior() {
  const Box box;
  const Pose truth = pose_at({0, 0, 4}, 0, 0, 0);
  Points sides;  // side walls only: nothing tells x
  for (double x = -1.8; x < 1.8; x += 0.02)
    for (double z = 0.4; z < 0.95; z += 0.04)
      for (const double y : {-1.0, 1.0}) sides.add(x, y, z);
  const Pose told = pose_at({0.05, 0.03, 4}, 0, 0, 0);
  const Registration found = Search()(box, moved(sides, inverse(truth)), told);
  CHECK(std::fabs(found.correction[0]) < 1e-4);
  CHECK(found.covariance[0] > 0.9 * 0.01);
  // Where the walls are is known, though not whether the sensor stands aside or leans.
  for (const double z : {0.4, 0.95}) {
    const Vec3 p = found.pose * (inverse(truth) * Vec3{0, 0, z});
    CHECK(std::fabs(p.y) < 0.003);
    CHECK(std::fabs(p.x - 0.05) < 0.001);
  }
}

void a_tight_prior_is_believed() {
  const Box box;
  const Pose truth = pose_at({0, 0, 4}, 0, 0, 0), told = pose_at({0.02, 0, 4}, 0, 0, 0);
  const RegistrationPrior tight = {{1e-5, 1e-5, 1e-5}, {1e-6, 1e-6, 1e-6}};
  const Registration found = Search()(box, moved(shell(box, 0.4, 0.04, 0.005), inverse(truth)), told, tight);
  CHECK(std::fabs(found.correction[0]) < 1e-4);
}

void order_of_the_points_is_of_no_account() {
  const Box box;
  const Points seen = moved(shell(box, 0.4, 0.04, 0.008), inverse(pose_at({0, 0, 4}, 0, 0, 0)));
  const Pose told = pose_at({0.03, -0.02, 4.02}, 0.005, 0.0, 0.01);
  Search search;
  const Registration once = search(box, seen, told);
  CHECK(once.candidates < kCandidateCapacity);
  for (std::uint64_t seed = 1; seed <= 3; ++seed)
    CHECK(same_bits(search(box, shuffled(seen, seed), told), once));
}

// More candidates than there is room for are thinned by what they are, not by where they stand.
void too_many_candidates_are_thinned_alike_in_any_order() {
  const Box box;
  const Pose truth = pose_at({0, 0, 4}, 0, 0, 0), told = pose_at({0.03, -0.02, 4.02}, 0, 0, 0.01);
  const Points seen = moved(shell(box, 0.2, 0.01, 0.008), inverse(truth));
  CHECK(seen.count() > 3 * kCandidateCapacity);
  Search search;
  const Registration once = search(box, seen, told);
  CHECK(once.candidates <= kCandidateCapacity && once.candidates > kCandidateCapacity / 4);
  CHECK(middle_off(once.pose, truth) < 0.003);
  CHECK(turn_between(once.pose, truth) < 0.05 * kDegree);
  CHECK(same_bits(search(box, shuffled(seen, 5), told), once));
}

void copies_of_one_point_end() {
  const Box box;
  Points points;
  for (std::int64_t i = 0; i < kCandidateCapacity + 1; ++i) points.add(0.5, 1.0, -3.4);
  const Registration found = Search()(box, points, pose_at({0, 0, 4}, 0, 0, 0));
  CHECK(found.candidates <= kCandidateCapacity);
  CHECK(std::isfinite(found.pose.t.x) && std::isfinite(found.score));
}

void bad_points_change_no_bit() {
  const Box box;
  const Points seen = moved(shell(box, 0.4, 0.04, 0.008), inverse(pose_at({0, 0, 4}, 0, 0, 0)));
  const Pose told = pose_at({0.03, -0.02, 4.02}, 0, 0, 0.01);
  Points dirty = seen;
  for (int i = 0; i < 1000; ++i) {
    dirty.add(NAN, 1, 1);
    dirty.add(INFINITY, 0, 0);
    dirty.add(0, 0, 0);
    dirty.add(1e30, 1, 1);
  }
  Search search;
  CHECK(same_bits(search(box, shuffled(dirty, 9), told), search(box, seen, told)));
}

// From behind a wall its outer face is seen: it tells nothing of the inner one.
void walls_seen_from_behind_are_left_out() {
  const Box box;
  const Pose front = pose_at({3.0, 0, 2.5}, 0, 0, 0);
  Points outer;
  for (double y = -0.8; y < 0.8; y += 0.02)
    for (double z = 0.1; z < 0.8; z += 0.02) outer.add(2.04, y, z);
  Search search;
  const Points seen = moved(outer, inverse(front));
  CHECK(search(box, seen, front).inliers == 0);
  CHECK(search(box, seen, front, kLoose, false).inliers > 100);
}

void every_instruction_set_finds_the_same_bits() {
  const Box box({4.0, 2.0, 1.0, 0.03, 0.05, 0.002});
  const Points seen = moved(shell(box, 0.2, 0.013, 0.008), inverse(pose_at({0.2, 0, 4}, 0, 0.1, 0)));
  const Pose told = pose_at({0.23, -0.02, 4.02}, 0, 0.11, 0.01);
  Rig reference(box, *all_kernels().front());
  const Registration once = reference.engine.find_bed(seen.cloud(), told, kLoose, true, kReach);
  CHECK(once.evidence > 0.9);
  for (const Kernels *kernels : all_kernels()) {
    Rig rig(box, *kernels);
    CHECK(same_bits(rig.engine.find_bed(seen.cloud(), told, kLoose, true, kReach), once));
  }
}

}  // namespace

int main() {
  known_motions_are_found_again(0.0, {0, 0, 4.0});
  known_motions_are_found_again(0.06, {0.2, 0.1, 4.0});
  known_motions_are_found_again(0.03, {1.6, 0, 3.0});
  with_nothing_to_see_the_prior_stays();
  what_was_not_seen_stays_at_the_prior();
  a_tight_prior_is_believed();
  order_of_the_points_is_of_no_account();
  too_many_candidates_are_thinned_alike_in_any_order();
  copies_of_one_point_end();
  bad_points_change_no_bit();
  walls_seen_from_behind_are_left_out();
  every_instruction_set_finds_the_same_bits();
  return volest_test::checks_result("registration");
}
