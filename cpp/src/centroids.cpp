#include "centroids.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <new>
#include <stdexcept>
#include <utility>

namespace volest {
namespace {

// Every voxel has sums of its own when there are no more than this, and this for each point.
constexpr std::int64_t kDenseVoxels = 65536, kDensePerPoint = 8;
constexpr std::int64_t kMostDense = std::int64_t{1} << 31;  // indices fit 32 bits
constexpr int kDigit = 11;                                  // bits that one pass of the sort looks at

// The points that are measurements, side by side: the caller's own where all are, else copied.
class Sound {
 public:
  Sound(const Cloud &cloud, const Kernels &kernels) {
    if (cloud.stride == 3 * sizeof(float) &&
        reinterpret_cast<std::uintptr_t>(cloud.data) % alignof(float) == 0) {
      xyz = reinterpret_cast<const float *>(cloud.data);
      count = cloud.count;
      span = kernels.survey(xyz, count);
      if (span.sound) return;
    }
    copy_.reset(new float[3 * static_cast<std::size_t>(cloud.count) + 3]);
    float *to = copy_.get();
    for (std::int64_t i = 0; i < cloud.count; ++i) to += 3 * copy_if_sound(cloud.data + i * cloud.stride, to);
    xyz = copy_.get();
    count = (to - xyz) / 3;
    span = kernels.survey(xyz, count);
  }

  const float *xyz;
  std::int64_t count;
  Span span;

 private:
  // Whether it is a measurement, without a branch.
  static std::int64_t copy_if_sound(const char *from, float *to) {
    float v[3];
    std::memcpy(v, from, sizeof v);
    std::memcpy(to, v, sizeof v);
    return Cloud::is_return(v);
  }

  std::unique_ptr<float[]> copy_;
};

Lattice lattice_of(const Span &span, double size_m) {
  Lattice l{size_m, static_cast<float>(Lattice::kSteps / size_m), {}, {}};
  for (int a = 0; a < 3; ++a) {
    l.low[a] = Lattice::steps(span.low[a], l.scale) >> Lattice::kStepBits;
    l.n[a] = (Lattice::steps(span.high[a], l.scale) >> Lattice::kStepBits) - l.low[a] + 1;
  }
  return l;
}

bool is_dense(const Lattice &l, std::int64_t points) {
  for (int a = 0; a < 3; ++a)
    if (l.low[a] < -Lattice::kReach || l.low[a] + l.n[a] > Lattice::kReach) return false;
  const std::int64_t voxels = l.n[0] * l.n[1] * l.n[2];  // at most 2^48
  return voxels < kMostDense && voxels <= kDenseVoxels + kDensePerPoint * points;
}

// Writes the centroids of one run of voxels after another.
class Writer {
 public:
  Writer(const Lattice &lattice, std::size_t rows)
      : out_(3 * rows), to_(out_.data()), step_m_(static_cast<float>(lattice.size_m / Lattice::kSteps)) {}

  // The corner of a voxel along one axis, and half a step: offsets were rounded down.
  static float corner(std::int64_t voxel, const Lattice &l) {
    return static_cast<float>((static_cast<double>(voxel) + 0.5 / Lattice::kSteps) * l.size_m);
  }
  // One centroid from its voxel's corner and sums (x, y, z, count).
  template <class T>
  void add(const float (&corner)[4], const T *sums) {
    float row[4];
    for (int a = 0; a < 4; ++a) row[a] = static_cast<float>(sums[a]);
    const float mean = step_m_ / row[3];
    for (int a = 0; a < 4; ++a) row[a] = row[a] * mean + corner[a];
    std::memcpy(to_, row, 3 * sizeof(float));
    to_ += 3;
  }
  std::vector<float> take() { return std::move(out_); }

 private:
  std::vector<float> out_;
  float *to_;
  float step_m_;
};

struct Free {
  void operator()(void *memory) const { std::free(memory); }
};

std::vector<float> write_dense(const VoxelSums *sums, const std::vector<std::uint64_t> &occupied,
                               const Lattice &l) {
  std::size_t rows = 0;
  for (std::uint64_t word : occupied) rows += static_cast<std::size_t>(__builtin_popcountll(word));
  Writer writer(l, rows);
  std::vector<std::array<float, 2>> corner;  // y and z are the same for each i
  for (std::int64_t j = 0; j < l.n[1]; ++j)
    for (std::int64_t k = 0; k < l.n[2]; ++k)
      corner.push_back({Writer::corner(l.low[1] + j, l), Writer::corner(l.low[2] + k, l)});
  std::int64_t i = l.low[0];
  std::size_t begin = 0;  // the first voxel with this i
  float x = Writer::corner(i, l);
  for (std::size_t w = 0; w < occupied.size(); ++w)
    for (std::uint64_t word = occupied[w]; word != 0; word &= word - 1) {
      const std::size_t v = 64 * w + static_cast<std::size_t>(__builtin_ctzll(word));
      for (; v >= begin + corner.size(); begin += corner.size()) x = Writer::corner(++i, l);
      const auto &yz = corner[v - begin];
      writer.add({x, yz[0], yz[1], 0.0f}, reinterpret_cast<const std::int32_t *>(&sums[v]));
    }
  return writer.take();
}

// Every voxel of the lattice with sums of its own. Returns false when one of them may have run over.
bool sum_densely(const Sound &sound, const Lattice &l, const Kernels &kernels, std::vector<float> &out) {
  const auto words = static_cast<std::size_t>((l.n[0] * l.n[1] * l.n[2] + 63) / 64);
  const std::unique_ptr<VoxelSums, Free> sums(
      static_cast<VoxelSums *>(std::calloc(64 * words, sizeof(VoxelSums))));
  if (sums == nullptr) throw std::bad_alloc();
  std::vector<std::uint64_t> occupied(words);
  if (kernels.sum_voxels(sound.xyz, sound.count, l, sums.get(), words, occupied.data()) > VoxelSums::kMost)
    return false;
  out = write_dense(sums.get(), occupied, l);
  return true;
}

// A point: which voxel of the lattice, and where in it.
struct Placed {
  std::uint64_t voxel;
  std::uint16_t offset[3];
};

std::vector<Placed> placed(const Sound &sound, const Lattice &l) {
  std::vector<Placed> points(static_cast<std::size_t>(sound.count));
  const float *p = sound.xyz;
  for (Placed &point : points)
    for (int a = 0; a < 3; ++a) {
      const std::int64_t at = Lattice::steps(*p++, l.scale);
      point.voxel = point.voxel * static_cast<std::uint64_t>(l.n[a]) +
                    static_cast<std::uint64_t>((at >> Lattice::kStepBits) - l.low[a]);
      point.offset[a] = static_cast<std::uint16_t>(at & (Lattice::kSteps - 1));
    }
  return points;
}

// Radix sort by voxel.
void sort(std::vector<Placed> &points, std::uint64_t voxels) {
  std::vector<Placed> sorted(points.size());
  for (int shift = 0; shift < 64 && voxels >> shift != 0; shift += kDigit) {
    std::array<std::size_t, (1 << kDigit) + 1> begin{};
    const auto digit = [&](const Placed &p) { return p.voxel >> shift & ((1 << kDigit) - 1); };
    for (const Placed &p : points) ++begin[digit(p) + 1];
    for (std::size_t d = 1; d < begin.size(); ++d) begin[d] += begin[d - 1];
    for (const Placed &p : points) sorted[begin[digit(p)]++] = p;
    points.swap(sorted);
  }
}

// Memory for each point, however far apart they lie.
std::vector<float> sum_sorted(const Sound &sound, const Lattice &l) {
  const double voxels = static_cast<double>(l.n[0]) * static_cast<double>(l.n[1]) * static_cast<double>(l.n[2]);
  if (voxels > 0x1p62) throw std::overflow_error("too many voxels");
  std::vector<Placed> points = placed(sound, l);
  sort(points, static_cast<std::uint64_t>(l.n[0] * l.n[1] * l.n[2]));
  std::size_t rows = 0;
  for (std::size_t i = 0; i < points.size(); ++i) rows += i == 0 || points[i].voxel != points[i - 1].voxel;
  Writer writer(l, rows);
  for (auto p = points.begin(); p != points.end();) {
    const auto v = static_cast<std::int64_t>(p->voxel);
    std::uint64_t sums[4] = {};
    for (; p != points.end() && p->voxel == static_cast<std::uint64_t>(v); ++p, ++sums[3])
      for (int a = 0; a < 3; ++a) sums[a] += p->offset[a];
    writer.add(
        {Writer::corner(l.low[0] + v / l.n[2] / l.n[1], l), Writer::corner(l.low[1] + v / l.n[2] % l.n[1], l),
         Writer::corner(l.low[2] + v % l.n[2], l), 0.0f},
        sums);
  }
  return writer.take();
}

}  // namespace

std::vector<float> voxel_centroids(const Cloud &cloud, double size_m, const Kernels &kernels) {
  const Sound sound(cloud, kernels);
  if (sound.count == 0) return {};
  const Lattice lattice = lattice_of(sound.span, size_m);
  std::vector<float> out;
  if (is_dense(lattice, sound.count) && sum_densely(sound, lattice, kernels, out)) return out;
  return sum_sorted(sound, lattice);
}

}  // namespace volest
