// The loops over points and voxels that means of voxels take.

// In the order of memory: of three vectors side by side lane k holds the coordinate k % 3.
struct Survey {
  V::F low[3], high[3];
  V::I least[3], most[3];  // magnitudes, whose bits are in their order; NaN is the greatest

  Survey() {
    for (int j = 0; j < 3; ++j) {
      low[j] = V::set(2.0f * Cloud::farthest);
      high[j] = V::set(-2.0f * Cloud::farthest);
      least[j] = V::I(low[j]);
      most[j] = V::I{};
    }
  }

  void look(const float *xyz) {
    for (int j = 0; j < 3; ++j) {
      const V::F v = V::load(xyz + j * V::kLanes);
      const V::I size = V::I(v) & 0x7FFFFFFF;
      low[j] = V::lower(v, low[j]);
      high[j] = V::greater(v, high[j]);
      least[j] = size < least[j] ? size : least[j];
      most[j] = size > most[j] ? size : most[j];
    }
  }

  Span total() const {
    Span span{{low[0][0], low[0][1], low[0][2]}, {high[0][0], high[0][1], high[0][2]}, true};
    const auto farthest = V::I(V::set(Cloud::farthest))[0];
    for (int k = 0; k < 3 * V::kLanes; ++k) {
      const int j = k / V::kLanes, lane = k % V::kLanes;
      span.low[k % 3] = std::fmin(span.low[k % 3], low[j][lane]);
      span.high[k % 3] = std::fmax(span.high[k % 3], high[j][lane]);
      span.sound = span.sound && least[j][lane] > 0 && most[j][lane] < farthest;
    }
    return span;
  }
};

Span survey(const float *xyz, std::int64_t count) noexcept {
  Survey all;
  const float *const end = xyz + 3 * count;
  for (const float *p = xyz; end - p >= 3 * V::kLanes; p += 3 * V::kLanes) all.look(p);
  if (count >= V::kLanes) {  // the last, some of them again
    all.look(end - 3 * V::kLanes);
  } else if (count > 0) {
    float few[3 * V::kLanes];
    for (int k = 0; k < 3 * V::kLanes; ++k) few[k] = xyz[k % (3 * count)];
    all.look(few);
  }
  return all.total();
}

// Of a block of points: their voxels, and of each point where in its voxel it lies, and a one, in 16 bits each.
struct VoxelBlock {
  alignas(64) std::uint32_t voxel[kBlock + V::kLanes];
  alignas(64) std::uint32_t own[2 * (kBlock + V::kLanes)];
};

inline void place_in_voxels(const PackedPoints &points, std::int64_t first, int n, const Lattice &l,
                            VoxelBlock &out) {
  const V::F scale = V::set(l.scale);
  // Modulo 2^32, as all that is worked out with them.
  const V::U stride_x = V::words(static_cast<std::uint32_t>(l.n[1] * l.n[2])),
             stride_y = V::words(static_cast<std::uint32_t>(l.n[2])),
             lowest = V::words(static_cast<std::uint32_t>((l.low[0] * l.n[1] + l.low[1]) * l.n[2] + l.low[2]));
  const V::U within = V::words(Lattice::kSteps - 1);
  for (int i = 0; i < n; i += V::kLanes) {
    V::F x, y, z;
    points.load(first + i, n - i < V::kLanes ? n - i : V::kLanes, x, y, z);
    const V::I u = V::floor(x * scale), v = V::floor(y * scale), w = V::floor(z * scale);
    const V::U i_x = V::U(u >> Lattice::kStepBits), i_y = V::U(v >> Lattice::kStepBits),
               i_z = V::U(w >> Lattice::kStepBits);
    put_lanes(out.voxel + i, i_x * stride_x + i_y * stride_y + i_z - lowest);
    V::zip(out.own + 2 * i, (V::U(u) & within) | V::U(v) << 16, (V::U(w) & within) | V::words(1u << 16));
  }
}

inline void add_to_voxel(const VoxelBlock &block, int i, VoxelSums *sums) {
  typedef std::uint32_t Four __attribute__((vector_size(16)));
  VoxelSums *to = sums + block.voxel[i];
  put_lanes(to, lanes_at<Four>(to) + Four(V::widened(block.own + 2 * i)));
}

void add_points(const float *xyz, std::int64_t count, const Lattice &l, VoxelSums *sums) {
  const PackedPoints points{reinterpret_cast<const char *>(xyz)};
  VoxelBlock block;
  for (std::int64_t first = 0; first < count; first += kBlock) {
    const int n = count - first < kBlock ? static_cast<int>(count - first) : kBlock, quarter = n / 4;
    place_in_voxels(points, first, n, l, block);
    // Points that follow each other often share a voxel, whose sums would have to be waited for: four far apart
    // in turn.
    for (int i = 0; i < quarter; ++i)
      for (int part = 0; part < 4; ++part) add_to_voxel(block, i + part * quarter, sums);
    for (int i = 4 * quarter; i < n; ++i) add_to_voxel(block, i, sums);
  }
}

// Sets a bit for each voxel that holds points, 64 voxels to the word; returns all their counts or'ed.
std::uint32_t mark_occupied(const VoxelSums *sums, std::size_t words, std::uint64_t *occupied) {
  V::U all{};
  for (std::size_t w = 0; w < words; ++w, sums += 64) {
    std::uint32_t count[64];
    for (int k = 0; k < 64; ++k) count[k] = sums[k].count;
    std::uint64_t empty = 0;
    for (int k = 0; k < 64; k += V::kLanes) {
      const auto counts = lanes_at<V::U>(count + k);
      all |= counts;
      empty |= static_cast<std::uint64_t>(V::mask(V::none(counts))) << k;
    }
    occupied[w] = ~empty;
  }
  std::uint32_t any = 0;
  for (int k = 0; k < V::kLanes; ++k) any |= all[k];
  return any;
}

std::uint32_t sum_voxels(const float *xyz, std::int64_t count, const Lattice &l, VoxelSums *sums,
                         std::size_t words, std::uint64_t *occupied) noexcept {
  add_points(xyz, count, l, sums);
  return mark_occupied(sums, words, occupied);
}
