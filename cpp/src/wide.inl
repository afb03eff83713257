// Sixteen cells side by side. Every instruction set makes of these what its vectors hold; the lanes never mix,
// so the bits are the same.

typedef float Wide __attribute__((vector_size(64)));
typedef std::int32_t WideInts __attribute__((vector_size(64)));
typedef std::uint8_t WideBytes __attribute__((vector_size(16)));
constexpr int kWide = 16;
constexpr WideInts kWideLanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

inline Wide wide(float v) { return Wide{} + v; }
inline Wide wide_at(const float *p) {
  Wide v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline Wide wide_count_at(const std::uint32_t *p) {
  WideInts v;
  std::memcpy(&v, p, sizeof v);
  return __builtin_convertvector(v, Wide);
}
inline WideInts wide_bytes_at(const void *p) {
  WideBytes v;
  std::memcpy(&v, p, sizeof v);
  return __builtin_convertvector(v, WideInts);
}
inline void put(float *p, Wide v) { std::memcpy(p, &v, sizeof v); }
inline WideInts wide_ints(std::int32_t v) { return WideInts{} + v; }
inline Wide least_of(Wide a, Wide b) { return a < b ? a : b; }
inline Wide greatest_of(Wide a, Wide b) { return a > b ? a : b; }
inline Wide clip(Wide v, float low, float high) { return greatest_of(least_of(v, wide(high)), wide(low)); }
