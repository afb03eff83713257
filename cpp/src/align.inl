// The two passes that registration makes over points: gathering those near walls, and summing over them.

inline V::U hash_of(V::F x, V::F y, V::F z) {
  V::U h = (V::bits(x) * V::words(0x9E3779B1u)) ^ (V::bits(y) * V::words(0x85EBCA77u)) ^
           (V::bits(z) * V::words(0xC2B2AE3Du));
  h ^= h >> 15;
  h *= V::words(0x2C1B3C6Du);
  return h ^ (h >> 13);
}

struct Gather {
  const Bed &bed;
  Candidates &out;
  float reach, behind, over_low, corner, per_unit;
  Motion motion{};
  float outer[4] = {}, inner[4] = {};  // least and greatest x, least and greatest y
  float least_z = 0.0f, greatest_z = 0.0f;
  Affine wall[kWalls] = {}, over{};
  std::uint32_t keep = 0xFFFFFFFFu;
  int count = 0;
  alignas(64) float near[3][kBlock + V::kLanes] = {};
  int nears = 0;

  Gather(const Bed &b, Candidates &candidates, const Pose &prior, double reach_m, double behind_m,
         double corner_m)
      : bed(b),
        out(candidates),
        reach(static_cast<float>(reach_m)),
        behind(static_cast<float>(-behind_m)),
        over_low(static_cast<float>(-2.0 * b.rim[0])),
        corner(static_cast<float>(corner_m)),
        per_unit(static_cast<float>(1.0 / candidates.unit)) {
    const double t[3] = {prior.t.x, prior.t.y, prior.t.z};
    for (int i = 0; i < 3; ++i) {
      for (int j = 0; j < 3; ++j) motion.m[4 * i + j] = static_cast<float>(prior.R[3 * i + j]);
      motion.m[4 * i + 3] = static_cast<float>(t[i]);
    }
    const Grid &g = bed.grid;
    const double half_x = 0.5 * g.nx * g.cell + behind_m, half_y = 0.5 * g.ny * g.cell + behind_m;
    const double slant = std::fabs(bed.rim[1]) * half_x + std::fabs(bed.rim[2]) * half_y;
    const double low = -bed.rim[0] - slant, high = bed.rim[0] + slant + reach_m;
    least_z = static_cast<float>(low);
    greatest_z = static_cast<float>(high);
    over = {static_cast<float>(-bed.rim[1]), static_cast<float>(-bed.rim[2]), 1.0f,
            static_cast<float>(-bed.rim[0])};
    for (int w = 0; w < kWalls; ++w) {
      const Plane &p = bed.walls[w];
      wall[w] = {static_cast<float>(p.n.x), static_cast<float>(p.n.y), static_cast<float>(p.n.z),
                 static_cast<float>(-p.d)};
      const int side = w < kLeft ? 1 - w : 5 - w;  // front: greatest x, rear: least x, left: greatest y, right
      const WallReach in = wall_reach(bed, w, reach_m + 1e-3, low, high),
                      off = wall_reach(bed, w, -behind_m - 1e-3, low, high);
      inner[side] = static_cast<float>(in.farthest);
      outer[side] = static_cast<float>(off.nearest);
    }
  }

  // When there is no room left, half of all go by their hash.
  void thin() {
    while (count > kCandidateCapacity) {
      keep >>= 1;
      if (keep == 0) {  // copies of one point
        count = kCandidateCapacity;
        return;
      }
      int kept = 0;
      for (int i = 0; i < count; i += V::kLanes) {
        const V::F hash = V::load(reinterpret_cast<const float *>(out.hash) + i);
        const int n = count - i < V::kLanes ? count - i : V::kLanes;
        const V::M stays = V::both(V::first(n), V::none(V::bits(hash) & V::words(~keep)));
        for (float *values : {out.loose[0], out.loose[1], out.loose[2], out.over,
                              reinterpret_cast<float *>(out.wall), reinterpret_cast<float *>(out.hash)})
          V::pack(values + kept, stays, V::load(values + i));
        kept += __builtin_popcount(V::mask(stays));
      }
      count = kept;
    }
  }

  // The nearest whole number of units, as a float; halves go up.
  V::F whole(V::F v) const {
    const V::F most = V::set(static_cast<float>(kMostUnits)),
               up = V::set(static_cast<float>(kMostUnits) + 0.5f);
    const V::F units = V::lower(V::greater(v * V::set(per_unit), V::set(0.0f) - most), most);
    return __builtin_convertvector(V::whole(units + up), V::F) - most;
  }

  void judge(int first, int n) {
    const V::F x = V::load(near[0] + first), y = V::load(near[1] + first), z = V::load(near[2] + first);
    V::F least = wall[0].at(x, y, z), second = V::set(1e9f), which = V::set(0.0f);
    for (int w = 1; w < kWalls; ++w) {
      const V::F s = wall[w].at(x, y, z);
      const V::M nearer = V::lt(s, least);
      second = V::lower(second, V::greater(s, least));
      which = V::where(nearer, V::set(static_cast<float>(w)), which);
      least = V::lower(s, least);
    }
    const V::F above = over.at(x, y, z);
    const V::M level = V::both(V::ge(V::set(reach), above), V::ge(above, V::set(over_low)));
    const V::M about = V::both(V::ge(V::set(reach), least), V::ge(least, V::set(behind)));
    const V::U hash = hash_of(x, y, z);
    V::M kept = V::both(V::both(V::first(n), V::both(level, about)), V::ge(second, V::set(corner)));
    kept = V::both(kept, V::none(hash & V::words(~keep)));
    const unsigned lanes = V::mask(kept);
    if (lanes == 0) return;
    V::pack(out.loose[0] + count, kept, whole(x));
    V::pack(out.loose[1] + count, kept, whole(y));
    V::pack(out.loose[2] + count, kept, whole(z));
    V::pack(out.over + count, kept, above);
    V::pack(out.wall + count, kept, V::whole(which));
    V::pack(reinterpret_cast<std::int32_t *>(out.hash) + count, kept, V::I(hash));
    count += __builtin_popcount(lanes);
  }

  template <class Points>
  void place(const Points &points, std::int64_t first, int n) {
    V::F x, y, z;
    points.load(first, n, x, y, z);
    const V::F nothing = V::set(0.0f);
    const V::F size = V::greater(x, nothing - x) + V::greater(y, nothing - y) + V::greater(z, nothing - z);
    motion.apply(x, y, z);
    const V::M within = V::both(V::both(V::both(V::ge(x, V::set(outer[0])), V::ge(V::set(outer[1]), x)),
                                        V::both(V::ge(y, V::set(outer[2])), V::ge(V::set(outer[3]), y))),
                                V::both(V::ge(z, V::set(least_z)), V::ge(V::set(greatest_z), z)));
    const V::M amid = V::both(V::both(V::lt(V::set(inner[0]), x), V::lt(x, V::set(inner[1]))),
                              V::both(V::lt(V::set(inner[2]), y), V::lt(y, V::set(inner[3]))));
    const V::M kept = V::both(V::both(V::first(n), V::lt(nothing, size)), V::but_not(within, amid));
    if (V::mask(kept) == 0) return;
    V::pack(near[0] + nears, kept, x);
    V::pack(near[1] + nears, kept, y);
    V::pack(near[2] + nears, kept, z);
    nears += __builtin_popcount(V::mask(kept));
  }

  template <class Points>
  void run(const Points &points, std::int64_t points_count) {
    for (std::int64_t first = 0; first < points_count; first += kBlock) {
      const int n = static_cast<int>(points_count - first < kBlock ? points_count - first : kBlock);
      for (int i = 0; i < n; i += V::kLanes) place(points, first + i, n - i < V::kLanes ? n - i : V::kLanes);
      for (int i = 0; i < nears; i += V::kLanes) judge(i, nears - i < V::kLanes ? nears - i : V::kLanes);
      nears = 0;
      if (count > kCandidateCapacity) thin();
    }
  }
};

// Gathers the points of a scan that lie near walls and tops as the prior has them; how many.
int gather_candidates(const Bed &bed, const Cloud &cloud, const Pose &prior, double reach_m, double behind_m,
                      double corner_m, Candidates &out) noexcept {
  Gather gather(bed, out, prior, reach_m, behind_m, corner_m);
  if (cloud.stride == 12)
    gather.run(PackedPoints{cloud.data}, cloud.count);
  else
    gather.run(StridedPoints{cloud.data, cloud.stride}, cloud.count);
  return gather.count;
}

constexpr int kSumLanes = 8;
typedef float Floats8 __attribute__((vector_size(32)));
typedef std::int32_t Ints8 __attribute__((vector_size(32)));
typedef double Doubles8 __attribute__((vector_size(64)));

inline Floats8 eight(float v) { return Floats8{v, v, v, v, v, v, v, v}; }
inline Floats8 load8(const float *p) {
  Floats8 v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline Floats8 affine8(const float f[4], Floats8 x, Floats8 y, Floats8 z) {
  return eight(f[0]) * x + eight(f[1]) * y + eight(f[2]) * z + eight(f[3]);
}
constexpr Ints8 kEightLanes = {0, 1, 2, 3, 4, 5, 6, 7};

// Tukey's weight of eight residuals, in whole numbers of 1 / kWeightUnit, where `counts` is set.
inline Floats8 weights8(Floats8 residual, float per_width, Ints8 counts) {
  const Floats8 u = residual * eight(per_width), t = eight(1.0f) - u * u;
  const Floats8 bell = (t > eight(0.0f) && counts) ? t * t * eight(kWeightUnit) + eight(0.5f) : eight(0.0f);
  return __builtin_convertvector(__builtin_convertvector(bell, Ints8), Floats8);
}

// Moments of the candidates of one class under Tukey's weights for a kernel of so many metres.
void sum_class(const Candidates &c, int kind, const WallView &view, float width,
               double out[kMoments]) noexcept {
  Doubles8 sums[kMoments] = {};
  const bool is_face = kind < kWalls;
  const float per_width = 1.0f / width, reach = width < view.rim_reach ? width : view.rim_reach;
  for (int first = c.from[kind]; first < c.from[kind + 1]; first += kSumLanes) {
    const Floats8 x = load8(c.x + first), y = load8(c.y + first), z = load8(c.z + first);
    const Floats8 inside = affine8(view.face, x, y, z), over = affine8(view.over, x, y, z);
    const std::int32_t n = c.from[kind + 1] - first;
    const Ints8 real = kEightLanes < Ints8{n, n, n, n, n, n, n, n}, below = over < eight(-view.edge);
    const Ints8 topmost = (inside < eight(view.rim_least)) & (inside > eight(-view.rim_width)) &
                          (over < eight(reach)) & (over > eight(-reach));
    const Floats8 w = is_face ? weights8(inside, per_width, real & below)
                              : weights8(over, per_width, real & topmost & ~below);
    const Doubles8 dw = __builtin_convertvector(w, Doubles8), dx = __builtin_convertvector(x, Doubles8),
                   dy = __builtin_convertvector(y, Doubles8), dz = __builtin_convertvector(z, Doubles8);
    const Doubles8 wx = dw * dx, wy = dw * dy, wz = dw * dz;
    sums[0] += dw;
    sums[1] += wx;
    sums[2] += wy;
    sums[3] += wz;
    sums[4] += wx * dx;
    sums[5] += wx * dy;
    sums[6] += wx * dz;
    sums[7] += wy * dy;
    sums[8] += wy * dz;
    sums[9] += wz * dz;
  }
  for (int m = 0; m < kMoments; ++m) {
    out[m] = 0.0;
    for (int k = 0; k < kSumLanes; ++k) out[m] += sums[m][k];
  }
}

// How many candidates of a class lie within `gate` of it, and how well those within `width` do.
void tally_class(const Candidates &c, int kind, const WallView &view, float gate, float width,
                 ClassTally &out) noexcept {
  constexpr int kStretches = 16;
  Ints8 near{}, on{}, above{}, weights{}, sums{}, squares{}, stretches{};
  const bool is_face = kind < kWalls;
  const float per_width = 1.0f / width, reach = gate < view.rim_reach ? gate : view.rim_reach;
  const Ints8 faces = view.facing ? ~Ints8{} : Ints8{}, tops = view.covered ? Ints8{} : ~Ints8{};
  for (int first = c.from[kind]; first < c.from[kind + 1]; first += kSumLanes) {
    const Floats8 x = load8(c.x + first), y = load8(c.y + first), z = load8(c.z + first);
    const Floats8 inside = affine8(view.face, x, y, z), over = affine8(view.over, x, y, z);
    const std::int32_t n = c.from[kind + 1] - first;
    const Ints8 real = kEightLanes < Ints8{n, n, n, n, n, n, n, n}, below = over < eight(-view.edge);
    const Floats8 r = is_face ? inside : over, size = r < eight(0.0f) ? -r : r;
    const Ints8 rim = (inside < eight(view.rim_least)) & (inside > eight(-view.rim_width));
    const Ints8 is_near = is_face ? real & faces & below & (size < eight(gate))
                                  : real & tops & ~below & rim & (size < eight(reach));
    const Ints8 is_on = is_near & (size < eight(width));
    near -= is_near;
    on -= is_on;
    // Faces that go on above the tops.
    const Floats8 aside = inside < eight(0.0f) ? -inside : inside;
    if (!is_face) above -= real & faces & (over > eight(view.edge + width)) & (aside < eight(width));
    const Floats8 weight = weights8(r, per_width, is_on), u = r * eight(per_width);
    weights += __builtin_convertvector(weight, Ints8);
    sums += __builtin_convertvector(is_on ? u * weight * eight(16.0f) : eight(0.0f), Ints8);
    squares += __builtin_convertvector(is_on ? u * u * weight * eight(16.0f) : eight(0.0f), Ints8);
    const Floats8 d0 = affine8(view.ends[0], x, y, z), all = d0 + affine8(view.ends[1], x, y, z);
    Floats8 along = all > eight(1e-6f) ? d0 / all : eight(0.0f);
    along = along < eight(0.0f) ? eight(0.0f) : (along > eight(0.999f) ? eight(0.999f) : along);
    const Ints8 bit = Ints8{1, 1, 1, 1, 1, 1, 1, 1}
                      << __builtin_convertvector(along * eight(kStretches), Ints8);
    stretches |= is_on & bit;
  }
  out = {};
  double sum = 0.0, first = 0.0;
  for (int k = 0; k < kSumLanes; ++k) {
    out.near += near[k];
    out.on += on[k];
    out.above += above[k];
    out.weight += static_cast<double>(weights[k]);
    sum += static_cast<double>(squares[k]);
    first += static_cast<double>(sums[k]);
    out.stretches |= static_cast<std::uint32_t>(stretches[k]);
  }
  out.sum = first / 16.0 * static_cast<double>(width);
  out.squares = sum / 16.0 * static_cast<double>(width) * static_cast<double>(width);
}
