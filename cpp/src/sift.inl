// Taking from a scan what tells of the bed and its load: the one pass over all its points.

constexpr int kBlock = 256;  // points between two looks at whether there is room for more

struct Sift {
  Affine along[2];           // x and y from the zone's middle, of where the sensor has a point
  float inner[2], outer[2];  // halves of the zone's edges, m
  Sifted &out;
  alignas(64) float held[3][kBlock + V::kLanes];  // of a block, those whose hash lets them stay

  Sift(const Zone &zone, const Pose &prior, Sifted &sifted) : out(sifted) {
    const double t[2] = {prior.t.x, prior.t.y};
    for (int axis = 0; axis < 2; ++axis) {
      const double *row = prior.R + 3 * axis;
      along[axis] = affine_of({row[0], row[1], row[2]}, zone.middle[axis] - t[axis]);
      inner[axis] = static_cast<float>(zone.inner[axis]);
      outer[axis] = static_cast<float>(zone.outer[axis]);
    }
  }

  static V::M within(const float half[2], V::F u, V::F v) {
    return V::both(V::lt(u, V::set(half[0])), V::lt(v, V::set(half[1])));
  }

  // The next places of a stream; its count is kept by the caller, in a register.
  struct End {
    float *x, *y, *z;
    std::int64_t count;

    explicit End(const Stream &s) : x(s.x), y(s.y), z(s.z), count(s.count) {}
    [[gnu::always_inline]] void put(V::M points, V::F px, V::F py, V::F pz) {
      V::pack(x + count, points, px);
      V::pack(y + count, points, py);
      V::pack(z + count, points, pz);
      count += __builtin_popcount(V::mask(points));
    }
  };

  // Puts so many points where they belong.
  template <bool kThinned>
  [[gnu::always_inline]] void place(V::F x, V::F y, V::F z, V::M real, End &amid, End &outline) const {
    const V::F size = V::greater(V::magnitude(x), V::greater(V::magnitude(y), V::magnitude(z)));
    const V::F u = V::magnitude(along[0].at(x, y, z)), v = V::magnitude(along[1].at(x, y, z));
    const V::M sound = V::both(V::lt(V::set(0.0f), size), V::lt(size, V::set(Cloud::farthest)));
    const V::M near = V::both(V::both(real, sound), within(outer, u, v)), inside = within(inner, u, v);
    if (V::mask(near) == 0) return;
    V::M load = V::both(near, inside), edge = V::but_not(near, inside);
    if (kThinned) {
      const V::U hash = hash_of(x, y, z);
      load = V::both(load, stays(hash, out.amid.keep));
      edge = V::both(edge, stays(hash, out.outline.keep));
    }
    amid.put(load, x, y, z);
    outline.put(edge, x, y, z);
  }

  // When there is no room left, half of all go by their hash.
  static void thin(Stream &s) {
    while (s.count > s.capacity) {
      s.keep >>= 1;
      if (s.keep == 0) {  // copies of one point
        s.count = s.capacity;
        return;
      }
      const int count = s.count;
      s.count = 0;
      End end(s);
      for (int i = 0; i < count; i += V::kLanes) {
        const V::F x = V::load(s.x + i), y = V::load(s.y + i), z = V::load(s.z + i);
        end.put(
            V::both(V::first(count - i < V::kLanes ? count - i : V::kLanes), stays(hash_of(x, y, z), s.keep)),
            x, y, z);
      }
      s.count = static_cast<int>(end.count);
    }
  }

  // Calls `use` with the points of a block, kLanes at a time, and with which of them count.
  template <class Points, class Use>
  static void for_block(const Points &points, std::int64_t block, std::int64_t end, Use use) {
    V::F x, y, z;
    const bool is_whole = end - block == kBlock;
    if constexpr (Points::kMaySkip) {
      if (is_whole && points.is_void(block, kBlock)) return;
    } else if (is_whole) {
      for (std::int64_t i = block; i < end; i += V::kLanes) {
        points.load(i, V::kLanes, x, y, z);
        use(x, y, z, V::first(V::kLanes));
      }
      return;
    }
    constexpr int kTogether = RayReach::kRays;
    static_assert(kBlock % kTogether == 0 && kTogether % V::kLanes == 0, "blocks are whole");
    for (std::int64_t some = block; some < end; some += kTogether) {
      const std::int64_t last = end - some < kTogether ? end : some + kTogether;
      if (points.tells_nothing(some, static_cast<int>(last - some))) continue;
      for (std::int64_t i = some; i < last; i += V::kLanes) {
        const int n = last - i < V::kLanes ? static_cast<int>(last - i) : V::kLanes;
        points.load(i, n, x, y, z);
        use(x, y, z, V::first(n));
      }
    }
  }

  template <class Points>
  void run(const Points &points, std::int64_t count) {
    for (std::int64_t block = 0; block < count; block += kBlock) {
      const std::int64_t last = count - block < kBlock ? count : block + kBlock;
      const std::uint32_t keep = out.amid.keep | out.outline.keep;
      End amid(out.amid), outline(out.outline);
      if (out.amid.keep == Stream::kAll && out.outline.keep == Stream::kAll) {
        for_block(points, block, last, [&](V::F x, V::F y, V::F z, V::M real) __attribute__((always_inline)) {
          place<false>(x, y, z, real, amid, outline);
        });
      } else if (keep == Stream::kAll) {
        for_block(points, block, last, [&](V::F x, V::F y, V::F z, V::M real) __attribute__((always_inline)) {
          place<true>(x, y, z, real, amid, outline);
        });
      } else {
        Stream some{held[0], held[1], held[2], kBlock, 0, keep};
        End end(some);
        for_block(points, block, last, [&](V::F x, V::F y, V::F z, V::M real) __attribute__((always_inline)) {
          end.put(V::both(real, stays(hash_of(x, y, z), keep)), x, y, z);
        });
        const int left = static_cast<int>(end.count);
        for (int i = 0; i < left; i += V::kLanes)
          place<true>(V::load(held[0] + i), V::load(held[1] + i), V::load(held[2] + i),
                      V::first(left - i < V::kLanes ? left - i : V::kLanes), amid, outline);
      }
      out.amid.count = static_cast<int>(amid.count);
      out.outline.count = static_cast<int>(outline.count);
      thin(out.amid);
      thin(out.outline);
    }
  }
};

void sift(const Cloud &cloud, const Zone &zone, const Pose &prior, double margin, Sifted &out) noexcept {
  Sift sieve(zone, prior, out);
  const bool is_known = cloud.reach != nullptr && cloud.reach->is_for(prior, margin);
  with_points(cloud, is_known ? cloud.reach->range : nullptr,
              [&](const auto &points) { sieve.run(points, cloud.count); });
}
