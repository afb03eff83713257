#include "registration.hpp"

#include "kernels.hpp"

namespace volest {
namespace {

constexpr double kEdge = 0.03;           // m; faces end this far below the wall tops
constexpr double kRimWidth = 0.07;       // m; how far tops are looked for behind the inner face
constexpr double kRimLeast = 0.005;      // m; and from where on
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
constexpr std::int64_t kFewOnWall = 60;  // points on a wall, to say where it stands
constexpr double kOffWall = 0.006;       // m off a wall on average: it may stand elsewhere
constexpr int kMostSteps = 15;           // of the search
constexpr double kSettled = 3e-4;        // m, rad; a step so small ends it with the finest kernel,
constexpr double kNarrow = 2.0;          // and goes on with it from one at most so many times as wide;
// under such a kernel steps are as long as Newton's: those of Gauss and Newton fall short, by the share of
// weights that change with the pose, so that what is left after a step is about a tenth of it.
constexpr double kRelax = 1.3;
constexpr int kRefinements = 1;       // steps on all of the points after it
constexpr int kStretches = 16;        // of a wall that are asked for evidence
constexpr double kUnit = 1.0 / 4096;  // m; candidates' coordinates are whole numbers of it

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
  const Kernels &kernels;
  const Bed &bed;
  const Candidates &candidates;
  const Stream &outline;
  const Pose &prior;
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
  double above;
  bool walls_off;
};

// n p = d in the bed frame, as a function of where the prior has p, in units.
void view_plane(const Pose &move, Vec3 n, double d, double unit, float out[4]) {
  const double *R = move.R;
  out[0] = static_cast<float>(unit * (R[0] * n.x + R[3] * n.y + R[6] * n.z));
  out[1] = static_cast<float>(unit * (R[1] * n.x + R[4] * n.y + R[7] * n.z));
  out[2] = static_cast<float>(unit * (R[2] * n.x + R[5] * n.y + R[8] * n.z));
  out[3] = static_cast<float>(dot(n, move.t) - d);
}

WallView view_wall(const Problem &problem, const Pose &move, int w) {
  const Bed &bed = problem.bed;
  WallView view{};
  const double unit = problem.candidates.unit;
  view_plane(move, bed.walls[w].n, bed.walls[w].d, unit, view.face);
  view_plane(move, bed.over_tops(), bed.rim[0], unit, view.over);
  const int across = w < kLeft ? kLeft : kFront;
  for (int k = 0; k < 2; ++k)
    view_plane(move, bed.walls[across + k].n, bed.walls[across + k].d, unit, view.ends[k]);
  view.facing = problem.facing[w];
  view.covered = bed.covered[w];
  view.edge = static_cast<float>(kEdge * bed.scale);
  view.rim_width = static_cast<float>(kRimWidth * bed.scale);
  view.rim_least = static_cast<float>(-kRimLeast * bed.scale);
  view.rim_reach = static_cast<float>(kRimReach * bed.scale);
  return view;
}

Pose motion_of(const Problem &problem, const double correction[6]) {
  Pose move;
  apply(correction, problem.origin, move);
  return move;
}

// Weighted sums over the points of one class about the sensor's place: 1, lever, lever lever.
struct Moments {
  double n;
  Vec3 first;
  double second[9];
};

Moments about_sensor(const double sums[kMoments], const Pose &move, Vec3 origin, double unit) {
  const double weight = 1.0 / static_cast<double>(kWeightUnit), n = sums[0] * weight, u = unit * weight,
               uu = unit * u;
  const Vec3 s = move.rotate({sums[1] * u, sums[2] * u, sums[3] * u});
  const double S[9] = {sums[4] * uu, sums[5] * uu, sums[6] * uu, sums[5] * uu, sums[7] * uu,
                       sums[8] * uu, sums[6] * uu, sums[8] * uu, sums[9] * uu};
  double RS[9], turned[9];
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) {
      RS[3 * i + j] = 0.0;
      for (int k = 0; k < 3; ++k) RS[3 * i + j] += move.R[3 * i + k] * S[3 * k + j];
    }
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) {
      turned[3 * i + j] = 0.0;
      for (int k = 0; k < 3; ++k) turned[3 * i + j] += RS[3 * i + k] * move.R[3 * j + k];
    }
  const Vec3 t = move.t - origin;
  const double shift[3] = {t.x, t.y, t.z}, mean[3] = {s.x, s.y, s.z};
  Moments m{n, {s.x + n * t.x, s.y + n * t.y, s.z + n * t.z}, {}};
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j)
      m.second[3 * i + j] =
          turned[3 * i + j] + mean[i] * shift[j] + shift[i] * mean[j] + n * shift[i] * shift[j];
  return m;
}

// The normal equations of one class: residual n p - d, whose gradient is (n, lever x n).
void add_class(const Problem &problem, const double sums[kMoments], const Pose &move, Vec3 normal, double d,
               double wall_std, double A[6][6], double b[6]) {
  if (!(sums[0] > 0.0)) return;
  const Moments m = about_sensor(sums, move, problem.origin, problem.candidates.unit);
  const double noise = kNoise * problem.bed.scale;
  const double variance = noise * noise / std::fmin(m.n, kMostAveraged) + wall_std * wall_std;
  const double scale = 1.0 / (m.n * variance), e = dot(normal, problem.origin) - d;
  const double n[3] = {normal.x, normal.y, normal.z};
  // lever x n = C lever
  const double C[9] = {0.0, n[2], -n[1], -n[2], 0.0, n[0], n[1], -n[0], 0.0};
  const double first[3] = {m.first.x, m.first.y, m.first.z};
  double turn[3], CS[9], by_lever[3];
  for (int i = 0; i < 3; ++i) {
    turn[i] = by_lever[i] = 0.0;
    for (int k = 0; k < 3; ++k) {
      turn[i] += C[3 * i + k] * first[k];
      by_lever[i] += m.second[3 * i + k] * n[k];
    }
    by_lever[i] += e * first[i];
    for (int j = 0; j < 3; ++j) {
      CS[3 * i + j] = 0.0;
      for (int k = 0; k < 3; ++k) CS[3 * i + j] += C[3 * i + k] * m.second[3 * k + j];
    }
  }
  const double residuals = dot(normal, m.first) + e * m.n;
  for (int i = 0; i < 3; ++i) {
    double turned = 0.0;
    for (int k = 0; k < 3; ++k) turned += C[3 * i + k] * by_lever[k];
    b[i] -= scale * n[i] * residuals;
    b[3 + i] -= scale * turned;
    for (int j = 0; j < 3; ++j) {
      double both = 0.0;
      for (int k = 0; k < 3; ++k) both += CS[3 * i + k] * C[3 * j + k];
      A[i][j] += scale * n[i] * n[j] * m.n;
      A[i][3 + j] += scale * n[i] * turn[j];
      A[3 + j][i] += scale * n[i] * turn[j];
      A[3 + i][3 + j] += scale * both;
    }
  }
}

// Where sums over the points of all classes come from: the candidates, or all of the outline.
struct Sums {
  double of[kClasses][kMoments];
};

Sums sum_candidates(const Problem &problem, const WallView views[kWalls], double width) {
  Sums sums{};
  for (int kind = 0; kind < kClasses; ++kind) {
    const WallView &view = views[kind % kWalls];
    if (kind < kWalls ? view.facing : !view.covered)
      problem.kernels.sum_class(problem.candidates, kind, view, static_cast<float>(width), sums.of[kind]);
  }
  return sums;
}

Sums sum_outline(const Problem &problem, const WallView views[kWalls], double width) {
  Sums sums{};
  problem.kernels.sum_outline(problem.outline, problem.prior, views, problem.candidates.unit,
                              static_cast<float>(width), static_cast<float>(kCorner * problem.bed.scale),
                              sums.of);
  return sums;
}

// One step of the robust least squares with the prior, `relax` times as far as Gauss and Newton go; the size of
// the step, negative when it has no solution.
double improve(const Problem &problem, double width, Solution &s,
               Sums (*sum)(const Problem &, const WallView *, double), double relax) {
  double A[6][6] = {}, b[6] = {}, x[6] = {};
  const Pose move = motion_of(problem, s.correction);
  const Bed &bed = problem.bed;
  WallView views[kWalls];
  for (int w = 0; w < kWalls; ++w) views[w] = view_wall(problem, move, w);
  const Sums sums = sum(problem, views, width);
  for (int w = 0; w < kWalls; ++w) {
    add_class(problem, sums.of[w], move, bed.walls[w].n, bed.walls[w].d, bed.wall_std[w], A, b);
    add_class(problem, sums.of[kWalls + w], move, bed.over_tops(), bed.rim[0], bed.wall_std[w], A, b);
  }
  for (int i = 0; i < 6; ++i) {
    A[i][i] += problem.information[i];
    b[i] -= problem.information[i] * s.correction[i];
  }
  if (!solve6(A, b, x, s.covariance)) return -1.0;
  double size = 0.0;
  for (int i = 0; i < 6; ++i) {
    s.correction[i] += relax * x[i];
    size = std::fmax(size, std::fabs(x[i]));
  }
  return size;
}

// Whether a wall's points lie off it on average, or next to it.
bool stands_elsewhere(const ClassTally &face, double scale) {
  if (face.on >= kFewOnWall) return std::fabs(face.sum) > kOffWall * scale * face.weight;
  return face.near > 4 * kFewOnWall;
}

// How well the solution explains the points near each wall, and how far it strays from the prior.
void rate(const Problem &problem, Solution &s) {
  const Pose move = motion_of(problem, s.correction);
  double squares = 0.0, weights = 0.0, full = 0.0;
  std::int64_t tops_near = 0, tops_on = 0, faces_on = 0, above = 0;
  int found = 0;
  s.score = 0.0;
  s.inliers = 0;
  s.walls_off = false;
  const auto count_class = [&](const ClassTally &t) {
    const double all = static_cast<double>(t.near), most = std::fmin(all, kMostPerClass);
    if (t.near > 0) s.score += t.weight / static_cast<double>(kWeightUnit) / all * most;
    full += most;
    weights += t.weight;
    squares += t.squares;
    s.inliers += t.on;
  };
  for (int w = 0; w < kWalls; ++w) {
    const WallView view = view_wall(problem, move, w);
    const auto gate = static_cast<float>(kGate * problem.bed.scale),
               finest = static_cast<float>(kFinest * problem.bed.scale);
    ClassTally face, top;
    problem.kernels.tally_class(problem.candidates, w, view, gate, finest, face);
    problem.kernels.tally_class(problem.candidates, kWalls + w, view, gate, finest, top);
    count_class(face);
    count_class(top);
    for (std::uint32_t bits = face.stretches | top.stretches; bits != 0; bits &= bits - 1) ++found;
    tops_near += top.near;
    tops_on += top.on;
    above += top.above;
    if (!problem.bed.covered[w]) faces_on += face.on;
    s.walls_off = s.walls_off || stands_elsewhere(face, problem.bed.scale);
  }
  s.agreement = full > 0.0 ? s.score / full : 0.0;
  s.score *= kWorth;
  for (int i = 0; i < 6; ++i) s.score -= 0.5 * problem.information[i] * s.correction[i] * s.correction[i];
  s.residual = weights > 0.0 ? std::sqrt(squares / weights) : 0.0;
  s.evidence = static_cast<double>(found) / (kWalls * kStretches);
  // Where faces are seen tops must be, too: a bed that is too high or too low has faces all the same.
  const double due = std::fmax(static_cast<double>(tops_near), kTopsPerFace * static_cast<double>(faces_on));
  s.tops = due < kFewTops * static_cast<double>(s.inliers) + 1.0 ? 1.0 : static_cast<double>(tops_on) / due;
  s.above = static_cast<double>(above) / static_cast<double>(tops_on > 0 ? tops_on : 1);
}

// From a start, anneals the kernel from `reach` down to the finest; what settles under a narrow one is not led
// there by those between.
Solution solve(const Problem &problem, const double start[6], double reach) {
  Solution s{};
  std::memcpy(s.correction, start, sizeof s.correction);
  const double finest = kFinest * problem.bed.scale;
  double shrink = std::sqrt(std::sqrt(finest / reach));
  if (reach > 2.0 * finest) shrink = std::sqrt(shrink);  // eight steps down, else four
  double width = reach;
  for (int step = 0; step < kMostSteps; ++step) {
    const bool is_last = width <= finest * 1.0001;
    const bool is_narrow = width <= kNarrow * finest;
    const double moved =
        improve(problem, std::fmax(width, finest), s, sum_candidates, is_narrow ? kRelax : 1.0);
    if (moved < 0.0 || (is_last && moved < kSettled)) break;
    width = is_narrow && moved < kSettled ? finest : width * shrink;
  }
  return s;
}

// What was found on some of the points, on all of them.
void refine(const Problem &problem, Solution &s) {
  if (!problem.candidates.thinned) return;
  const double finest = kFinest * problem.bed.scale;
  for (int step = 0; step < kRefinements; ++step)
    if (improve(problem, finest, s, sum_outline, kRelax) < 0.0) return;
}

void keep_better(const Problem &problem, Solution other, Solution &best) {
  rate(problem, other);
  if (other.score > best.score) best = other;
}

}  // namespace

double outline_about(const Bed &bed, double reach_m) noexcept {
  return std::fmax(std::fmax(reach_m, kCautious * bed.scale), kGate * bed.scale);
}

Registration register_scan(const Kernels &kernels, const Bed &bed, const Stream &outline, const Pose &prior,
                           const RegistrationPrior &std, const double *starts, int start_count, bool rays,
                           double reach_m, Candidates &candidates) noexcept {
  const double cautious = kCautious * bed.scale, reach = std::fmax(reach_m, cautious);
  const double about = outline_about(bed, reach_m);
  const double half = 0.5 * bed.grid.cell * std::fmax(bed.grid.nx, bed.grid.ny);
  candidates.unit = std::fmax(kUnit * bed.scale, 1.5 * std::fmax(half, bed.rim[0]) / kMostUnits);
  const int count = kernels.gather_candidates(bed, outline, prior, about, about + kRimWidth * bed.scale,
                                              kCorner * bed.scale, candidates);
  const double edge = kEdge * bed.scale, to_go = reach + 0.02 * bed.scale;
  kernels.sort_candidates(count, static_cast<float>(to_go - edge), static_cast<float>(-to_go - edge),
                          candidates);
  Problem problem{kernels, bed, candidates, outline, prior, prior.t, {}, {}};
  for (int w = 0; w < kWalls; ++w) problem.facing[w] = !rays || bed.walls[w].distance(prior.t) > 0.0;
  for (int i = 0; i < 3; ++i) {
    problem.information[i] = 1.0 / (std.std_translation[i] * std.std_translation[i]);
    problem.information[3 + i] = 1.0 / (std.std_rotation[i] * std.std_rotation[i]);
  }
  // A wide kernel finds what is far off, but may settle on a tarp roll beside a wall top; a narrow one the
  // reverse.
  const bool is_wide = reach > 1.5 * cautious;
  Solution best = solve(problem, starts, cautious);
  if (is_wide || start_count > 1) rate(problem, best);
  for (int k = 0; k < start_count; ++k) {
    if (k > 0) keep_better(problem, solve(problem, starts + 6 * k, cautious), best);
    if (is_wide) keep_better(problem, solve(problem, starts + 6 * k, reach), best);
  }
  refine(problem, best);
  rate(problem, best);
  Registration result{};
  result.pose = compose(motion_of(problem, best.correction), prior);
  std::memcpy(result.correction, best.correction, sizeof result.correction);
  std::memcpy(result.covariance, best.covariance, sizeof result.covariance);
  result.score = best.score;
  result.evidence = best.evidence;
  result.tops = best.tops;
  result.above = best.above;
  result.walls_off = best.walls_off;
  result.agreement = best.agreement;
  result.residual = best.residual;
  result.inliers = best.inliers;
  result.candidates = count;
  return result;
}

}  // namespace volest
