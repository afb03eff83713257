// What sheets over the bed and dirty windows are told by; volest/cover.py and volest/window.py judge it.
#pragma once

#include <vector>

#include "geometry.hpp"

namespace volest {

// A cell near a wall, and one further in on the way across the bed.
struct EdgePair {
  std::int64_t near, further;    // indices into the height map
  double rim_near, rim_further;  // m, the plane of the wall tops over them
  double inside, run;            // how far from the wall the near one is, and how far from it the other one
};

// Straight lines through the surface at such pairs.
struct EdgeLines {
  std::vector<double> slope;  // how much each rises inwards
  std::vector<double> met;    // where it meets the wall, over the wall's top, in the unit of `run`
};

// Of those pairs both of whose cells are seen; `unit` is that of `inside` and `run`, m.
EdgeLines edge_lines(const std::vector<EdgePair> &pairs, const float *height, const bool *seen, double unit);

// The view of a sensor, drawn stereographically in bins about the third of its axes.
struct BinnedView {
  float axes[9];        // right, up, forward: rows
  float bins;           // for each unit of the projection
  float least[2];       // where they begin, in bins from the middle
  std::int32_t ni, nj;  // how many there are along each axis
};

}  // namespace volest
