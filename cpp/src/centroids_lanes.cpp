#include "centroids_lanes.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#define VOLEST_AVX2 __attribute__((target("avx2")))
#endif
#define VOLEST_INLINE inline __attribute__((always_inline))

namespace volest::centroids {
namespace {

constexpr int kRows = 8;  // points side by side in one step of the survey

VOLEST_INLINE std::int32_t magnitude(float v) {
  std::int32_t bits;
  std::memcpy(&bits, &v, sizeof v);
  return bits & 0x7FFFFFFF;
}

// In the order of memory: lane k holds the coordinate k % 3. Written so that a compiler makes vectors of it.
VOLEST_INLINE Span survey(const float *xyz, std::int64_t count) {
  constexpr int lanes = 3 * kRows;
  float low[lanes], high[lanes];
  std::int32_t least[lanes], most[lanes] = {};
  for (int k = 0; k < lanes; ++k) {
    low[k] = 2 * Cloud::farthest;
    high[k] = -low[k];
    least[k] = magnitude(low[k]);
  }
  const auto look = [&](const float *p, int n) __attribute__((always_inline)) {
    for (int k = 0; k < n; ++k) {
      const std::int32_t m = magnitude(p[k]);
      low[k] = p[k] < low[k] ? p[k] : low[k];
      high[k] = p[k] > high[k] ? p[k] : high[k];
      least[k] = m < least[k] ? m : least[k];
      most[k] = m > most[k] ? m : most[k];
    }
  };
  std::int64_t i = 0;
  for (; i + kRows <= count; i += kRows) look(xyz + 3 * i, lanes);
  for (; i < count; ++i) look(xyz + 3 * i, 3);
  Span span{{low[0], low[1], low[2]}, {high[0], high[1], high[2]}, true};
  for (int k = 0; k < lanes; ++k) {
    span.low[k % 3] = std::fmin(span.low[k % 3], low[k]);
    span.high[k % 3] = std::fmax(span.high[k % 3], high[k]);
    span.sound = span.sound && least[k] > 0 && most[k] < magnitude(Cloud::farthest);
  }
  return span;
}

Span survey_portable(const float *xyz, std::int64_t count) { return survey(xyz, count); }

void add_portable(const float *xyz, std::int64_t count, const Lattice &l, Sums *sums) {
  for (const float *p = xyz; p != xyz + 3 * count; p += 3) {
    std::int64_t voxel = 0, offset[3];
    for (int a = 0; a < 3; ++a) {
      const std::int64_t at = place(p[a], l.scale);
      voxel = voxel * l.n[a] + (at >> kStepBits) - l.low[a];
      offset[a] = at & (kSteps - 1);
    }
    Sums &s = sums[voxel];
    for (int a = 0; a < 3; ++a) s.offset[a] += static_cast<std::uint32_t>(offset[a]);
    ++s.count;
  }
}

std::uint32_t mark_portable(const Sums *sums, std::size_t words, std::uint64_t *occupied) {
  std::uint32_t all = 0;
  for (std::size_t w = 0; w < words; ++w)
    for (int bit = 0; bit < 64; ++bit, ++sums) {
      occupied[w] |= static_cast<std::uint64_t>(sums->count != 0) << bit;
      all |= sums->count;
    }
  return all;
}

#if defined(__x86_64__)

constexpr int kBlock = 128;  // points whose voxels are known before the first is added

struct Points8 {
  __m256 x, y, z;
};

VOLEST_AVX2 VOLEST_INLINE __m256 two_fours(const float *p) {
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(p + 12), 1);
}

// Eight points from x y z x y z ...: four in each half.
VOLEST_AVX2 VOLEST_INLINE Points8 load(const float *p) {
  const __m256 xyzx = two_fours(p), yzxy = two_fours(p + 4), zxyz = two_fours(p + 8);
  const __m256 xy = _mm256_shuffle_ps(yzxy, zxyz, _MM_SHUFFLE(2, 1, 3, 2));
  const __m256 yz = _mm256_shuffle_ps(xyzx, yzxy, _MM_SHUFFLE(1, 0, 2, 1));
  return {_mm256_shuffle_ps(xyzx, xy, _MM_SHUFFLE(2, 0, 3, 0)),
          _mm256_shuffle_ps(yz, xy, _MM_SHUFFLE(3, 1, 2, 0)),
          _mm256_shuffle_ps(yz, zxyz, _MM_SHUFFLE(3, 0, 3, 1))};
}

VOLEST_AVX2 VOLEST_INLINE __m256i place8(__m256 metres, __m256 scale) {
  return _mm256_cvttps_epi32(_mm256_floor_ps(_mm256_mul_ps(metres, scale)));
}

VOLEST_AVX2 VOLEST_INLINE void store(void *to, __m256i v) { _mm256_store_si256(static_cast<__m256i *>(to), v); }

// The lattice as the lanes need it.
struct Lattice8 {
  __m256 scale;
  __m256i stride_x, stride_y, first;
};

VOLEST_AVX2 VOLEST_INLINE __m256i splat(std::int64_t v) { return _mm256_set1_epi32(static_cast<int>(v)); }

VOLEST_AVX2 VOLEST_INLINE Lattice8 broadcast(const Lattice &l) {
  return {_mm256_set1_ps(l.scale), splat(l.n[1] * l.n[2]), splat(l.n[2]),
          splat((l.low[0] * l.n[1] + l.low[1]) * l.n[2] + l.low[2])};
}

// The voxels of eight points, and of each its offsets and a one in 16 bits each. Both in the order 0 1 4 5 2 3
// 6 7.
VOLEST_AVX2 VOLEST_INLINE void place_points(const float *xyz, const Lattice8 &l, std::uint32_t *voxel,
                                            std::uint64_t *offsets) {
  const Points8 p = load(xyz);
  const __m256i x = place8(p.x, l.scale), y = place8(p.y, l.scale), z = place8(p.z, l.scale);
  const __m256i along = _mm256_mullo_epi32(_mm256_srai_epi32(x, kStepBits), l.stride_x);
  const __m256i across = _mm256_mullo_epi32(_mm256_srai_epi32(y, kStepBits), l.stride_y);
  const __m256i up = _mm256_sub_epi32(_mm256_srai_epi32(z, kStepBits), l.first);
  const __m256i index = _mm256_add_epi32(_mm256_add_epi32(along, across), up);
  store(voxel, _mm256_permute4x64_epi64(index, _MM_SHUFFLE(3, 1, 2, 0)));
  const __m256i xy = _mm256_blend_epi16(x, _mm256_slli_epi32(y, 16), 0xAA);
  const __m256i z1 = _mm256_blend_epi16(z, _mm256_set1_epi32(1 << 16), 0xAA);
  store(offsets, _mm256_unpacklo_epi32(xy, z1));
  store(offsets + 4, _mm256_unpackhi_epi32(xy, z1));
}

// Four far apart in turn: points that follow each other often share a voxel, whose sums would have to be waited
// for.
VOLEST_AVX2 void add_avx2(const float *xyz, std::int64_t count, const Lattice &lattice, Sums *sums) {
  const Lattice8 lattice8 = broadcast(lattice);
  alignas(32) std::uint32_t voxel[kBlock];
  alignas(32) std::uint64_t offsets[kBlock];
  for (; count >= kBlock; count -= kBlock, xyz += 3 * kBlock) {
    for (int i = 0; i < kBlock; i += 8) place_points(xyz + 3 * i, lattice8, voxel + i, offsets + i);
    for (int i = 0; i < kBlock / 4; ++i)
      for (int n = i; n < kBlock; n += kBlock / 4) {
        auto *s = reinterpret_cast<__m128i *>(sums + voxel[n]);
        const __m128i more =
            _mm_cvtepu16_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(offsets + n)));
        _mm_store_si128(s, _mm_add_epi32(_mm_load_si128(s), more));
      }
  }
  add_portable(xyz, count, lattice, sums);
}

VOLEST_AVX2 Span survey_avx2(const float *xyz, std::int64_t count) { return survey(xyz, count); }

// Voxels n and n + 4 side by side.
VOLEST_AVX2 VOLEST_INLINE __m256i pair(const Sums *sums, int n) {
  const auto *s = reinterpret_cast<const __m128i *>(sums) + n;
  return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_load_si128(s)), _mm_load_si128(s + 4), 1);
}

VOLEST_AVX2 std::uint32_t mark_avx2(const Sums *sums, std::size_t words, std::uint64_t *occupied) {
  __m256i all = _mm256_setzero_si256();
  for (std::size_t w = 0; w < words; ++w)
    for (int bit = 0; bit < 64; bit += 8, sums += 8) {
      const __m256i counts = _mm256_unpackhi_epi64(_mm256_unpackhi_epi32(pair(sums, 0), pair(sums, 1)),
                                                   _mm256_unpackhi_epi32(pair(sums, 2), pair(sums, 3)));
      const __m256i empty = _mm256_cmpeq_epi32(counts, _mm256_setzero_si256());
      const auto bits = ~static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(empty))) & 0xFFu;
      occupied[w] |= static_cast<std::uint64_t>(bits) << bit;
      all = _mm256_or_si256(all, counts);
    }
  alignas(32) std::uint32_t lanes[8];
  store(lanes, all);
  std::uint32_t any = 0;
  for (std::uint32_t lane : lanes) any |= lane;
  return any;
}

#endif

}  // namespace

Kernels portable_kernels() { return {survey_portable, add_portable, mark_portable}; }

Kernels widest_kernels() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return {survey_avx2, add_avx2, mark_avx2};
#endif
  return portable_kernels();
}

}  // namespace volest::centroids
