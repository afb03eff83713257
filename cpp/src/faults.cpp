#include "faults.hpp"

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

}  // namespace volest
