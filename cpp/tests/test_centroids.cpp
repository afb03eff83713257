// Means of voxels against a slow twin, in every path: each voxel with its own sums, sorted, with every
// instruction set.
#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <stdexcept>

#include "box.hpp"
#include "centroids.hpp"
#include "check.hpp"

using namespace volest_test;

namespace {

using Rows = std::vector<float>;

// In double precision, from the definition.
std::vector<std::array<double, 3>> slow_centroids(const Points &points, double size) {
  const float per_metre = static_cast<float>(1.0 / size);
  std::map<std::array<double, 3>, std::array<double, 4>> sums;
  for (std::size_t i = 0; i < points.xyz.size(); i += 3) {
    std::array<double, 3> voxel;
    for (std::size_t a = 0; a < 3; ++a) voxel[a] = std::floor(points.xyz[i + a] * per_metre);
    auto &sum = sums[voxel];
    for (std::size_t a = 0; a < 3; ++a) sum[a] += points.xyz[i + a];
    sum[3] += 1.0;
  }
  std::vector<std::array<double, 3>> means;
  for (const auto &[voxel, sum] : sums) means.push_back({sum[0] / sum[3], sum[1] / sum[3], sum[2] / sum[3]});
  return means;
}

Points heap(std::uint64_t seed, int count, double spread = 1.0) {
  Random random(seed);
  Points points;
  for (int i = 0; i < count; ++i) {
    const double x = random.between(-2.1, 2.1), y = random.between(-1.05, 1.05);
    points.add(spread * x, spread * y, spread * (1.2 * std::exp(-x * x - y * y) + random.between(0.01, 0.03)));
  }
  return points;
}

bool same_rows(const Rows &a, const Rows &b) {
  return a.size() == b.size() && same_bits(a.data(), b.data(), a.size());
}

void agree_with_the_definition() {
  for (const auto &[count, spread, size] : {std::array{20000.0, 1.0, 0.05}, std::array{1001.0, 1.0, 0.5},
                                            std::array{5000.0, 1.0, 0.003}, std::array{5000.0, 900.0, 0.3}}) {
    const Points points = heap(7, static_cast<int>(count), spread);
    const Rows found = voxel_centroids(points.cloud(), size);
    const auto expected = slow_centroids(points, size);
    CHECK(found.size() == 3 * expected.size());
    double worst = 0.0;
    for (std::size_t i = 0; i < std::min(expected.size(), found.size() / 3); ++i)
      for (std::size_t a = 0; a < 3; ++a)
        worst = std::fmax(worst, std::fabs(found[3 * i + a] - expected[i][a]));
    CHECK(worst < size / 65536.0 + 2e-7 * 3.0 * spread);
    for (const Kernels *kernels : all_kernels())
      CHECK(same_rows(found, voxel_centroids(points.cloud(), size, *kernels)));
  }
}

void the_order_of_the_points_does_not_matter() {
  for (const double size : {0.05, 0.002}) {
    Points points = heap(3, 9999);
    const Rows found = voxel_centroids(points.cloud(), size);
    auto *rows = reinterpret_cast<std::array<float, 3> *>(points.xyz.data());
    std::reverse(rows, rows + points.count());
    CHECK(same_rows(found, voxel_centroids(points.cloud(), size)));
    std::sort(rows, rows + points.count());
    CHECK(same_rows(found, voxel_centroids(points.cloud(), size)));
  }
}

void what_is_no_measurement_is_left_out() {
  const Points points = heap(4, 3000);
  const Rows found = voxel_centroids(points.cloud(), 0.05);
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const float none[4][3] = {{0.0f, -0.0f, 0.0f}, {nan, 1.0f, 1.0f}, {1.0f, -inf, 1.0f}, {1.0f, 1.0f, 2e4f}};
  std::vector<float> wide;  // rows of four
  for (std::size_t i = 0; i < points.xyz.size(); i += 3) {
    wide.insert(wide.end(), {points.xyz[i], points.xyz[i + 1], points.xyz[i + 2], nan});
    const float *lost = none[i % 4];
    wide.insert(wide.end(), {lost[0], lost[1], lost[2], 1.0f});
  }
  const Cloud cloud{reinterpret_cast<const char *>(wide.data()), static_cast<std::int64_t>(wide.size() / 4),
                    16};
  CHECK(same_rows(found, voxel_centroids(cloud, 0.05)));
  CHECK(voxel_centroids({cloud.data + 16, 1, 16}, 0.05).empty());
  CHECK(voxel_centroids({cloud.data, 0, 16}, 0.05).empty());
}

// Clouds end anywhere in a vector, and what is no measurement may stand in any lane.
void a_cloud_of_any_length_is_sifted() {
  for (int count = 1; count < 100; ++count) {
    const Points points = heap(static_cast<std::uint64_t>(count), count);
    const Rows found = voxel_centroids(points.cloud(), 0.05, kPortableKernels);
    CHECK(found.size() == 3 * slow_centroids(points, 0.05).size());
    Points marred = points;
    marred.xyz.insert(marred.xyz.begin() + 3 * (count / 2), 3, 0.0f);
    for (const Kernels *kernels : all_kernels()) {
      CHECK(same_rows(found, voxel_centroids(points.cloud(), 0.05, *kernels)));
      CHECK(same_rows(found, voxel_centroids(marred.cloud(), 0.05, *kernels)));
      for (std::size_t a = 0; a < 3; ++a) {
        Points lost = marred;
        lost.xyz[static_cast<std::size_t>(3 * (count / 2)) + a] = std::numeric_limits<float>::quiet_NaN();
        CHECK(same_rows(found, voxel_centroids(lost.cloud(), 0.05, *kernels)));
      }
    }
  }
}

void a_voxel_may_hold_any_number() {
  Points points;
  for (int i = 0; i < 200000; ++i) points.add(-0.011, 0.019, 0.04);
  for (const Kernels *kernels : all_kernels()) {
    const Rows found = voxel_centroids(points.cloud(), 0.05, *kernels);
    CHECK(found.size() == 3);
    for (std::size_t a = 0; a < found.size(); ++a) CHECK(std::fabs(found[a] - points.xyz[a]) < 1e-6f);
  }
}

void points_far_apart_are_told_apart_or_refused() {
  Points points;
  for (const double at : {-9999.0, 9999.0}) points.add(at, at, at);
  CHECK(voxel_centroids(points.cloud(), 0.05).size() == 6);
  bool refused = false;
  try {
    voxel_centroids(points.cloud(), 1e-4);
  } catch (const std::overflow_error &) {
    refused = true;
  }
  CHECK(refused);
}

}  // namespace

int main() {
  agree_with_the_definition();
  the_order_of_the_points_does_not_matter();
  what_is_no_measurement_is_left_out();
  a_cloud_of_any_length_is_sifted();
  a_voxel_may_hold_any_number();
  points_far_apart_are_told_apart_or_refused();
  return checks_result("test_centroids");
}
