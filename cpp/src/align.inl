// The passes that registration makes over points: gathering those near walls, and summing over them.

// How far inside the nearest wall, inside the next, and which is the nearest.
inline V::F nearest_wall(const V::F inside[kWalls], V::F &second, V::F &which) {
  V::F least = inside[0];
  second = V::set(1e9f);
  which = V::set(0.0f);
  for (int w = 1; w < kWalls; ++w) {
    const V::F s = inside[w];
    which = V::where(V::lt(s, least), V::set(static_cast<float>(w)), which);
    second = V::lower(second, V::greater(s, least));
    least = V::lower(s, least);
  }
  return least;
}

// The nearest whole number of units, as a float; halves go up.
inline V::F in_units(V::F v, float per_unit) {
  const V::F most = V::set(static_cast<float>(kMostUnits)), up = V::set(static_cast<float>(kMostUnits) + 0.5f);
  const V::F units = V::lower(V::greater(v * V::set(per_unit), V::set(0.0f) - most), most);
  return __builtin_convertvector(V::whole(units + up), V::F) - most;
}

struct Gather {
  Candidates &out;
  Motion motion;
  float reach, behind, over_low, corner, per_unit;
  Affine wall[kWalls] = {}, over{};
  std::uint32_t keep;
  int count = 0;
  alignas(64) float near[3][kBlock + V::kLanes] = {};  // of a block, those whose hash lets them stay
  int nears = 0;

  Gather(const Bed &bed, Candidates &candidates, const Pose &prior, double reach_m, double behind_m,
         double corner_m, std::uint32_t at_first)
      : out(candidates),
        motion(in_metres(prior)),
        reach(static_cast<float>(reach_m)),
        behind(static_cast<float>(-behind_m)),
        over_low(static_cast<float>(-2.0 * bed.rim[0])),
        corner(static_cast<float>(corner_m)),
        per_unit(static_cast<float>(1.0 / candidates.unit)),
        keep(at_first) {
    over = affine_of(bed.over_tops(), bed.rim[0]);
    for (int w = 0; w < kWalls; ++w) wall[w] = affine_of(bed.walls[w].n, bed.walls[w].d);
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
        const V::M left = V::both(V::first(n), stays(V::bits(hash), keep));
        for (float *values : {out.loose[0], out.loose[1], out.loose[2], out.over, out.wall,
                              reinterpret_cast<float *>(out.hash)})
          V::pack(values + kept, left, V::load(values + i));
        kept += __builtin_popcount(V::mask(left));
      }
      count = kept;
    }
  }

  void judge(int first, int n) {
    V::F x = V::load(near[0] + first), y = V::load(near[1] + first), z = V::load(near[2] + first);
    const V::U hash = hash_of(x, y, z);
    motion.apply(x, y, z);
    const V::F insides[kWalls] = {wall[0].at(x, y, z), wall[1].at(x, y, z), wall[2].at(x, y, z),
                                  wall[3].at(x, y, z)};
    V::F second, which;
    const V::F least = nearest_wall(insides, second, which);
    const V::F above = over.at(x, y, z);
    const V::M level = V::both(V::ge(V::set(reach), above), V::ge(above, V::set(over_low)));
    const V::M about = V::both(V::ge(V::set(reach), least), V::ge(least, V::set(behind)));
    const V::M kept = V::both(V::both(V::first(n), V::both(level, about)), V::ge(second, V::set(corner)));
    const unsigned lanes = V::mask(kept);
    if (lanes == 0) return;
    V::pack(out.loose[0] + count, kept, in_units(x, per_unit));
    V::pack(out.loose[1] + count, kept, in_units(y, per_unit));
    V::pack(out.loose[2] + count, kept, in_units(z, per_unit));
    V::pack(out.over + count, kept, above);
    V::pack(out.wall + count, kept, which);
    V::pack(reinterpret_cast<std::int32_t *>(out.hash) + count, kept, V::I(hash));
    count += __builtin_popcount(lanes);
  }

  void place(const Stream &points, int first, int n) {
    const V::F x = V::load(points.x + first), y = V::load(points.y + first), z = V::load(points.z + first);
    const V::M kept = V::both(V::first(n), stays(hash_of(x, y, z), keep));
    V::pack(near[0] + nears, kept, x);
    V::pack(near[1] + nears, kept, y);
    V::pack(near[2] + nears, kept, z);
    nears += __builtin_popcount(V::mask(kept));
  }

  void run(const Stream &points) {
    for (int first = 0; first < points.count; first += kBlock) {
      const int n = points.count - first < kBlock ? points.count - first : kBlock;
      for (int i = 0; i < n; i += V::kLanes) place(points, first + i, n - i < V::kLanes ? n - i : V::kLanes);
      for (int i = 0; i < nears; i += V::kLanes) judge(i, nears - i < V::kLanes ? nears - i : V::kLanes);
      nears = 0;
      if (count > kCandidateCapacity) thin();
    }
  }
};

int gather_candidates(const Bed &bed, const Stream &outline, const Pose &prior, double reach_m, double behind_m,
                      double corner_m, Candidates &out) noexcept {
  std::uint32_t keep = outline.keep;
  for (int left = outline.count; left > 2 * kCandidateCapacity; left /= 2) keep >>= 1;
  Gather gather(bed, out, prior, reach_m, behind_m, corner_m, keep);
  gather.run(outline);
  out.thinned = gather.keep != outline.keep;
  return gather.count;
}

void sort_candidates(int count, float face_below, float top_above, Candidates &c) noexcept {
  std::int32_t at = 0;
  for (int kind = 0; kind < kClasses; ++kind) {
    c.from[kind] = at;
    const V::F wall = V::set(static_cast<float>(kind % kWalls));
    for (int i = 0; i < count; i += V::kLanes) {
      const V::F over = V::load(c.over + i), of = V::load(c.wall + i);
      const V::M may = kind < kWalls ? V::lt(over, V::set(face_below)) : V::lt(V::set(top_above), over);
      const V::M own = V::both(V::both(V::ge(of, wall), V::ge(wall, of)), may);
      const V::M kept = V::both(own, V::first(count - i < V::kLanes ? count - i : V::kLanes));
      V::pack(c.x + at, kept, V::load(c.loose[0] + i));
      V::pack(c.y + at, kept, V::load(c.loose[1] + i));
      V::pack(c.z + at, kept, V::load(c.loose[2] + i));
      at += __builtin_popcount(V::mask(kept));
    }
  }
  c.from[kClasses] = at;
  for (float *axis : {c.x, c.y, c.z}) std::memset(axis + at, 0, kCandidatePad * sizeof(float));
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

// Sums of moments of points of one class under Tukey's weights.
struct MomentSums {
  Doubles8 part[kMoments] = {};

  void add(const float *px, const float *py, const float *pz, int count, bool is_face, const WallView &view,
           float width) {
    const float per_width = 1.0f / width, reach = width < view.rim_reach ? width : view.rim_reach;
    Doubles8 sum[kMoments];  // in registers
    std::memcpy(sum, part, sizeof sum);
    for (int first = 0; first < count; first += kSumLanes) {
      const Floats8 x = load8(px + first), y = load8(py + first), z = load8(pz + first);
      const Floats8 inside = affine8(view.face, x, y, z), over = affine8(view.over, x, y, z);
      const std::int32_t n = count - first;
      const Ints8 real = kEightLanes < Ints8{n, n, n, n, n, n, n, n}, below = over < eight(-view.edge);
      const Ints8 topmost = (inside < eight(view.rim_least)) & (inside > eight(-view.rim_width)) &
                            (over < eight(reach)) & (over > eight(-reach));
      const Floats8 w = is_face ? weights8(inside, per_width, real & below)
                                : weights8(over, per_width, real & topmost & ~below);
      const Doubles8 dw = V::doubles<Doubles8>(w), dx = V::doubles<Doubles8>(x), dy = V::doubles<Doubles8>(y),
                     dz = V::doubles<Doubles8>(z);
      const Doubles8 wx = dw * dx, wy = dw * dy, wz = dw * dz;
      sum[0] += dw;
      sum[1] += wx;
      sum[2] += wy;
      sum[3] += wz;
      sum[4] += wx * dx;
      sum[5] += wx * dy;
      sum[6] += wx * dz;
      sum[7] += wy * dy;
      sum[8] += wy * dz;
      sum[9] += wz * dz;
    }
    std::memcpy(part, sum, sizeof part);
  }
  void total(double out[kMoments]) const {
    for (int m = 0; m < kMoments; ++m) {
      out[m] = 0.0;
      for (int k = 0; k < kSumLanes; ++k) out[m] += part[m][k];
    }
  }
};

// Moments of the candidates of one class for a kernel of so many metres.
void sum_class(const Candidates &c, int kind, const WallView &view, float width,
               double out[kMoments]) noexcept {
  const int from = c.from[kind];
  MomentSums sums;
  sums.add(c.x + from, c.y + from, c.z + from, c.from[kind + 1] - from, kind < kWalls, view, width);
  sums.total(out);
}

// Sorts points of an outline by what they lie on, a block at a time, and sums each class up.
struct OutlineSums {
  Motion motion;
  const WallView *views;
  float per_unit, width, corner;
  MomentSums sums[kClasses] = {};
  alignas(64) float at[kClasses][3][kBlock + V::kLanes] = {};
  int count[kClasses] = {};

  static V::F affine(const float f[4], V::F x, V::F y, V::F z) {
    return Affine{f[0], f[1], f[2], f[3]}.at(x, y, z);
  }

  void put(int kind, V::M points, V::F x, V::F y, V::F z) {
    const unsigned lanes = V::mask(points);
    if (lanes == 0) return;
    float (&to)[3][kBlock + V::kLanes] = at[kind];
    V::pack(to[0] + count[kind], points, x);
    V::pack(to[1] + count[kind], points, y);
    V::pack(to[2] + count[kind], points, z);
    count[kind] += __builtin_popcount(lanes);
  }

  void place(const Stream &points, int first, int n) {
    V::F x = V::load(points.x + first), y = V::load(points.y + first), z = V::load(points.z + first);
    motion.apply(x, y, z);
    x = in_units(x, per_unit);
    y = in_units(y, per_unit);
    z = in_units(z, per_unit);
    const V::F inside[kWalls] = {affine(views[0].face, x, y, z), affine(views[1].face, x, y, z),
                                 affine(views[2].face, x, y, z), affine(views[3].face, x, y, z)};
    V::F second, which;
    nearest_wall(inside, second, which);
    const V::F over = affine(views[0].over, x, y, z), minus = V::set(-views[0].edge);
    const V::M alone = V::both(V::first(n), V::ge(second, V::set(corner))),
               below = V::both(alone, V::lt(over, minus)),
               high = V::both(alone, V::both(V::ge(over, minus), V::lt(over, V::set(width))));
    for (int w = 0; w < kWalls; ++w) {
      const WallView &view = views[w];
      if (view.facing)
        put(w, V::both(below, V::both(V::lt(inside[w], V::set(width)), V::lt(V::set(-width), inside[w]))), x, y,
            z);
      if (!view.covered)
        put(kWalls + w,
            V::both(high, V::both(V::lt(inside[w], V::set(view.rim_least)),
                                  V::lt(V::set(-view.rim_width), inside[w]))),
            x, y, z);
    }
  }

  void run(const Stream &points) {
    for (int first = 0; first < points.count; first += kBlock) {
      const int n = points.count - first < kBlock ? points.count - first : kBlock;
      for (int i = 0; i < n; i += V::kLanes) place(points, first + i, n - i < V::kLanes ? n - i : V::kLanes);
      for (int kind = 0; kind < kClasses; ++kind) {
        sums[kind].add(at[kind][0], at[kind][1], at[kind][2], count[kind], kind < kWalls, views[kind % kWalls],
                       width);
        count[kind] = 0;
      }
    }
  }
};

void sum_outline(const Stream &outline, const Pose &prior, const WallView views[kWalls], double unit,
                 float width, float corner, double out[kClasses][kMoments]) noexcept {
  OutlineSums it{in_metres(prior), views, static_cast<float>(1.0 / unit), width, corner};
  it.run(outline);
  for (int kind = 0; kind < kClasses; ++kind) it.sums[kind].total(out[kind]);
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
