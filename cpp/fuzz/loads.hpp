// A box of a truck, a scan of a load in it, and a handle in memory that nothing else lies in.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "../tests/blob.hpp"
#include "volest/volest.h"

namespace volest_fuzz {

using namespace volest_test;

inline void expect(bool holds, const char *what) {
  if (holds) return;
  std::fprintf(stderr, "expected %s\n", what);
  std::abort();
}

const Pose kMast{{0.6, 0, 0.8, 0, 1, 0, -0.8, 0, 0.6}, {-1.4, 0.1, 1.9}};

inline volest_cloud cloud_of(const Points &points) {
  return {sizeof(volest_cloud), VOLEST_XYZ_F32, points.xyz.data(), static_cast<std::uint64_t>(points.count()),
          3 * sizeof(float),    nullptr};
}

inline Box small_box() { return Box({2.0, 1.0, 0.6, 0.02, 0.1, 0.003}); }

// A heap, walls and their tops, the ground, as the sensor has them.
inline Points scan_of(const Box &box) {
  Random random(3);
  Points points;
  for (int i = 0; i < 3000; ++i) {
    const double x = random.between(-1.0, 1.0), y = random.between(-0.5, 0.5);
    points.add(x, y, 0.2 + 0.3 / (1.0 + 3.0 * x * x + 3.0 * y * y));
  }
  for (int w = 0; w < kWalls; ++w)
    for (int i = 0; i < 500; ++i) {
      const double along = random.between(-1.0, 1.0), z = i % 3 == 0 ? 0.6 : random.between(0.2, 0.6);
      const double out = (w % 2 == 0 ? 1.0 : -1.0), off = i % 3 == 0 ? random.between(0.0, 0.05) : 0.0;
      if (w < kLeft)
        points.add(out * (box.half_length(z) + off), along * box.half_width(z), z);
      else
        points.add(along * box.half_length(z), out * (box.half_width(z) + off), z);
    }
  return moved(points, inverse(kMast));
}

// What may be read of a result: no NaN in what it has, no interval that is upside down.
inline void expect_sound(const volest_result &r) {
  for (const volest_quantity &q : {r.volume_m3, r.net_mass_kg, r.bulk_density_kg_m3, r.wet_mass_fraction}) {
    expect(std::isfinite(q.value) && std::isfinite(q.std), "finite quantities");
    expect(!std::isnan(q.lower95) && !std::isnan(q.upper95) && q.lower95 <= q.upper95, "intervals");
  }
  const volest_budget &b = r.volume_budget_m3;
  for (const double number :
       {b.hidden, b.pose, b.reference, b.range, b.surface, r.probability_dry, r.probability_mixed,
        r.probability_wet, r.struck_capacity_m3, r.heaped_volume_m3, r.fill_ratio, r.seen_fraction,
        r.rejected_fraction, r.centroid_m[0], r.centroid_m[1], r.centroid_m[2]})
    expect(std::isfinite(number), "finite numbers");
}

// Memory of just the size asked for.
class Memory {
 public:
  explicit Memory(std::size_t bytes) : at_(std::aligned_alloc(64, (bytes + 63) / 64 * 64)) {
    std::memset(at_, 0x5A, bytes);
  }
  ~Memory() { std::free(at_); }
  Memory(const Memory &) = delete;
  Memory &operator=(const Memory &) = delete;
  void *get() const { return at_; }

 private:
  void *at_;
};

}  // namespace volest_fuzz
