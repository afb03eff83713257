// Points as they come, kLanes at a time, in metres: V is the class of vectors of an instruction set.

// Points that lie anywhere, one after the other.
struct StridedPoints {
  const char *data;
  std::ptrdiff_t stride;

  static constexpr bool kMaySkip = false;
  bool tells_nothing(std::int64_t, int) const { return false; }
  void load(std::int64_t first, int count, V::F &x, V::F &y, V::F &z) const {
    float v[3][V::kLanes] = {};
    for (int i = 0; i < count; ++i) {
      float p[3];
      std::memcpy(p, data + (first + i) * stride, sizeof p);
      for (int a = 0; a < 3; ++a) v[a][i] = p[a];
    }
    x = V::load(v[0]);
    y = V::load(v[1]);
    z = V::load(v[2]);
  }
};

// Points whose coordinates lie side by side without a gap.
struct PackedPoints {
  const char *data;

  static constexpr bool kMaySkip = false;
  bool tells_nothing(std::int64_t, int) const { return false; }
  void load(std::int64_t first, int count, V::F &x, V::F &y, V::F &z) const {
    const char *p = data + first * 12;
    if (count == V::kLanes) {
      for (int line = 0; line < 12 * V::kLanes; line += 64) __builtin_prefetch(p + 2048 + line);
      V::load3(p, x, y, z);
    } else {
      StridedPoints{data, 12}.load(first, count, x, y, z);
    }
  }
};

constexpr float kMillimetre = 1e-3f;  // m

// Whole millimetres, as sensors pack them.
struct MillimetrePoints {
  const char *data;
  std::ptrdiff_t stride;

  static constexpr bool kMaySkip = false;
  bool tells_nothing(std::int64_t, int) const { return false; }
  void load(std::int64_t first, int count, V::F &x, V::F &y, V::F &z) const {
    float v[3][V::kLanes] = {};
    for (int i = 0; i < count; ++i) {
      std::int16_t p[3];
      std::memcpy(p, data + (first + i) * stride, sizeof p);
      for (int a = 0; a < 3; ++a) v[a][i] = static_cast<float>(p[a]);
    }
    const V::F unit = V::set(kMillimetre);
    x = V::load(v[0]) * unit;
    y = V::load(v[1]) * unit;
    z = V::load(v[2]) * unit;
  }
};

// Ranges as floats.
inline V::F floats_at(const std::uint16_t *p) { return wide_floats(wide_ints_at(p)); }
inline V::F floats_at(const std::uint32_t *p) {
  V::U v;
  std::memcpy(&v, p, sizeof v);
  return __builtin_convertvector(v, V::F);
}
inline V::F floats_at(const float *p) { return V::load(p); }

// Ranges along rays whose directions are known.
template <class Range>
struct RangePoints {
  const Range *range;
  const float *directions;
  const std::uint32_t *reach;  // of blocks of rays, or nullptr

  static constexpr bool kMaySkip = true;
  // Whether none of these rays, a whole block of them, has a return: the sky gives none.
  bool is_void(std::int64_t first, std::int64_t count) const {
    const char *at = reinterpret_cast<const char *>(range + first);
    V::U any{};
    for (const char *end = at + count * static_cast<std::int64_t>(sizeof(Range)); at < end; at += sizeof any) {
      V::U some;
      std::memcpy(&some, at, sizeof some);
      any |= some;
    }
    return V::mask(V::none(any)) == V::mask(V::first(V::kLanes));
  }
  // Whether no ray of a whole block ends where it would tell of the bed.
  bool tells_nothing(std::int64_t first, int count) const {
    if (reach == nullptr || count < RayReach::kRays) return false;
    const V::F end = V::set(static_cast<float>(reach[first / RayReach::kRays])), nothing{};
    unsigned near = 0;
    for (int k = 0; k < RayReach::kRays; k += V::kLanes) {
      const V::F ranges = floats_at(range + first + k);
      near |= V::mask(V::both(V::lt(nothing, ranges), V::lt(ranges, end)));
    }
    return near == 0;
  }
  void load(std::int64_t first, int count, V::F &x, V::F &y, V::F &z) const {
    PackedPoints{reinterpret_cast<const char *>(directions)}.load(first, count, x, y, z);
    Range last[V::kLanes] = {};
    if (count < V::kLanes) std::memcpy(last, range + first, static_cast<std::size_t>(count) * sizeof(Range));
    const V::F metres = floats_at(count < V::kLanes ? last : range + first) * V::set(kMillimetre);
    x = x * metres;
    y = y * metres;
    z = z * metres;
  }
};

// Calls `use` with the points of a cloud in whatever form they come; `reach` is of its blocks of rays, or
// nullptr.
template <class Use>
void with_points(const Cloud &cloud, const std::uint32_t *reach, Use use) {
  const auto ranges = [&](auto range) {
    return RangePoints<decltype(range)>{reinterpret_cast<const decltype(range) *>(cloud.data), cloud.directions,
                                        reach};
  };
  switch (cloud.format) {
    case Cloud::Format::kMetres:
      if (cloud.stride == 12) return use(PackedPoints{cloud.data});
      return use(StridedPoints{cloud.data, cloud.stride});
    case Cloud::Format::kMillimetres:
      return use(MillimetrePoints{cloud.data, cloud.stride});
    case Cloud::Format::kRange16:
      return use(ranges(std::uint16_t{}));
    case Cloud::Format::kRange32:
      return use(ranges(std::uint32_t{}));
    case Cloud::Format::kRangeFloat:
      return use(ranges(float{}));
  }
}

// A rigid motion as floats, applied to vectors.
struct Motion {
  float m[12];  // row-major, the shift last in each row

  void apply(V::F &x, V::F &y, V::F &z) const {
    const V::F a = x, b = y, c = z;
    x = a * V::set(m[0]) + b * V::set(m[1]) + c * V::set(m[2]) + V::set(m[3]);
    y = a * V::set(m[4]) + b * V::set(m[5]) + c * V::set(m[6]) + V::set(m[7]);
    z = a * V::set(m[8]) + b * V::set(m[9]) + c * V::set(m[10]) + V::set(m[11]);
  }
};

// A pose in units of so many metres along each axis, from an origin.
inline Motion motion_of(const Pose &pose, const double per_unit[3], const double origin[3]) {
  const double t[3] = {pose.t.x, pose.t.y, pose.t.z};
  Motion out;
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) out.m[4 * i + j] = static_cast<float>(pose.R[3 * i + j] * per_unit[i]);
    out.m[4 * i + 3] = static_cast<float>((t[i] - origin[i]) * per_unit[i]);
  }
  return out;
}

inline Motion in_metres(const Pose &pose) {
  constexpr double kMetre[3] = {1.0, 1.0, 1.0}, kNowhere[3] = {0.0, 0.0, 0.0};
  return motion_of(pose, kMetre, kNowhere);
}

// An affine function of place.
struct Affine {
  float a, b, c, d;

  V::F at(V::F x, V::F y, V::F z) const { return x * V::set(a) + y * V::set(b) + z * V::set(c) + V::set(d); }
};

// n p - d, of p in m.
inline Affine affine_of(Vec3 n, double d) {
  return {static_cast<float>(n.x), static_cast<float>(n.y), static_cast<float>(n.z), static_cast<float>(-d)};
}

inline V::U hash_of(V::F x, V::F y, V::F z) {
  V::U h = (V::bits(x) * V::words(0x9E3779B1u)) ^ (V::bits(y) * V::words(0x85EBCA77u)) ^
           (V::bits(z) * V::words(0xC2B2AE3Du));
  h ^= h >> 15;
  h *= V::words(0x2C1B3C6Du);
  return h ^ (h >> 13);
}

// Which points stay where those are kept whose hash has no other bits.
inline V::M stays(V::U hash, std::uint32_t keep) { return V::none(hash & V::words(~keep)); }
