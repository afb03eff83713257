// Sixteen floats side by side, with AVX-512. To be included where that is the target.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace volest {

struct SimdAvx512 {
  static constexpr int kLanes = 16;
  typedef float F __attribute__((vector_size(64)));
  typedef std::int32_t I __attribute__((vector_size(64)));
  typedef std::uint32_t U __attribute__((vector_size(64)));
  using M = __mmask16;

  static F set(float v) { return F(_mm512_set1_ps(v)); }
  static F load(const float *p) { return F(_mm512_loadu_ps(p)); }
  static void store(float *p, F v) { _mm512_storeu_ps(p, __m512(v)); }
  static void store(std::int32_t *p, I v) { _mm512_storeu_si512(p, __m512i(v)); }
  // Eight floats as doubles; compilers take two steps.
  template <class Doubles, class Floats>
  static Doubles doubles(Floats v) {
    return Doubles(_mm512_cvtps_pd(__m256(v)));
  }
  static F lower(F a, F b) { return F(_mm512_min_ps(__m512(a), __m512(b))); }
  static F greater(F a, F b) { return F(_mm512_max_ps(__m512(a), __m512(b))); }
  static F magnitude(F v) { return F(_mm512_abs_ps(__m512(v))); }
  static M lt(F a, F b) { return _mm512_cmp_ps_mask(__m512(a), __m512(b), _CMP_LT_OQ); }
  static M ge(F a, F b) { return _mm512_cmp_ps_mask(__m512(a), __m512(b), _CMP_GE_OQ); }
  static M both(M a, M b) { return static_cast<M>(a & b); }
  static M either(M a, M b) { return static_cast<M>(a | b); }
  static M but_not(M a, M b) { return static_cast<M>(a & ~b); }
  static F where(M m, F yes, F no) { return F(_mm512_mask_mov_ps(__m512(no), m, __m512(yes))); }
  static I whole(F v) { return I(_mm512_cvttps_epi32(__m512(v))); }
  static I floor(F v) {
    return I(_mm512_cvt_roundps_epi32(__m512(v), _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC));
  }
  static I whole_where(M m, F v) { return I(_mm512_maskz_cvttps_epi32(m, __m512(v))); }
  static U bits(F v) { return U(v); }
  static U words(std::uint32_t v) { return U(_mm512_set1_epi32(static_cast<int>(v))); }
  static M none(U v) { return _mm512_testn_epi32_mask(__m512i(v), __m512i(v)); }  // lanes without a set bit
  static I times(I a, std::int32_t b) { return I(_mm512_mullo_epi32(__m512i(a), _mm512_set1_epi32(b))); }
  static unsigned mask(M m) { return m; }
  static M first(int count) { return static_cast<M>((1u << count) - 1u); }
  static void pack(float *to, M m, F v) { _mm512_storeu_ps(to, _mm512_maskz_compress_ps(m, __m512(v))); }
  static void pack(std::int32_t *to, M m, I v) {
    _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(m, __m512i(v)));
  }
  static void load3(const char *p, F &x, F &y, F &z) {
    const auto *f = reinterpret_cast<const float *>(p);
    const __m512 a = _mm512_loadu_ps(f), b = _mm512_loadu_ps(f + 16), c = _mm512_loadu_ps(f + 32);
    // From a and b the first ten or eleven of each, then the rest from c; 16 and more count in the second.
    const __m512i x1 = _mm512_setr_epi32(0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 0, 0, 0, 0, 0);
    const __m512i x2 = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 17, 20, 23, 26, 29);
    const __m512i y1 = _mm512_setr_epi32(1, 4, 7, 10, 13, 16, 19, 22, 25, 28, 31, 0, 0, 0, 0, 0);
    const __m512i y2 = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 18, 21, 24, 27, 30);
    const __m512i z1 = _mm512_setr_epi32(2, 5, 8, 11, 14, 17, 20, 23, 26, 29, 0, 0, 0, 0, 0, 0);
    const __m512i z2 = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 19, 22, 25, 28, 31);
    x = F(_mm512_permutex2var_ps(_mm512_permutex2var_ps(a, x1, b), x2, c));
    y = F(_mm512_permutex2var_ps(_mm512_permutex2var_ps(a, y1, b), y2, c));
    z = F(_mm512_permutex2var_ps(_mm512_permutex2var_ps(a, z1, b), z2, c));
  }
  static void zip(std::uint32_t *to, U a, U b) {
    const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i high = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    _mm512_storeu_si512(to, _mm512_permutex2var_epi32(__m512i(a), low, __m512i(b)));
    _mm512_storeu_si512(to + 16, _mm512_permutex2var_epi32(__m512i(a), high, __m512i(b)));
  }
  static __m128i widened(const std::uint32_t *p) {
    return _mm_cvtepu16_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(p)));
  }
};

}  // namespace volest
