// A box of a bed, an engine over it, and the points that a test lets a sensor see.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <utility>
#include <vector>

#include "engine.hpp"

namespace volest_test {

using namespace volest;

struct BoxShape {
  double length = 4.0, width = 2.0, height = 1.0;
  double lean = 0.0;  // tangent of the angle at which all walls lean outwards
  double cell = 0.05;
  double wall_std = 0.002;
};

// The bed's model with the arrays that it looks at. It stays where it was made.
struct Box {
  BoxShape shape;
  EngineSpec spec;
  std::vector<float> floor;
  std::vector<std::uint64_t> fixtures;
  Bed bed;

  explicit Box(BoxShape s = {}, const std::vector<float> &heights = {}) : shape(s), spec(), bed() {
    const int nx = static_cast<int>(std::ceil((s.length + 0.6) / s.cell));
    const int ny = static_cast<int>(std::ceil((s.width + 0.6) / s.cell));
    spec = {{-0.5 * nx * s.cell, -0.5 * ny * s.cell, s.cell, nx, ny}, -0.25, (s.height + 1.5) / 64.0, 64};
    floor = heights;
    floor.resize(static_cast<std::size_t>(spec.grid.size()), 0.0f);
    fixtures.assign(static_cast<std::size_t>(spec.grid.size()), 0);
    bed.grid = spec.grid;
    bed.scale = 1.0;
    bed.rim[0] = s.height;
    const double unit = std::sqrt(1.0 + s.lean * s.lean);
    for (int w = 0; w < kWalls; ++w) {
      const double sign = w % 2 == 0 ? -1.0 : 1.0;
      const double half = 0.5 * (w < kLeft ? s.length : s.width);
      bed.walls[w].n = {w < kLeft ? sign / unit : 0.0, w < kLeft ? 0.0 : sign / unit, s.lean / unit};
      bed.walls[w].d = -half / unit;
      bed.wall_std[w] = s.wall_std;
      bed.skin[w] = 0.8 * s.cell;
    }
    bed.floor = floor.data();
    bed.fixtures = fixtures.data();
  }
  Box(const Box &) = delete;
  Box &operator=(const Box &) = delete;

  // Half of the opening at height z.
  double half_length(double z) const { return 0.5 * shape.length + shape.lean * z; }
  double half_width(double z) const { return 0.5 * shape.width + shape.lean * z; }
};

// Memory with a guard of canaries on either side.
class Guarded {
 public:
  explicit Guarded(std::size_t bytes) : bytes_(bytes), block_((bytes + 2 * kGuard) / sizeof(Piece) + 1) {
    std::memset(block_.data(), 0xA5, block_.size() * sizeof(Piece));
  }
  void *get() { return reinterpret_cast<unsigned char *>(block_.data()) + kGuard; }
  bool intact() const {
    const auto *p = reinterpret_cast<const unsigned char *>(block_.data());
    const std::size_t end = block_.size() * sizeof(Piece);
    for (std::size_t i = 0; i < end; ++i)
      if ((i < kGuard || i >= kGuard + bytes_) && p[i] != 0xA5) return false;
    return true;
  }

 private:
  struct alignas(64) Piece {
    unsigned char bytes[64];
  };
  static constexpr std::size_t kGuard = 4096;
  std::size_t bytes_;
  std::vector<Piece> block_;
};

struct Rig {
  Guarded memory;
  Engine engine;

  explicit Rig(const Box &box, const Kernels &kernels = best_kernels())
      : memory(Engine::required_bytes(box.spec)), engine(box.spec, box.bed, memory.get(), kernels) {}
};

// Points x y z, one after the other.
struct Points {
  std::vector<float> xyz;

  void add(double x, double y, double z) {
    for (double v : {x, y, z}) xyz.push_back(static_cast<float>(v));
  }
  void add(Vec3 p) { add(p.x, p.y, p.z); }
  std::int64_t count() const { return static_cast<std::int64_t>(xyz.size() / 3); }
  Cloud cloud() const { return {reinterpret_cast<const char *>(xyz.data()), count(), 3 * sizeof(float)}; }
  // Rows from first to before last.
  Cloud cloud(std::int64_t first, std::int64_t last) const {
    return {reinterpret_cast<const char *>(xyz.data() + 3 * first), last - first, 3 * sizeof(float)};
  }
};

// The same numbers on every machine; several at once are to be drawn in braces, which have an order, unlike
// the arguments of a call.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 2 + 1) {}
  std::uint32_t bits() {
    state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<std::uint32_t>(state_ >> 32);
  }
  double between(double low, double high) { return low + (high - low) * bits() / 4294967296.0; }
  double normal(double std) {  // by the central limit theorem
    double sum = 0.0;
    for (int i = 0; i < 12; ++i) sum += between(-0.5, 0.5);
    return std * sum;
  }

 private:
  std::uint64_t state_;
};

inline Points shuffled(const Points &points, std::uint64_t seed) {
  Points out = points;
  Random random(seed);
  for (std::int64_t i = out.count() - 1; i > 0; --i) {
    const auto j = static_cast<std::int64_t>(random.bits()) % (i + 1);
    for (std::int64_t k = 0; k < 3; ++k)
      std::swap(out.xyz[static_cast<std::size_t>(3 * i + k)], out.xyz[static_cast<std::size_t>(3 * j + k)]);
  }
  return out;
}

// A surface z = height(x, y) over the whole opening, `per_cell` x `per_cell` points in each cell.
template <class Height>
Points surface(const Box &box, Height height, int per_cell = 3) {
  Points points;
  const Grid &g = box.spec.grid;
  const double step = g.cell / per_cell;
  for (int j = 0; j < g.ny * per_cell; ++j)
    for (int i = 0; i < g.nx * per_cell; ++i) {
      const double x = g.x0 + (i + 0.5) * step, y = g.y0 + (j + 0.5) * step;
      const double z = height(x, y);
      if (std::fabs(x) < box.half_length(z) && std::fabs(y) < box.half_width(z)) points.add(x, y, z);
    }
  return points;
}

inline Pose identity() { return {{1, 0, 0, 0, 1, 0, 0, 0, 1}, {0, 0, 0}}; }

inline Pose inverse(const Pose &p) {
  Pose out{{p.R[0], p.R[3], p.R[6], p.R[1], p.R[4], p.R[7], p.R[2], p.R[5], p.R[8]}, {}};
  const Vec3 t = out.rotate(p.t);
  out.t = {-t.x, -t.y, -t.z};
  return out;
}

// The pose of a sensor at t, turned by roll, pitch and yaw [rad].
inline Pose pose_at(Vec3 t, double roll, double pitch, double yaw) {
  const double cr = std::cos(roll), sr = std::sin(roll), cp = std::cos(pitch), sp = std::sin(pitch),
               cy = std::cos(yaw), sy = std::sin(yaw);
  return {{cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr, sy * cp, sy * sp * sr + cy * cr,
           sy * sp * cr - cy * sr, -sp, cp * sr, cp * cr},
          t};
}

inline Points moved(const Points &points, const Pose &pose) {
  Points out;
  for (std::size_t i = 0; i + 2 < points.xyz.size(); i += 3)
    out.add(pose * Vec3{points.xyz[i], points.xyz[i + 1], points.xyz[i + 2]});
  return out;
}

template <class T>
bool same_bits(const T *a, const T *b, std::size_t n) {
  return std::memcmp(a, b, n * sizeof(T)) == 0;
}

// Whether two engines over the same bed hold the same, to the last bit.
inline bool same_bits(const Engine &a, const Engine &b) {
  const auto n = static_cast<std::size_t>(a.bed().grid.size());
  const HeightMap &p = a.map(), &q = b.map();
  const Integral left = a.integral(), right = b.integral();
  for (std::size_t i = 0; i < n; ++i) {  // which sensor came first is of no account
    const Cell &c = a.columns().cell[i], &d = b.columns().cell[i];
    if (c.sum != d.sum || c.squares != d.squares || c.mask != d.mask || c.low != d.low) return false;
  }
  return same_bits(p.height, q.height, n) && same_bits(p.variance, q.variance, n) &&
         same_bits(p.count, q.count, n) && same_bits(p.air.bound, q.air.bound, n) &&
         same_bits(p.air.landing, q.air.landing, n) && same_bits(p.air.fall, q.air.fall, n) &&
         same_bits(p.distance, q.distance, n) && same_bits(p.state, q.state, n) && same_bits(&left, &right, 1);
}

// The stages for every instruction set that this machine has.
inline std::vector<const Kernels *> all_kernels() {
  std::vector<const Kernels *> found;
  for (const Isa isa : kEveryIsa)
    if (const Kernels *kernels = kernels_for(isa)) found.push_back(kernels);
  return found;
}

}  // namespace volest_test
