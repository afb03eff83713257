// As many cells side by side as a vector holds. The lanes never mix, so every instruction set gives the same
// bits; sums are kept apart for each of sixteen cells, as many as any vector has lanes.

using Wide = V::F;
using WideInts = V::I;
constexpr int kWide = V::kLanes, kSixteen = 16;

inline Wide wide(float v) { return V::set(v); }
inline Wide wide_at(const float *p) { return V::load(p); }
inline void put(float *p, Wide v) { V::store(p, v); }
inline WideInts wide_ints(std::int32_t v) { return WideInts{} + v; }
// Lanes of another kind: bytes and counts as whole numbers, these as floats.
template <class Lane>
inline WideInts wide_ints_at(const Lane *p) {
  typedef Lane Lanes __attribute__((vector_size(kWide * sizeof(Lane))));
  Lanes v;
  std::memcpy(&v, p, sizeof v);
  return __builtin_convertvector(v, WideInts);
}
inline Wide wide_floats(WideInts v) { return __builtin_convertvector(v, Wide); }
inline Wide wide_roots(Wide v) {
  float lanes[kWide];
  put(lanes, v);
  for (float &lane : lanes) lane = std::sqrt(lane);
  return wide_at(lanes);
}
inline Wide least_of(Wide a, Wide b) { return a < b ? a : b; }
inline Wide greatest_of(Wide a, Wide b) { return a > b ? a : b; }
inline Wide clip(Wide v, float low, float high) { return greatest_of(least_of(v, wide(high)), wide(low)); }
// Which lane each is.
constexpr std::int32_t kLane[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
inline WideInts wide_lanes() { return wide_ints_at(kLane); }

// Half as many cells, for sums that need doubles; their bytes, floats and whole numbers.
constexpr int kFew = kWide / 2;
typedef double Few __attribute__((vector_size(kFew * sizeof(double))));
typedef std::uint64_t FewLongs __attribute__((vector_size(kFew * sizeof(std::uint64_t))));
typedef float FewFloats __attribute__((vector_size(kFew * sizeof(float))));
typedef std::int32_t FewInts __attribute__((vector_size(kFew * sizeof(std::int32_t))));
typedef std::uint8_t FewBytes __attribute__((vector_size(kFew)));
typedef std::int8_t FewFlags __attribute__((vector_size(kFew)));  // all bits of a lane set: true

template <class Lanes, class Lane>
inline Lanes lanes_at(const Lane *p) {
  Lanes v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <class Lanes, class Lane>
inline void put_lanes(Lane *p, Lanes v) {
  std::memcpy(p, &v, sizeof v);
}
// Whole numbers as doubles, rounded once: their halves stand in the last bits of 2^84 and 2^52.
inline Few few_of(FewLongs v) {
  constexpr double k84 = 19342813113834066795298816.0, k52 = 4503599627370496.0;
  const Few upper = Few(v >> 32 | 0x4530000000000000u), lower = Few((v & 0xFFFFFFFFu) | 0x4330000000000000u);
  return upper - (k84 + k52) + lower;
}
// The highest bit that is set in each, if the next lower one is not, so that none is rounded up.
inline FewLongs level_of(FewLongs v) { return (FewLongs(few_of(v)) >> 52) - 1023; }
