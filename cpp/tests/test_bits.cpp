// The bits that every stage gives, as constants: the same for each instruction set on each kind of machine. Who
// means to change what a stage computes writes here what this test prints.
#include <array>
#include <cinttypes>
#include <type_traits>

#include "box.hpp"
#include "centroids.hpp"
#include "check.hpp"
#include "fusion.hpp"

using namespace volest_test;

namespace {

struct Expected {
  const char *stage;
  std::uint64_t hash;
};
constexpr Expected kExpected[] = {
    {"registration", 0x445819B9BAEE43B6}, {"columns", 0x7652819B6378D56D},  {"surface", 0xFB375A3F4899EB26},
    {"lowered", 0xE731594BF2D5A29B},      {"integral", 0xCE91A99E95B92A91}, {"fusion", 0xEB3F1E701DE950F0},
    {"centroids", 0xB6B3A2B518525BD0},    {"ranges", 0xADA7372DA57F2641},
};
using Hashes = std::vector<std::uint64_t>;

// FNV-1a over numbers, field by field: what pads a struct may be anything.
struct Hash {
  std::uint64_t value = 0xCBF29CE484222325u;

  template <class T>
  Hash &all(const T *values, std::size_t n) {
    static_assert(std::is_arithmetic<T>::value, "no struct");
    const auto *bytes = reinterpret_cast<const unsigned char *>(values);
    for (std::size_t i = 0; i < n * sizeof(T); ++i) value = (value ^ bytes[i]) * 0x100000001B3u;
    return *this;
  }
  template <class... T>
  Hash &each(T... values) {
    (all(&values, 1), ...);
    return *this;
  }
};

void put(Hash &h, const Registration &r) {
  h.all(r.pose.R, 9).each(r.pose.t.x, r.pose.t.y, r.pose.t.z).all(r.correction, 6).all(r.covariance, 36);
  h.each(r.evidence, r.score, r.residual, r.agreement, r.tops, r.above, r.walls_off, r.inliers, r.candidates);
}
void put(Hash &h, const PassCounts &c) {
  h.each(c.load, c.wall, c.fixture, c.stray, c.inside, c.beside, c.through);
}
void put(Hash &h, const SurfaceCounts &c) { h.each(c.used, c.rejected, c.hanging, c.unresolved); }
void put(Hash &h, const Integral &v) {
  h.each(v.volume, v.heaped, v.struck_capacity, v.footprint).all(v.moment, 3).all(v.area, 4).all(v.lever, 6);
  h.each(v.hidden_distance, v.gap, v.roughness, v.surface_variance);
}
void put(Hash &h, const Quantity &q) { h.each(q.value, q.std, q.lower95, q.upper95); }
void put(Hash &h, const Fused &f) {
  for (const Quantity &q : {f.net_mass, f.density, f.wetness.fraction}) put(h, q);
  h.each(f.wetness.dry, f.wetness.mixed, f.wetness.wet);
}
void put(Hash &h, const HeightMap &m, std::size_t cells) {
  h.all(m.height, cells).all(m.variance, cells).all(m.count, cells).all(m.distance, cells).all(m.state, cells);
  h.all(m.air.bound, cells).all(m.air.landing, cells).all(m.air.fall, cells);
}
void put(Hash &h, const Columns &columns, int cells) {
  for (int i = 0; i < cells; ++i) {
    const Cell &c = columns.cell[i];
    h.each(c.sum, c.squares, c.mask, c.low, c.seen_by);
  }
}

// Sensors over the tailgate and over the cab, looking down into the bed. Sines and cosines are told, not worked
// out: of those each C library has its own.
constexpr Pose kRear{{0.6, 0, 0.8, 0, 1, 0, -0.8, 0, 0.6}, {-2.3, 0.1, 2.8}},
    kFront{{-0.28, 0, -0.96, 0, -1, 0, -0.96, 0, 0.28}, {2.4, -0.2, 2.9}};
constexpr Vec3 kOff{0.02, -0.015, 0.01};  // m, of the prior

// A heap with a hollow that no ray reached, walls, their tops, the ground, and dust above.
Points scene(const Box &box) {
  Random random(11);
  Points points;
  const auto rough = [&](double x, double y, double z) {
    const auto noise = [&] { return random.normal(0.004); };
    points.add({x + noise(), y + noise(), z + noise()});
  };
  for (int i = 0; i < 40000; ++i) {
    const double x = random.between(-2.0, 2.0), y = random.between(-1.0, 1.0);
    const bool is_hidden = x > 0.3 && x < 1.1 && y > -0.2 && y < 0.7;
    if (!is_hidden) rough(x, y, 0.3 + 0.8 / (1.0 + 3.0 * (x - 0.6) * (x - 0.6) + 3.0 * y * y));
  }
  for (int w = 0; w < kWalls; ++w)
    for (int i = 0; i < 3000; ++i) {
      const double along = random.between(-1.0, 1.0), outwards = w % 2 == 0 ? 1.0 : -1.0;
      const bool is_top = i % 3 == 0;
      const double z = is_top ? 1.0 : random.between(0.3, 1.0), off = is_top ? random.between(0.0, 0.06) : 0.0;
      const double length = box.half_length(z), width = box.half_width(z);
      if (w < kLeft)
        rough(outwards * (length + off), along * width, z);
      else
        rough(along * length, outwards * (width + off), z);
    }
  for (int i = 0; i < 5000; ++i)
    points.add(
        {random.between(-6.0, 6.0), random.between(-4.0, 4.0), i % 8 == 0 ? random.between(0.0, 2.6) : -1.0});
  return points;
}

// As whole millimetres.
std::vector<std::int16_t> packed(const Points &points) {
  std::vector<std::int16_t> out;
  for (const float v : points.xyz) out.push_back(static_cast<std::int16_t>(1000.0f * v));
  return out;
}

// As ranges along rays, and what is known of these ahead.
struct Ranges {
  std::vector<float> directions;
  std::vector<std::uint32_t> mm, reach_mm;
  RayReach reach{};

  Ranges(const Points &points, const Engine &engine, const Pose &pose) {
    for (std::size_t i = 0; i < points.xyz.size(); i += 3) {
      const float *p = points.xyz.data() + i;
      const float range = std::sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]);
      for (int a = 0; a < 3; ++a) directions.push_back(p[a] / range);
      mm.push_back(static_cast<std::uint32_t>(1000.0f * range));
    }
    reach_mm.resize(static_cast<std::size_t>(RayReach::blocks(points.count())));
    reach.range = reach_mm.data();
    engine.look_along(directions.data(), points.count(), pose, 0.0, reach);
  }
  Ranges(const Ranges &) = delete;
  Ranges &operator=(const Ranges &) = delete;
  Cloud cloud() const {
    return {reinterpret_cast<const char *>(mm.data()),
            static_cast<std::int64_t>(mm.size()),
            sizeof(std::uint32_t),
            Cloud::Format::kRange32,
            directions.data(),
            &reach};
  }
};

std::uint64_t hash_of_ranges(const Box &box, const Points &points, const Kernels &kernels) {
  Rig rig(box, kernels);
  const Ranges ranges(moved(points, inverse(kRear)), rig.engine, kRear);
  Hash hash;
  put(hash, rig.engine.add(ranges.cloud(), kRear, true));
  put(hash, rig.engine.columns(), box.spec.grid.size());
  constexpr BinnedView kView{{0, -1, 0, 0.8f, 0, 0.6f, 0.6f, 0, -0.8f}, 20.0f, {-20.0f, -20.0f}, 40, 40};
  std::uint32_t counts[40 * 40] = {};
  kernels.count_returns(ranges.cloud(), kView, 0.5f, counts);
  std::uint32_t counted = 0;
  for (const std::uint32_t c : counts) counted += c;
  CHECK(counted > 1000);
  return hash.all(ranges.reach_mm.data(), ranges.reach_mm.size()).all(counts, 40 * 40).value;
}

std::vector<float> made_up_weights() {
  std::vector<float> weights(kHiddenWeights);
  Random random(5);
  for (float &w : weights) w = static_cast<float>(random.between(-0.3, 0.3));
  return weights;
}

Hashes hashes(const Kernels &kernels) {
  const Box box({4.01, 2.03, 1.0, 0.03, 0.05, 0.002});
  const Grid &grid = box.spec.grid;
  const Points points = scene(box);
  const Points seen = moved(points, inverse(kRear));
  Rig rig(box, kernels);
  Engine &engine = rig.engine;
  Hash registration, columns, surface, lowered, integral, fusion, means;

  Pose prior = kRear;
  prior.t = prior.t + kOff;
  const Registration found =
      engine.find_bed(seen.cloud(), prior, {{0.03, 0.03, 0.03}, {0.01, 0.01, 0.01}}, true, 0.1);
  CHECK(found.evidence > 0.5);
  put(registration, found);
  put(columns, engine.pass_found(found, true));
  engine.keep();
  const auto millimetres = packed(moved(points, inverse(kFront)));
  const Cloud cloud{reinterpret_cast<const char *>(millimetres.data()), points.count(),
                    3 * sizeof(std::int16_t), Cloud::Format::kMillimetres};
  put(columns, engine.add(cloud, kFront, true));
  put(columns, engine.columns(), grid.size());

  put(surface, engine.finish({0.4, 0.3}));
  engine.resolve(seen.cloud(), found.pose, true);
  engine.resolve(cloud, kFront, true);
  put(surface, engine.finish({0.4, 0.3}));
  put(surface, engine.map(), static_cast<std::size_t>(grid.size()));
  const auto weights = made_up_weights();
  engine.lower(weights.data());
  lowered.all(engine.map().height, static_cast<std::size_t>(grid.size()));

  const Integral sums = engine.integral();
  CHECK(sums.area[kHidden] > 0.1 && sums.area[kSeen] > 4.0 && sums.volume > 2.0);
  put(integral, sums);
  const Quantity volume{sums.volume, 0.05, sums.volume - 0.1, sums.volume + 0.1};
  const Fused fused = fuse(mix({120.0, 0.3, 400.0, 0.3}), volume, 200.0 * sums.volume, 20.0);
  CHECK(fused.has_wetness);
  put(fusion, fused);

  for (const double size : {0.05, 0.003}) {
    const std::vector<float> rows = voxel_centroids(seen.cloud(), size, kernels);
    means.all(rows.data(), rows.size());
  }
  return {registration.value, columns.value, surface.value, lowered.value,
          integral.value,     fusion.value,  means.value,   hash_of_ranges(box, points, kernels)};
}

void every_instruction_set_gives_these_bits() {
  for (const Kernels *kernels : all_kernels()) {
    const Hashes found = hashes(*kernels);
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (found[i] != kExpected[i].hash)
        std::printf("%s: {\"%s\", 0x%016" PRIX64 "}\n", kernels->name, kExpected[i].stage, found[i]);
      CHECK(found[i] == kExpected[i].hash);
    }
  }
}

}  // namespace

int main() {
  every_instruction_set_gives_these_bits();
  return checks_result("test_bits");
}
