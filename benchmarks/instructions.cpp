// Fixed work for counting instructions: `instructions JOB...` lets callgrind count what each job gives to
// work(), under the job's name, and fails where the answer is wrong; without a job it lists them.
#include <malloc.h>
#include <valgrind/callgrind.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "box.hpp"
#include "centroids.hpp"
#include "fusion.hpp"

namespace {

using namespace volest_test;

// What is counted.
template <class Job>
void work(Job job) {
  CALLGRIND_TOGGLE_COLLECT;
  job();
  CALLGRIND_TOGGLE_COLLECT;
}

constexpr int kPoints = 131072, kMany = 1000000, kRows = 128, kTurn = 1024;
constexpr double kDegree = 3.14159265358979323846 / 180.0, kNoise = 0.01, kRimWidth = 0.06, kGround = -1.1;
constexpr double kStd = 0.0141, kTurnStd = 0.005, kReach = 0.06;  // of a pose told to 1 cm and 0.2 degrees

const Box &bed() {
  static const Box box({4.2, 2.1, 1.3});
  return box;
}

// A plain heap.
double height(double x, double y) { return 0.35 + 0.75 / (1.0 + 2.0 * (x - 0.9) * (x - 0.9) + 2.0 * y * y); }

double true_volume() {
  double sum = 0.0;
  constexpr int nx = 420, ny = 210;
  for (int j = 0; j < ny; ++j)
    for (int i = 0; i < nx; ++i) sum += height(0.01 * (i - 209.5), 0.01 * (j - 104.5));
  return 1e-4 * sum;
}

// Points on it alone, in random order.
Points heap() {
  Points points;
  Random random(1);
  while (points.count() < kPoints) {
    const double x = random.between(-2.1, 2.1), y = random.between(-1.05, 1.05);
    points.add(x, y, height(x, y) + random.between(0.0, 0.03));
  }
  return points;
}

// How far a ray from above the bed goes to the load, a wall, a wall top or the ground, m; 0: it hits nothing.
double range(Vec3 from, Vec3 along) {
  if (along.z > -0.05) return 0.0;
  const BoxShape &shape = bed().shape;
  const auto down_to = [&](double z) { return (z - from.z) / along.z; };
  const auto outside = [&](double t) {
    return std::fmax(std::fabs(from.x + t * along.x) - 0.5 * shape.length,
                     std::fabs(from.y + t * along.y) - 0.5 * shape.width);
  };
  const double top = down_to(shape.height);
  if (outside(top) > 0.0) return outside(top) < kRimWidth ? top : down_to(kGround);
  double t = top;
  for (int i = 0; i < 20; ++i) t = down_to(height(from.x + t * along.x, from.y + t * along.y));
  const double wall_x = (std::copysign(0.5 * shape.length, along.x) - from.x) / along.x;
  const double wall_y = (std::copysign(0.5 * shape.width, along.y) - from.y) / along.y;
  return std::fmin(t, std::fmin(wall_x, wall_y));
}

// What a sensor sees that is not quite where it is told to be.
struct Scan {
  Pose told, pose;
  bool hidden = false;  // whether there is a part of the load that it does not show
  Points points;
  std::vector<std::uint16_t> range_mm;  // instead of points, along
  std::vector<float> directions;

  explicit Scan(const Pose &prior)
      : told(prior), pose(pose_at({0.012, -0.009, 0.007}, 0.15 * kDegree, -0.1 * kDegree, 0.2 * kDegree)) {
    const Pose nudge = pose;
    for (int r = 0; r < 3; ++r)
      for (int c = 0; c < 3; ++c) {
        pose.R[3 * r + c] = 0.0;
        for (int k = 0; k < 3; ++k) pose.R[3 * r + c] += told.R[3 * r + k] * nudge.R[3 * k + c];
      }
    pose.t = told * nudge.t;
  }
  Cloud cloud(const RayReach &reach) const {
    if (range_mm.empty()) return points.cloud();
    return {reinterpret_cast<const char *>(range_mm.data()),
            static_cast<std::int64_t>(range_mm.size()),
            sizeof(std::uint16_t),
            Cloud::Format::kRange16,
            directions.data(),
            &reach};
  }
};

// Points in random order of the load, walls, wall tops and ground; with `hidden` none of a part of the load.
Scan scan_of(int count, bool hidden = false) {
  Scan scan(pose_at({0.0, 0.0, 4.0}, 0.0, 0.0, 0.0));
  scan.hidden = hidden;
  const Pose to_sensor = inverse(scan.pose);
  Random random(1);
  while (scan.points.count() < count) {
    const Vec3 from = scan.pose.t, over{random.between(-2.5, 2.5), random.between(-1.4, 1.4), 1.3};
    const double length = std::sqrt(dot(over - from, over - from));
    const Vec3 along{(over.x - from.x) / length, (over.y - from.y) / length, (over.z - from.z) / length};
    const double t = range(from, along) + random.normal(kNoise);
    const Vec3 at = from + Vec3{t * along.x, t * along.y, t * along.z};
    if (hidden && std::fabs(at.x + 1.1) < 0.5 && std::fabs(at.y) < 0.8) continue;
    scan.points.add(to_sensor * at);
  }
  return scan;
}

// The same load as a spinning sensor sends it whose axis lies along the bed.
Scan image() {
  Scan scan(pose_at({0.1, -0.05, 4.2}, 1.0 * kDegree, 89.0 * kDegree, 2.0 * kDegree));
  Random random(2);
  for (int row = 0; row < kRows; ++row)
    for (int column = 0; column < kTurn; ++column) {
      const double up = (45.0 - 90.0 * row / (kRows - 1)) * kDegree, round = 360.0 * column / kTurn * kDegree;
      const Vec3 along{std::cos(up) * std::cos(round), std::cos(up) * std::sin(round), std::sin(up)};
      const double t = range(scan.pose.t, scan.pose.rotate(along));
      scan.range_mm.push_back(
          static_cast<std::uint16_t>(t > 0.0 ? std::lround(1e3 * (t + random.normal(kNoise))) : 0));
      for (const double v : {along.x, along.y, along.z}) scan.directions.push_back(static_cast<float>(v));
    }
  return scan;
}

// From a scan to its volume, step by step.
class Estimate {
 public:
  Estimate(const Scan &scan, const Kernels &kernels) : scan_(scan), rig_(bed(), kernels) {
    Random random(3);
    weights_.assign(kHiddenWeights, 0.0f);
    for (float &w : weights_) w = static_cast<float>(random.between(-0.02, 0.02));
    std::fill_n(weights_.begin() + kHiddenFeatures, kHiddenFeatures, 1.0f);  // the features' scales
    const auto rays = static_cast<std::int64_t>(scan.range_mm.size());
    known_.resize(static_cast<std::size_t>(RayReach::blocks(rays)));
    reach_.range = known_.data();
    rig_.engine.look_along(scan.directions.data(), rays, scan.told, kReach, reach_);
  }

  void clear() { rig_.engine.clear(); }
  void find() {
    static constexpr RegistrationPrior std{{kStd, kStd, kStd}, {kTurnStd, kTurnStd, kTurnStd}};
    found_ = rig_.engine.find_bed(scan_.cloud(reach_), scan_.told, std, true, kReach);
  }
  void pass_found() {
    rig_.engine.pass_found(found_, true);
    rig_.engine.keep();
  }
  void pass_told() { rig_.engine.add(scan_.cloud(reach_), scan_.pose, true); }
  void finish() { rig_.engine.finish({0.0, 0.0}); }
  void lower() { rig_.engine.lower(weights_.data()); }
  void integrate() { integral_ = rig_.engine.integral(); }

  bool is_right() const {
    const bool hides = integral_.area[kHidden] > 0.1 * integral_.footprint;
    return hides == scan_.hidden && std::fabs(integral_.volume / true_volume() - 1.0) < 0.01;
  }

 private:
  const Scan &scan_;
  Rig rig_;
  std::vector<float> weights_;
  std::vector<std::uint32_t> known_;
  RayReach reach_{};
  Registration found_{};
  Integral integral_{};
};

using Step = void (Estimate::*)();
using Steps = std::vector<Step>;
const Steps kTold{&Estimate::clear, &Estimate::pass_told, &Estimate::finish, &Estimate::lower,
                  &Estimate::integrate};
const Steps kFound{&Estimate::clear,  &Estimate::find,  &Estimate::pass_found,
                   &Estimate::finish, &Estimate::lower, &Estimate::integrate};

// All steps are taken, only some of them counted; the volume must be right.
bool estimate(const Scan &scan, const Kernels &kernels, const Steps &steps, const Steps &counted) {
  Estimate one(scan, kernels);
  const auto first = std::search(steps.begin(), steps.end(), counted.begin(), counted.end());
  const auto last = first + static_cast<std::ptrdiff_t>(counted.size());
  const auto take = [&](auto from, auto to) { std::for_each(from, to, [&](Step step) { (one.*step)(); }); };
  take(steps.begin(), first);
  work([&] { take(first, last); });
  take(last, steps.end());
  return one.is_right();
}

// The voxels are as many as there are different ones.
bool centroids(const Points &points, double size, const Kernels &kernels) {
  std::size_t found = 0;
  work([&] { found = voxel_centroids(points.cloud(), size, kernels).size() / 3; });
  std::vector<std::int64_t> keys;
  for (std::size_t i = 0; i < points.xyz.size(); i += 3) {
    std::int64_t key = 0;
    for (std::size_t axis = 0; axis < 3; ++axis)
      key = (key << 20) + 500000 + static_cast<std::int64_t>(std::floor(points.xyz[i + axis] / size));
    keys.push_back(key);
  }
  std::sort(keys.begin(), keys.end());
  const auto voxels = std::unique(keys.begin(), keys.end()) - keys.begin();
  return std::fabs(static_cast<double>(found) / static_cast<double>(voxels) - 1.0) < 0.01;
}

// 5 m3 that weigh a ton.
bool fused() {
  const Mixture mixture = mix({120.0, 0.3, 350.0, 0.3});
  Fused found{};
  work([&] { found = fuse(mixture, {5.0, 0.02, 4.96, 5.04}, 1000.0, 5.0); });
  return found.has_density && found.has_wetness && std::fabs(found.density.value / 200.0 - 1.0) < 0.01;
}

using Jobs = std::map<std::string, std::function<bool()>>;

struct Scans {
  Points on_load = heap();
  Scan plain = scan_of(kPoints), shadowed = scan_of(kPoints, true), ranges = image(), many = scan_of(kMany);
};

void add_estimates(const Scans &scans, const Kernels &kernels, const std::string &suffix, Jobs &jobs) {
  const auto add = [&](const char *name, const Scan &scan, const Steps &steps, const Steps &counted) {
    jobs[name + suffix] = [&scan, &kernels, &steps, counted] {
      return estimate(scan, kernels, steps, counted);
    };
  };
  const auto &[on_load, plain, shadowed, ranges, many] = scans;
  add("pass-131k", plain, kTold, {&Estimate::pass_told});
  add("bed-131k", plain, kFound, {&Estimate::find});
  add("pass-found-131k", plain, kFound, {&Estimate::pass_found});
  add("finish-131k", plain, kFound, {&Estimate::finish});
  add("finish-hidden", shadowed, kFound, {&Estimate::finish});
  add("lower-hidden", shadowed, kFound, {&Estimate::lower});
  add("integral", plain, kFound, {&Estimate::integrate});
  add("estimate-told-131k", plain, kTold, kTold);
  add("estimate-131k", plain, kFound, kFound);
  add("estimate-image", ranges, kFound, kFound);
  add("estimate-1m", many, kFound, kFound);
}

// By name; the fastest instruction set that valgrind knows, and any machine's.
Jobs all_jobs(const Scans &scans) {
  Jobs jobs;
  jobs["centroids-5cm"] = [&] { return centroids(scans.on_load, 0.05, best_kernels()); };
  jobs["centroids-5cm-portable"] = [&] { return centroids(scans.on_load, 0.05, kPortableKernels); };
  jobs["centroids-1cm-sorted"] = [&] { return centroids(scans.on_load, 0.01, kPortableKernels); };
  jobs["fuse"] = fused;
  if (const Kernels *kernels = kernels_for(Isa::kAvx2)) add_estimates(scans, *kernels, "", jobs);
  add_estimates(scans, *kernels_for(Isa::kPortable), "-portable", jobs);
  return jobs;
}

}  // namespace

int main(int argc, char **argv) {
  mallopt(M_MMAP_THRESHOLD, 1 << 17);  // whatever ran before, large blocks come fresh and zeroed
  const Scans scans;
  const Jobs jobs = all_jobs(scans);
  if (argc == 1)
    for (const auto &job : jobs) std::puts(job.first.c_str());
  for (int i = 1; i < argc; ++i) {
    const auto job = jobs.find(argv[i]);
    if (job == jobs.end() || !job->second()) {
      std::fprintf(stderr, "instructions: %s %s\n", argv[i], job == jobs.end() ? "is unknown" : "went wrong");
      return 1;
    }
    CALLGRIND_DUMP_STATS_AT(argv[i]);
  }
  return 0;
}
