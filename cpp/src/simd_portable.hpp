// Four floats side by side on any CPU: what SSE2 and NEON do, written so that every compiler finds it.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace volest {

struct SimdPortable {
  static constexpr int kLanes = 4;
  typedef float F __attribute__((vector_size(16)));
  typedef std::int32_t I __attribute__((vector_size(16)));
  typedef std::uint32_t U __attribute__((vector_size(16)));
  using M = I;  // all bits of a lane set: true

  static F set(float v) { return F{v, v, v, v}; }
  static F load(const float *p) {
    F v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
  static void store(float *p, F v) { std::memcpy(p, &v, sizeof v); }
  static void store(std::int32_t *p, I v) { std::memcpy(p, &v, sizeof v); }
  // Eight floats as doubles.
  template <class Doubles, class Floats>
  static Doubles doubles(Floats v) {
    return __builtin_convertvector(v, Doubles);
  }
  static F lower(F a, F b) { return a < b ? a : b; }
  static F greater(F a, F b) { return a > b ? a : b; }
  static F magnitude(F v) { return v < F{} ? -v : v; }
  static M lt(F a, F b) { return a < b; }
  static M ge(F a, F b) { return a >= b; }
  static M both(M a, M b) { return a & b; }
  static M either(M a, M b) { return a | b; }
  static M but_not(M a, M b) { return a & ~b; }
  static F where(M m, F yes, F no) { return m ? yes : no; }
  // Towards zero; the lanes must be within the range of int32.
  static I whole(F v) {
    return I{static_cast<std::int32_t>(v[0]), static_cast<std::int32_t>(v[1]), static_cast<std::int32_t>(v[2]),
             static_cast<std::int32_t>(v[3])};
  }
  // The greatest whole numbers that are not above.
  static I floor(F v) {
    const I towards_zero = whole(v);
    return towards_zero + (__builtin_convertvector(towards_zero, F) > v);
  }
  static I whole_where(M m, F v) { return whole(m ? v : F{}); }
  static U bits(F v) {
    U out;
    std::memcpy(&out, &v, sizeof out);
    return out;
  }
  static U words(std::uint32_t v) { return U{v, v, v, v}; }
  static M none(U v) { return v == U{}; }  // lanes without a set bit
  static I times(I a, std::int32_t b) { return a * b; }
  static unsigned mask(M m) {
    unsigned bits = 0;
    for (int i = 0; i < kLanes; ++i) bits |= (m[i] != 0 ? 1u : 0u) << i;
    return bits;
  }
  // The first `count` lanes.
  static M first(int count) { return I{0, 1, 2, 3} < I{count, count, count, count}; }
  // Writes the lanes of m side by side; up to kLanes words behind them are overwritten.
  static void pack(float *to, M m, F v) {
    for (int i = 0, n = 0; i < kLanes; ++i) {
      const float lane = v[i];
      std::memcpy(to + n, &lane, sizeof lane);  // words of any kind may pass as floats
      n += m[i] != 0;
    }
  }
  static void pack(std::int32_t *to, M m, I v) {
    for (int i = 0, n = 0; i < kLanes; ++i) {
      to[n] = v[i];
      n += m[i] != 0;
    }
  }
  // x y z of kLanes points that lie side by side.
  static void load3(const char *p, F &x, F &y, F &z) {
    float v[12];
    std::memcpy(v, p, sizeof v);
    x = F{v[0], v[3], v[6], v[9]};
    y = F{v[1], v[4], v[7], v[10]};
    z = F{v[2], v[5], v[8], v[11]};
  }
  // Writes the lanes of a and b in turn.
  static void zip(std::uint32_t *to, U a, U b) {
    const U pairs[2] = {{a[0], b[0], a[1], b[1]}, {a[2], b[2], a[3], b[3]}};
    std::memcpy(to, pairs, sizeof pairs);
  }
  // Four numbers of 16 bits as 32 bits each, four whatever a vector holds.
  static U widened(const std::uint32_t *p) {
    std::uint16_t v[4];
    std::memcpy(v, p, sizeof v);
    return U{v[0], v[1], v[2], v[3]};
  }
};

}  // namespace volest
