#include "registration.hpp"

namespace volest {
namespace {

constexpr int kClasses = 2 * kWalls;     // each wall's face, then each wall's top
constexpr int kSums = 21 + 6 + 2;        // upper triangle of J'J, J'r, sum of weights, sum of squares
constexpr double kFixed = 1 << 30;       // sums are integers in units of 2^-30
constexpr double kEdge = 0.03;           // m; faces end this far below the wall tops
constexpr double kRimWidth = 0.07;       // m; how far tops are looked for behind the inner face
constexpr double kRimReach = 0.15;       // m; the farthest a top may be above or below its place
constexpr double kCorner = 0.1;          // m; nearer to a corner two walls claim a point
constexpr double kNoise = 0.015;         // m; distance of a good point from the model: noise, bulges, ribs
constexpr double kFinest = 0.03;         // m; half-width of the kernel at the end
constexpr double kCautious = 0.04;       // m; its half-width at the start when the told pose is believed
constexpr double kGate = 0.15;           // m; points this near to a wall should be on it
constexpr double kMostPerClass = 60.0;   // points of one wall err together: no more count in the score,
constexpr double kMostAveraged = 240.0;  // and no more average out
constexpr double kWorth = 0.2;         // of one of those in the score: a tarp roll deceives all of them at once
constexpr double kTopsPerFace = 0.05;  // points on tops that are due for each on a face
constexpr double kFewTops = 0.02;      // fewer for each inlier say nothing: all tops in view are covered
constexpr int kAnneal = 8, kRefine = 6;  // iterations with a shrinking and with the finest kernel
static_assert(kAnneal == 8, "the kernel shrinks by three square roots");
constexpr int kBins = 16;  // stretches of a wall that are asked for evidence

struct Sums {
  std::int64_t v[kClasses][kSums];
  std::int64_t points[kClasses];
  std::uint32_t bins[kClasses];  // stretches of the wall with points
};

// The distance that p measures, its gradient, and to which class it belongs.
struct Residual {
  double value;
  Vec3 normal;
  int kind;
  double along;  // place along the wall, 0 to 1
};

double place_along(const Bed &bed, int wall, Vec3 p) {
  const int a = wall < kLeft ? kLeft : kFront;
  const double d0 = bed.walls[a].distance(p), d1 = bed.walls[a + 1].distance(p);
  return d0 / (d0 + d1);
}

// Faces and tops within `reach` of p; false when p is on neither.
bool residual_at(const Bed &bed, const bool facing[kWalls], Vec3 p, double reach, Residual &out) {
  int wall = 0;
  double least = 1e9, second = 1e9;
  for (int i = 0; i < kWalls; ++i) {
    const double s = bed.walls[i].distance(p);
    if (s < least) {
      second = least;
      least = s;
      wall = i;
    } else if (s < second) {
      second = s;
    }
  }
  if (second < kCorner * bed.scale) return false;
  const double over = p.z - bed.rim_height(p.x, p.y);
  out.along = clamp(place_along(bed, wall, p), 0.0, 0.999999);
  if (over < -kEdge * bed.scale && facing[wall] && std::fabs(least) < reach) {
    out.value = least;
    out.normal = bed.walls[wall].n;
    out.kind = wall;
    return true;
  }
  if (!bed.covered[wall] && least < -0.005 * bed.scale && least > -kRimWidth * bed.scale &&
      std::fabs(over) < std::fmin(reach, kRimReach * bed.scale)) {
    out.value = over;
    out.normal = {-bed.rim[1], -bed.rim[2], 1.0};
    out.kind = kWalls + wall;
    return true;
  }
  return false;
}

void accumulate(Sums &sums, const Residual &r, Vec3 lever, double width) {
  const double u = r.value / width;
  const double k = 1.0 - u * u;
  const double w = k * k;
  const Vec3 m = cross(lever, r.normal);
  const double j[6] = {r.normal.x, r.normal.y, r.normal.z, m.x, m.y, m.z};
  std::int64_t *v = sums.v[r.kind];
  int at = 0;
  for (int a = 0; a < 6; ++a)
    for (int b = a; b < 6; ++b) v[at++] += static_cast<std::int64_t>(std::floor(w * j[a] * j[b] * kFixed));
  for (int a = 0; a < 6; ++a) v[at++] += static_cast<std::int64_t>(std::floor(w * j[a] * r.value * kFixed));
  v[at++] += static_cast<std::int64_t>(std::floor(w * kFixed));
  v[at] += static_cast<std::int64_t>(std::floor(w * r.value * r.value * kFixed));
  sums.bins[r.kind] |= 1u << static_cast<int>(r.along * kBins);
  ++sums.points[r.kind];
}

// Solves A x = b for a symmetric positive definite A (destroyed); also gives the inverse.
bool solve6(double A[6][6], const double b[6], double x[6], double inverse[36]) {
  double L[6][6] = {};
  for (int i = 0; i < 6; ++i)
    for (int j = 0; j <= i; ++j) {
      double s = A[i][j];
      for (int k = 0; k < j; ++k) s -= L[i][k] * L[j][k];
      if (i == j) {
        if (!(s > 0.0)) return false;
        L[i][i] = std::sqrt(s);
      } else {
        L[i][j] = s / L[j][j];
      }
    }
  for (int column = -1; column < 6; ++column) {
    double y[6];
    for (int i = 0; i < 6; ++i) {
      double s = column < 0 ? b[i] : (i == column ? 1.0 : 0.0);
      for (int k = 0; k < i; ++k) s -= L[i][k] * y[k];
      y[i] = s / L[i][i];
    }
    for (int i = 5; i >= 0; --i) {
      double s = y[i];
      for (int k = i + 1; k < 6; ++k) s -= L[k][i] * y[k];
      y[i] = s / L[i][i];
    }
    for (int i = 0; i < 6; ++i) {
      if (column < 0)
        x[i] = y[i];
      else
        inverse[i * 6 + column] = y[i];
    }
  }
  return true;
}

// Rotation about w by 2 atan(|w| / 2), which is |w| for small angles: a unit quaternion, so that only exactly
// rounded operations decide and every CPU gives the same bits.
void rotation(Vec3 w, double R[9]) {
  const double scale = 1.0 / std::sqrt(1.0 + 0.25 * dot(w, w));
  const double q = scale, x = 0.5 * scale * w.x, y = 0.5 * scale * w.y, z = 0.5 * scale * w.z;
  R[0] = 1.0 - 2.0 * (y * y + z * z);
  R[1] = 2.0 * (x * y - q * z);
  R[2] = 2.0 * (x * z + q * y);
  R[3] = 2.0 * (x * y + q * z);
  R[4] = 1.0 - 2.0 * (x * x + z * z);
  R[5] = 2.0 * (y * z - q * x);
  R[6] = 2.0 * (x * z - q * y);
  R[7] = 2.0 * (y * z + q * x);
  R[8] = 1.0 - 2.0 * (x * x + y * y);
}

std::uint32_t hash_point(const Cloud &cloud, std::int64_t i) {
  std::uint32_t v[3];
  std::memcpy(v, cloud.data + i * cloud.stride, sizeof v);
  std::uint32_t h = v[0] * 0x9E3779B1u ^ v[1] * 0x85EBCA77u ^ v[2] * 0xC2B2AE3Du;
  h ^= h >> 15;
  h *= 0x2C1B3C6Du;
  return h ^ (h >> 13);
}

// Points near walls and tops as the prior has them, in the bed frame; at most kRegistrationCapacity.
std::int64_t gather(const Bed &bed, const Cloud &cloud, const Pose &prior, double reach, Vec3 *out) {
  for (std::uint32_t keep = 0xFFFFFFFFu; keep; keep >>= 1) {
    std::int64_t n = 0;
    bool full = false;
    for (std::int64_t i = 0; i < cloud.count && !full; ++i) {
      Vec3 p;
      if (!cloud.read(i, p)) continue;
      p = prior * p;
      const double s = bed.inside_walls(p);
      const double over = p.z - bed.rim_height(p.x, p.y);
      if (s > reach || s < -reach - kRimWidth * bed.scale || over > reach || over < -2.0 * bed.rim[0]) continue;
      if (hash_point(cloud, i) > keep) continue;
      if (n == kRegistrationCapacity)
        full = true;
      else
        out[n++] = p;
    }
    if (!full) return n;
  }
  return 0;
}

void apply(const double c[6], Vec3 origin, Pose &correction) {
  rotation({c[3], c[4], c[5]}, correction.R);
  const Vec3 turned = correction.rotate(origin);
  correction.t = origin - turned + Vec3{c[0], c[1], c[2]};
}

Pose compose(const Pose &a, const Pose &b) {
  Pose out;
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j)
      out.R[3 * i + j] = a.R[3 * i] * b.R[j] + a.R[3 * i + 1] * b.R[3 + j] + a.R[3 * i + 2] * b.R[6 + j];
  out.t = a * b.t;
  return out;
}

// The problem that all starts share.
struct Problem {
  const Bed &bed;
  const Vec3 *points;  // candidates in the bed frame, as the prior has them
  std::int64_t count;
  Vec3 origin;  // of the sensor; rotations are about it
  bool facing[kWalls];
  double information[6];  // of the prior
};

struct Solution {
  double correction[6];
  double covariance[36];
  double score;     // the greater, the more probable
  double residual;  // m
  std::int64_t inliers;
  double evidence;
  double agreement;
  double tops;
};

void sum_up(const Problem &problem, const double correction[6], double width, Sums &sums) {
  Pose move;
  apply(correction, problem.origin, move);
  std::memset(&sums, 0, sizeof sums);
  for (std::int64_t i = 0; i < problem.count; ++i) {
    const Vec3 p = move * problem.points[i];
    Residual r;
    if (residual_at(problem.bed, problem.facing, p, width, r)) accumulate(sums, r, p - problem.origin, width);
  }
}

double weight_of(const Sums &sums, int kind) { return static_cast<double>(sums.v[kind][27]) / kFixed; }

// One Gauss-Newton step of the robust least squares with the prior; false when it has no solution.
bool improve(const Problem &problem, const Sums &sums, Solution &s) {
  double A[6][6] = {}, b[6] = {}, x[6] = {};
  const double noise = kNoise * problem.bed.scale;
  for (int k = 0; k < kClasses; ++k) {
    const std::int64_t *v = sums.v[k];
    const double weight = weight_of(sums, k);
    if (weight <= 0.0) continue;
    const double wall_std = problem.bed.wall_std[k % kWalls];
    const double variance = noise * noise / std::fmin(weight, kMostAveraged) + wall_std * wall_std;
    const double scale = 1.0 / (weight * variance * kFixed);
    int at = 0;
    for (int i = 0; i < 6; ++i)
      for (int j = i; j < 6; ++j) {
        const double sum = static_cast<double>(v[at++]) * scale;
        A[i][j] += sum;
        if (i != j) A[j][i] += sum;
      }
    for (int i = 0; i < 6; ++i) b[i] -= static_cast<double>(v[at++]) * scale;
  }
  for (int i = 0; i < 6; ++i) {
    A[i][i] += problem.information[i];
    b[i] -= problem.information[i] * s.correction[i];
  }
  if (!solve6(A, b, x, s.covariance)) return false;
  for (int i = 0; i < 6; ++i) s.correction[i] += x[i];
  return true;
}

// How well the solution explains the points near each wall, and how far it strays from the prior.
void rate(const Problem &problem, Solution &s) {
  Sums near, on;
  sum_up(problem, s.correction, kGate * problem.bed.scale, near);
  sum_up(problem, s.correction, kFinest * problem.bed.scale, on);
  double squares = 0.0, weights = 0.0, full = 0.0;
  s.score = 0.0;
  for (int k = 0; k < kClasses; ++k) {
    const double weight = weight_of(on, k), all = static_cast<double>(near.points[k]);
    if (all > 0.0) s.score += weight / all * std::fmin(all, kMostPerClass);
    full += std::fmin(all, kMostPerClass);
    weights += weight;
    squares += static_cast<double>(on.v[k][28]) / kFixed;
  }
  s.agreement = full > 0.0 ? s.score / full : 0.0;
  s.score *= kWorth;
  for (int i = 0; i < 6; ++i) s.score -= 0.5 * problem.information[i] * s.correction[i] * s.correction[i];
  s.residual = weights > 0.0 ? std::sqrt(squares / weights) : 0.0;
  s.inliers = 0;
  int found = 0;
  for (int w = 0; w < kWalls; ++w) {
    s.inliers += on.points[w] + on.points[kWalls + w];
    for (std::uint32_t bins = on.bins[w] | on.bins[kWalls + w]; bins; bins &= bins - 1) ++found;
  }
  s.evidence = static_cast<double>(found) / (kWalls * kBins);
  std::int64_t tops_near = 0, tops_on = 0, faces_on = 0;
  for (int w = 0; w < kWalls; ++w) {
    tops_near += near.points[kWalls + w];
    tops_on += on.points[kWalls + w];
    if (!problem.bed.covered[w]) faces_on += on.points[w];
  }
  // Where faces are seen tops must be, too: a bed that is too high or too low has faces all the same.
  const double due = std::fmax(static_cast<double>(tops_near), kTopsPerFace * static_cast<double>(faces_on));
  s.tops = due < kFewTops * static_cast<double>(s.inliers) + 1.0 ? 1.0 : static_cast<double>(tops_on) / due;
}

// From a start, anneals the kernel from `reach` down to the finest.
Solution solve(const Problem &problem, const double start[6], double reach) {
  Solution s{};
  std::memcpy(s.correction, start, sizeof s.correction);
  Sums sums;
  const double finest = kFinest * problem.bed.scale;
  const double shrink = std::sqrt(std::sqrt(std::sqrt(finest / reach)));  // to the kAnneal-th: finest / reach
  double width = reach;
  for (int step = 0; step <= kAnneal + kRefine; ++step) {
    sum_up(problem, s.correction, std::fmax(width, finest), sums);
    if (!improve(problem, sums, s)) break;
    width *= shrink;
  }
  rate(problem, s);
  return s;
}

}  // namespace

Registration register_scan(const Bed &bed, const Cloud &cloud, const Pose &prior, const RegistrationPrior &std,
                           bool rays, double reach_m, Vec3 *scratch) noexcept {
  const double cautious = kCautious * bed.scale, reach = std::fmax(reach_m, cautious);
  Problem problem{bed,     scratch, gather(bed, cloud, prior, std::fmax(reach, kGate * bed.scale), scratch),
                  prior.t, {},      {}};
  for (int w = 0; w < kWalls; ++w) problem.facing[w] = !rays || bed.walls[w].distance(prior.t) > 0.0;
  for (int i = 0; i < 3; ++i) {
    problem.information[i] = 1.0 / (std.std_translation[i] * std.std_translation[i]);
    problem.information[3 + i] = 1.0 / (std.std_rotation[i] * std.std_rotation[i]);
  }
  // A wide kernel finds what is far off, but may settle on a tarp roll beside a wall top; a narrow one the
  // reverse.
  Solution best = solve(problem, std.start, cautious);
  if (reach > 1.5 * cautious) {
    const Solution wide = solve(problem, std.start, reach);
    if (wide.score > best.score) best = wide;
  }
  Registration result{};
  Pose move;
  apply(best.correction, prior.t, move);
  result.pose = compose(move, prior);
  std::memcpy(result.correction, best.correction, sizeof result.correction);
  std::memcpy(result.covariance, best.covariance, sizeof result.covariance);
  result.score = best.score;
  result.evidence = best.evidence;
  result.tops = best.tops;
  result.agreement = best.agreement;
  result.residual = best.residual;
  result.inliers = best.inliers;
  result.candidates = problem.count;
  result.plausibility = judge_pose(bed, cloud, result.pose, rays);
  return result;
}

}  // namespace volest
