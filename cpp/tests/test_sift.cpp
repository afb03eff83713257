// What of a scan tells of the bed: bounded, whatever the order of its points, the instruction set or the form
// it comes in.
#include <algorithm>

#include "box.hpp"
#include "check.hpp"
#include "kernels.hpp"

using namespace volest_test;

namespace {

const Pose kAbove = {{1, 0, 0, 0, 1, 0, 0, 0, 1}, {0.3, -0.2, 3.5}};

Points cloud_about(const Box &box, std::uint64_t seed, int count) {
  Random random(seed);
  Points points;
  for (int i = 0; i < count; ++i)
    points.add({random.between(-0.9, 0.9) * box.shape.length, random.between(-0.9, 0.9) * box.shape.width,
                random.between(-1.0, 2.0)});
  return moved(points, inverse(kAbove));
}

// A stage of its own, with room that it must not leave.
struct Sieve {
  const Box &box;
  Zone zone;
  std::vector<float> room[6];
  Sifted sifted{};

  explicit Sieve(const Box &b, int capacity = 4096)
      : box(b), zone(zone_of(b.bed, b.spec.z0, b.spec.z0 + b.spec.nz * b.spec.dz, 0.1, 0.15)) {
    for (auto &axis : room) axis.assign(static_cast<std::size_t>(capacity) + kStreamRoom, -77.0f);
    sifted.amid = {room[0].data(), room[1].data(), room[2].data(), capacity, 0, 0};
    sifted.outline = {room[3].data(), room[4].data(), room[5].data(), capacity, 0, 0};
  }
  const Sifted &operator()(const Cloud &cloud, const Kernels &kernels = best_kernels()) {
    sifted.clear();
    kernels.sift(cloud, zone, kAbove, 0.1, sifted);
    CHECK(sifted.amid.count <= sifted.amid.capacity && sifted.outline.count <= sifted.outline.capacity);
    return sifted;
  }
};

// The points of a stream in an order of their own.
std::vector<std::vector<float>> sorted(const Stream &s) {
  std::vector<std::vector<float>> points;
  for (int i = 0; i < s.count; ++i) points.push_back({s.x[i], s.y[i], s.z[i]});
  std::sort(points.begin(), points.end());
  return points;
}

bool same_points(const Sifted &a, const Sifted &b) {
  return a.amid.keep == b.amid.keep && a.outline.keep == b.outline.keep && sorted(a.amid) == sorted(b.amid) &&
         sorted(a.outline) == sorted(b.outline);
}

void all_points_of_the_zone_are_there() {
  const Box box;
  const Points points = cloud_about(box, 1, 5000);
  Sieve sieve(box);
  const Sifted &found = sieve(points.cloud());
  int amid = 0, outline = 0;
  for (std::size_t i = 0; i < points.xyz.size(); i += 3) {
    const Vec3 p = kAbove * Vec3{points.xyz[i], points.xyz[i + 1], points.xyz[i + 2]};
    const double u = std::fabs(p.x - sieve.zone.middle[0]), v = std::fabs(p.y - sieve.zone.middle[1]);
    const bool inside = u < sieve.zone.inner[0] && v < sieve.zone.inner[1];
    amid += inside;
    outline += !inside && u < sieve.zone.outer[0] && v < sieve.zone.outer[1];
  }
  CHECK(amid > 100 && outline > 100);
  CHECK(found.amid.count == amid && found.outline.count == outline);
  CHECK(found.amid.halvings() == 0 && found.outline.halvings() == 0);
}

void what_is_too_much_is_thinned_alike_in_any_order() {
  const Box box;
  const Points points = cloud_about(box, 2, 60000);
  Sieve sieve(box);
  const Sifted &found = sieve(points.cloud());
  CHECK(found.amid.halvings() > 0 && found.outline.halvings() > 0);
  CHECK(found.amid.count > found.amid.capacity / 4 && found.outline.count > found.outline.capacity / 4);
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    Sieve other(box);
    CHECK(same_points(other(shuffled(points, seed).cloud()), found));
  }
}

void every_instruction_set_keeps_the_same_points() {
  const Box box;
  for (const int count : {3, 1000, 60001}) {
    const Points points = cloud_about(box, 3, count);
    Sieve reference(box);
    const Sifted &once = reference(points.cloud(), kPortableKernels);
    for (const Isa isa : kEveryIsa) {
      const Kernels *kernels = kernels_for(isa);
      if (kernels == nullptr) continue;
      Sieve sieve(box);
      const Sifted &found = sieve(points.cloud(), *kernels);
      CHECK(found.amid.count == once.amid.count && found.outline.count == once.outline.count);
      CHECK(same_bits(found.amid.x, once.amid.x, static_cast<std::size_t>(once.amid.count)));
      CHECK(same_bits(found.outline.z, once.outline.z, static_cast<std::size_t>(once.outline.count)));
    }
  }
}

// Rays, and what they hit, as a range image and as the points that it stands for.
struct Image {
  std::vector<float> directions;
  std::vector<float> range;  // mm

  explicit Image(const Points &points) {
    Random random(9);
    for (std::size_t i = 0; i < points.xyz.size(); i += 3) {
      const float *p = points.xyz.data() + i;
      const double length = std::sqrt(static_cast<double>(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]));
      for (int a = 0; a < 3; ++a) directions.push_back(static_cast<float>(static_cast<double>(p[a]) / length));
      range.push_back(random.between(0.0, 1.0) < 0.1 ? 0.0f : static_cast<float>(std::floor(1e3 * length)));
    }
  }
  Points points() const {
    Points out;
    for (std::size_t i = 0; i < range.size(); ++i)
      for (std::size_t a = 0; a < 3; ++a) out.xyz.push_back(directions[3 * i + a] * (range[i] * 1e-3f));
    return out;
  }
  template <class Range>
  std::vector<Range> ranges() const {
    return {range.begin(), range.end()};
  }
  template <class Range>
  Cloud cloud(const std::vector<Range> &as, Cloud::Format format, const RayReach *reach) const {
    return {reinterpret_cast<const char *>(as.data()),
            static_cast<std::int64_t>(as.size()),
            sizeof(Range),
            format,
            directions.data(),
            reach};
  }
};

void ranges_tell_what_their_points_tell() {
  const Box box;
  for (const int count : {15, 16, 5003}) {
    const Image image(cloud_about(box, 4, count));
    Sieve reference(box);
    const Sifted &expected = reference(image.points().cloud());
    std::vector<std::uint32_t> range(static_cast<std::size_t>(RayReach::blocks(count)));
    look_along_rays(image.directions.data(), count, reference.zone, kAbove, range.data());
    const RayReach known{kAbove, 0.1, range.data()};
    const auto narrow = image.ranges<std::uint16_t>();
    const auto wide = image.ranges<std::uint32_t>();
    const std::vector<RayReach> unknown{{kAbove, 0.05, range.data()}, {identity(), 0.1, range.data()}};
    for (const Isa isa : kEveryIsa) {
      const Kernels *kernels = kernels_for(isa);
      if (kernels == nullptr) continue;
      for (const RayReach *reach : {static_cast<const RayReach *>(nullptr), &known, &unknown[0], &unknown[1]}) {
        Sieve sieve(box);
        CHECK(same_points(sieve(image.cloud(narrow, Cloud::Format::kRange16, reach), *kernels), expected));
        CHECK(same_points(sieve(image.cloud(wide, Cloud::Format::kRange32, reach), *kernels), expected));
        CHECK(same_points(sieve(image.cloud(image.range, Cloud::Format::kRangeFloat, reach), *kernels),
                          expected));
      }
    }
  }
}

void rays_that_cannot_tell_anything_are_known() {
  const Box box;
  Sieve sieve(box);
  std::vector<float> up, down;
  for (int i = 0; i < RayReach::kRays; ++i) {
    for (const float a : {1.0f, 0.0f, 0.0f}) up.push_back(a);
    for (const float a : {0.0f, 0.0f, -1.0f}) down.push_back(a);
  }
  std::uint32_t level = 0, steep = 0;
  look_along_rays(up.data(), RayReach::kRays, sieve.zone, kAbove, &level);
  look_along_rays(down.data(), RayReach::kRays, sieve.zone, kAbove, &steep);
  CHECK(std::fabs(level - 1e3 * (sieve.zone.outer[0] + sieve.zone.middle[0] - kAbove.t.x)) < 10.0);
  CHECK(steep > 9000000u);  // however deep, it stays over the bed
  Pose aside = kAbove;
  aside.t.x = -9.0;
  for (float &a : up) a = -a;
  look_along_rays(up.data(), RayReach::kRays, sieve.zone, aside, &level);
  CHECK(level == 0);
}

void millimetres_tell_what_metres_tell() {
  const Box box;
  const Points points = cloud_about(box, 5, 3001);
  std::vector<std::int16_t> packed;
  Points metres;
  for (const float v : points.xyz) {
    packed.push_back(static_cast<std::int16_t>(std::lround(1e3f * v)));
    metres.xyz.push_back(static_cast<float>(packed.back()) * 1e-3f);
  }
  Sieve one(box), other(box);
  const Cloud cloud{reinterpret_cast<const char *>(packed.data()), points.count(), 3 * sizeof(std::int16_t),
                    Cloud::Format::kMillimetres};
  CHECK(same_points(one(cloud), other(metres.cloud())));
}

void copies_of_one_point_end() {
  const Box box;
  const float spot[3] = {0.2f, 0.1f, -3.0f};
  Sieve sieve(box, 1024);
  sieve({reinterpret_cast<const char *>(spot), 1000000, 0});
  Sieve beside(box, 1024);
  Points points = cloud_about(box, 6, 2000);
  for (int i = 0; i < 3000; ++i) points.xyz.insert(points.xyz.end(), spot, spot + 3);
  CHECK(beside(points.cloud()).amid.count > 0);
}

}  // namespace

int main() {
  all_points_of_the_zone_are_there();
  what_is_too_much_is_thinned_alike_in_any_order();
  every_instruction_set_keeps_the_same_points();
  ranges_tell_what_their_points_tell();
  rays_that_cannot_tell_anything_are_known();
  millimetres_tell_what_metres_tell();
  copies_of_one_point_end();
  return volest_test::checks_result("sift");
}
