// Eight floats side by side, with AVX2. To be included where that is the target.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace volest {

// For each mask of eight lanes, where the lanes that are set come from: what AVX-512 has an instruction for.
struct PackTable {
  alignas(32) std::uint32_t from[256][8];
};
constexpr PackTable make_pack_table() {
  PackTable table{};
  for (unsigned m = 0; m < 256; ++m)
    for (unsigned i = 0, n = 0; i < 8; ++i)
      if (m >> i & 1) table.from[m][n++] = i;
  return table;
}
inline constexpr PackTable kPack = make_pack_table();

struct SimdAvx2 {
  static constexpr int kLanes = 8;
  typedef float F __attribute__((vector_size(32)));
  typedef std::int32_t I __attribute__((vector_size(32)));
  typedef std::uint32_t U __attribute__((vector_size(32)));
  using M = I;

  static F set(float v) { return F(_mm256_set1_ps(v)); }
  static F load(const float *p) { return F(_mm256_loadu_ps(p)); }
  static void store(float *p, F v) { _mm256_storeu_ps(p, __m256(v)); }
  static void store(std::int32_t *p, I v) { _mm256_storeu_si256(reinterpret_cast<__m256i *>(p), __m256i(v)); }
  // Eight floats as doubles.
  template <class Doubles, class Floats>
  static Doubles doubles(Floats v) {
    return __builtin_convertvector(v, Doubles);
  }
  static F lower(F a, F b) { return F(_mm256_min_ps(__m256(a), __m256(b))); }
  static F greater(F a, F b) { return F(_mm256_max_ps(__m256(a), __m256(b))); }
  static F magnitude(F v) { return F(_mm256_andnot_ps(_mm256_set1_ps(-0.0f), __m256(v))); }
  static M lt(F a, F b) { return M(_mm256_cmp_ps(__m256(a), __m256(b), _CMP_LT_OQ)); }
  static M ge(F a, F b) { return M(_mm256_cmp_ps(__m256(a), __m256(b), _CMP_GE_OQ)); }
  static M both(M a, M b) { return a & b; }
  static M either(M a, M b) { return a | b; }
  static M but_not(M a, M b) { return a & ~b; }
  static F where(M m, F yes, F no) { return F(_mm256_blendv_ps(__m256(no), __m256(yes), __m256(m))); }
  static I whole(F v) { return I(_mm256_cvttps_epi32(__m256(v))); }
  static I floor(F v) { return whole(F(_mm256_floor_ps(__m256(v)))); }
  static I whole_where(M m, F v) { return whole(F(_mm256_and_ps(__m256(v), __m256(m)))); }
  static U bits(F v) { return U(v); }
  static U words(std::uint32_t v) { return U(_mm256_set1_epi32(static_cast<int>(v))); }
  static M none(U v) { return v == U{}; }  // lanes without a set bit
  static I times(I a, std::int32_t b) { return I(_mm256_mullo_epi32(__m256i(a), _mm256_set1_epi32(b))); }
  static unsigned mask(M m) { return static_cast<unsigned>(_mm256_movemask_ps(__m256(m))); }
  static M first(int count) { return I{0, 1, 2, 3, 4, 5, 6, 7} < I(_mm256_set1_epi32(count)); }
  static void pack(float *to, M m, F v) {
    const __m256i from = _mm256_load_si256(reinterpret_cast<const __m256i *>(kPack.from[mask(m)]));
    _mm256_storeu_ps(to, _mm256_permutevar8x32_ps(__m256(v), from));
  }
  static void pack(std::int32_t *to, M m, I v) {
    const __m256i from = _mm256_load_si256(reinterpret_cast<const __m256i *>(kPack.from[mask(m)]));
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), _mm256_permutevar8x32_epi32(__m256i(v), from));
  }
  static void load3(const char *p, F &x, F &y, F &z) {
    const auto *f = reinterpret_cast<const float *>(p);
    const auto pair = [f](int low, int high) {
      return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(f + low)), _mm_loadu_ps(f + high), 1);
    };
    // Each half holds x y z x | y z x y | z x y z of four points.
    const __m256 a = pair(0, 12), b = pair(4, 16), c = pair(8, 20);
    const __m256 xy = _mm256_shuffle_ps(b, c, _MM_SHUFFLE(2, 1, 3, 2));
    const __m256 yz = _mm256_shuffle_ps(a, b, _MM_SHUFFLE(1, 0, 2, 1));
    x = F(_mm256_shuffle_ps(a, xy, _MM_SHUFFLE(2, 0, 3, 0)));
    y = F(_mm256_shuffle_ps(yz, xy, _MM_SHUFFLE(3, 1, 2, 0)));
    z = F(_mm256_shuffle_ps(yz, c, _MM_SHUFFLE(3, 0, 3, 1)));
  }
  static void zip(std::uint32_t *to, U a, U b) {
    // Each half holds pairs of its own: 0 1 | 4 5 and 2 3 | 6 7.
    const __m256i low = _mm256_unpacklo_epi32(__m256i(a), __m256i(b)),
                  high = _mm256_unpackhi_epi32(__m256i(a), __m256i(b));
    auto *pairs = reinterpret_cast<__m256i *>(to);
    _mm256_storeu_si256(pairs, _mm256_permute2x128_si256(low, high, 0x20));
    _mm256_storeu_si256(pairs + 1, _mm256_permute2x128_si256(low, high, 0x31));
  }
  static __m128i widened(const std::uint32_t *p) {
    return _mm_cvtepu16_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(p)));
  }
};

}  // namespace volest
