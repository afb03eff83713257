// Finding the bed in a scan: the most probable pose of a sensor given walls, wall tops and its prior.
#pragma once

#include "plausibility.hpp"

namespace volest {

struct RegistrationPrior {
  double std_translation[3];  // m, along the bed's axes
  double std_rotation[3];     // rad, about the bed's axes
  double start[6] = {};       // the correction to begin with, as in Registration
};

struct Registration {
  Pose pose;                // T_bed_sensor as found
  double correction[6];     // what was added to the prior: translation of the sensor [m], rotation [rad]
  double covariance[36];    // of `correction`, row-major
  double evidence;          // 0 to 1: part of the bed's outline where wall or wall top was found
  double score;             // the greater, the more probable; to compare solutions of the same scan
  double residual;          // root mean square distance of the inliers from the bed, m
  double agreement;         // 0 to 1: part of the points about each wall that lie on it, on average
  double tops;              // 0 to 1: part of the points that should be on wall tops that are
  std::int64_t inliers;     // points on wall or wall top
  std::int64_t candidates;  // points near wall or wall top
  Plausibility plausibility;
};

// Most candidates that registration looks at; more are thinned by a hash of their coordinates, so that the
// choice does not depend on their order.
constexpr std::int64_t kRegistrationCapacity = 1 << 15;

// Maximum a posteriori pose by annealed, robust Gauss-Newton on point-to-plane distances. `reach_m` is the
// farthest a wall may be from where the prior has it. Sums are integers: the order of the points is of no
// account. With `rays` the points are seen from prior.t, and walls that it stands behind are left out.
// `scratch` holds kRegistrationCapacity points.
Registration register_scan(const Bed &bed, const Cloud &cloud, const Pose &prior, const RegistrationPrior &std,
                           bool rays, double reach_m, Vec3 *scratch) noexcept;

}  // namespace volest
