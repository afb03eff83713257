// Finding the bed in a scan: the most probable pose of a sensor given walls, wall tops and its prior.
#pragma once

#include "sifted.hpp"

namespace volest {

struct RegistrationPrior {
  double std_translation[3];  // m, along the bed's axes
  double std_rotation[3];     // rad, about the bed's axes
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
  double above;             // points on faces that go on above the wall tops, for each on the tops
  bool walls_off;           // a wall seems to stand elsewhere than the bed has it
  std::int64_t inliers;     // points on wall or wall top
  std::int64_t candidates;  // points near wall or wall top

  // How far the correction is from none, in standard deviations of a prior, none of which is less than `least`.
  double deviation(const RegistrationPrior &std, double least) const {
    double sum = 0.0;
    for (int i = 0; i < 3; ++i) {
      const double along = correction[i], about = correction[3 + i], m = std.std_translation[i],
                   rad = std.std_rotation[i];
      sum += along * along / (m * m + least * least) + about * about / (rad * rad + least * least);
    }
    return std::sqrt(sum);
  }
};

// Most candidates that the search looks at, thinned like streams; what it finds is refined on all of the
// outline.
constexpr std::int32_t kCandidateCapacity = 4096, kCandidatePad = 16;

// Where a candidate may belong: to the face of wall w (class w), to its top (class kWalls + w), or to both.
constexpr int kClasses = 2 * kWalls;

// Points near walls and tops as the prior has them. Coordinates are whole numbers of `unit`, so that sums over
// them in doubles are exact and the order of the points is of no account.
struct Candidates {
  double unit;       // m
  float *x, *y, *z;  // [2 * kCandidateCapacity + kCandidatePad], bed frame; one class after the other
  // As they were gathered [kCandidateCapacity + kBlock + kCandidatePad]: units, m over the tops, wall, hash.
  float *loose[3], *over;
  std::int32_t *wall;
  std::uint32_t *hash;
  std::int32_t from[kClasses + 1];  // where each class begins
  bool thinned;                     // the outline holds more of them
};
constexpr std::int32_t kMostUnits = 32768;  // coordinates are no greater
constexpr std::int32_t kLooseCapacity = kCandidateCapacity + 256 + kCandidatePad;

// Maximum a posteriori pose by annealed, robust Gauss-Newton on point-to-plane distances, the best of what is
// found from `start_count` starts: corrections to begin with (6 numbers each), as in Registration. `reach_m` is
// the farthest a wall may be from where the prior has it. With `rays` the points are seen from prior.t, and
// walls that it stands behind are left out.
struct Kernels;
Registration register_scan(const Kernels &kernels, const Bed &bed, const Stream &outline, const Pose &prior,
                           const RegistrationPrior &std, const double *starts, int start_count, bool rays,
                           double reach_m, Candidates &candidates) noexcept;

// How far inside a wall points may still be of it, for a reach, m.
double outline_about(const Bed &bed, double reach_m) noexcept;

// Sums over the candidates of a class of weight times 1 x y z xx xy xz yy yz zz, in units.
constexpr int kMoments = 10;

// How many candidates of a class are near and on it.
struct ClassTally {
  std::int64_t near, on, above;
  double weight, sum, squares;  // of those on it, as sums of moments weigh; of distances in m and m2
  std::uint32_t stretches;      // bit b: stretch b of the wall's sixteen has points on it
};

// A wall in units of the candidates, as a correction has it: distances are a x + b y + c z + d, m.
struct WallView {
  float face[4], over[4], ends[2][4];
  bool facing, covered;
  float edge, rim_width, rim_least, rim_reach;  // m
};

constexpr float kWeightUnit = 256.0f;  // weights are whole numbers of 1 / 256

}  // namespace volest
