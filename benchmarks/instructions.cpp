// Fixed work for counting instructions: `instructions JOB` makes a load, then does JOB on it in work().
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "centroids.hpp"

namespace {

constexpr int kPoints = 131072;

// A plain heap over a bed of 4.2 x 2.1 m, in random order; the same on every machine.
std::vector<float> heap() {
  std::uint64_t state = 1;
  const auto uniform = [&] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<double>(state >> 11) * 0x1p-53;
  };
  std::vector<float> xyz;
  for (int i = 0; i < kPoints; ++i) {
    const double x = 4.2 * (uniform() - 0.5), y = 2.1 * (uniform() - 0.5);
    const double z = 0.35 + 0.75 / (1.0 + 2.0 * (x - 0.9) * (x - 0.9) + 2.0 * y * y) + 0.03 * uniform();
    for (const double v : {x, y, z}) xyz.push_back(static_cast<float>(v));
  }
  return xyz;
}

volatile double sink;

void centroids(const std::vector<float> &xyz, double size_m, const volest::Kernels &kernels) {
  const volest::Cloud cloud{reinterpret_cast<const char *>(xyz.data()), kPoints, 3 * sizeof(float)};
  sink = static_cast<double>(volest::voxel_centroids(cloud, size_m, kernels).size());
}

}  // namespace

// What is counted. One line for each job; those of the engine belong here, too.
extern "C" __attribute__((noinline)) bool work(const char *job, const std::vector<float> &xyz) {
  const auto is = [&](const char *name) { return std::strcmp(job, name) == 0; };
  if (is("centroids-5cm")) return centroids(xyz, 0.05, volest::best_kernels()), true;
  if (is("centroids-5cm-portable")) return centroids(xyz, 0.05, volest::kPortableKernels), true;
  if (is("centroids-1cm-sorted")) return centroids(xyz, 0.01, volest::kPortableKernels), true;
  return false;
}

int main(int argc, char **argv) {
  if (argc == 2 && work(argv[1], heap())) return 0;
  std::fprintf(stderr, "usage: instructions JOB\n");
  return 2;
}
