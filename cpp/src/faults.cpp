#include "faults.hpp"

#include <algorithm>

namespace volest {

EdgeLines edge_lines(const std::vector<EdgePair> &pairs, const float *height, const bool *seen, double unit) {
  EdgeLines lines;
  lines.slope.reserve(pairs.size());
  lines.met.reserve(pairs.size());
  for (const EdgePair &p : pairs) {
    if (!seen[p.near] || !seen[p.further]) continue;
    const double at = (static_cast<double>(height[p.near]) - p.rim_near) / unit;
    const double further = (static_cast<double>(height[p.further]) - p.rim_further) / unit;
    const double slope = (further - at) / p.run;
    lines.slope.push_back(slope);
    lines.met.push_back(at - slope * p.inside);
  }
  return lines;
}

void count_returns(const Cloud &cloud, const BinnedView &view, float least_m, double *counts) {
  constexpr int kBlock = 256;
  const float *a = view.axes;
  const auto ni = static_cast<float>(view.ni), nj = static_cast<float>(view.nj);
  float at[3][kBlock], bin[2][kBlock];
  for (std::int64_t first = 0; first < cloud.count; first += kBlock) {
    const int n = static_cast<int>(std::min<std::int64_t>(kBlock, cloud.count - first));
    for (int k = 0; k < n; ++k) {
      float v[3];
      std::memcpy(v, cloud.data + (first + k) * cloud.stride, sizeof v);
      for (int c = 0; c < 3; ++c) at[c][k] = v[c];
    }
    // Comparisons come before the cast, and all are false for what is no number.
    for (int k = 0; k < n; ++k) {
      const float x = at[0][k], y = at[1][k], z = at[2][k];
      const float right = a[0] * x + a[1] * y + a[2] * z, up = a[3] * x + a[4] * y + a[5] * z,
                  forward = a[6] * x + a[7] * y + a[8] * z;
      const float reach = std::sqrt(right * right + up * up + forward * forward);
      const float scale = view.bins / (reach + forward);
      const float i = right * scale - view.least[0], j = up * scale - view.least[1];
      const bool within =
          (reach > least_m) & (reach < Cloud::farthest) & (i > 0.0f) & (j > 0.0f) & (i < ni) & (j < nj);
      bin[0][k] = within ? i : -1.0f;
      bin[1][k] = j;
    }
    for (int k = 0; k < n; ++k)
      if (bin[0][k] >= 0.0f)
        counts[static_cast<std::int64_t>(bin[0][k]) * view.nj + static_cast<std::int64_t>(bin[1][k])] += 1.0;
  }
}

}  // namespace volest
