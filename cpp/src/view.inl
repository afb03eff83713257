// How many returns come from each part of a sensor's view.

template <class Points>
void count_in_bins(const Points &points, std::int64_t count, const BinnedView &view, float least_m,
                   double *counts) {
  const V::F ni = V::set(static_cast<float>(view.ni)), nj = V::set(static_cast<float>(view.nj)), nothing{};
  const Affine right{view.axes[0], view.axes[1], view.axes[2], 0.0f},
      up{view.axes[3], view.axes[4], view.axes[5], 0.0f},
      forward{view.axes[6], view.axes[7], view.axes[8], 0.0f};
  for (std::int64_t first = 0; first < count; first += V::kLanes) {
    const int n = count - first < V::kLanes ? static_cast<int>(count - first) : V::kLanes;
    V::F x, y, z;
    points.load(first, n, x, y, z);
    const V::F a = right.at(x, y, z), b = up.at(x, y, z), c = forward.at(x, y, z);
    const V::F reach = wide_roots(a * a + b * b + c * c);
    const V::F scale = V::set(view.bins) / (reach + c);
    const V::F i = a * scale - V::set(view.least[0]), j = b * scale - V::set(view.least[1]);
    // All comparisons are false for what is no number.
    const V::M far = V::both(V::lt(V::set(least_m), reach), V::lt(reach, V::set(Cloud::farthest)));
    const V::M low = V::both(V::lt(nothing, i), V::lt(nothing, j)), high = V::both(V::lt(i, ni), V::lt(j, nj));
    const V::M within = V::both(V::both(V::first(n), far), V::both(low, high));
    const V::I bin =
        V::times(V::whole_where(within, i), static_cast<std::int32_t>(view.nj)) + V::whole_where(within, j);
    std::int32_t bins[V::kLanes];
    V::pack(bins, within, bin);
    for (int k = __builtin_popcount(V::mask(within)); k-- > 0;) counts[bins[k]] += 1.0;
  }
}

void count_returns(const Cloud &cloud, const BinnedView &view, float least_m, double *counts) noexcept {
  with_points(cloud, nullptr,
              [&](const auto &points) { count_in_bins(points, cloud.count, view, least_m, counts); });
}
