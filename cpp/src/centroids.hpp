// The mean of the points in each voxel of a lattice.
#pragma once

#include <cstdint>
#include <vector>

#include "geometry.hpp"

namespace volest {

// What to compute with; the bits are the same.
enum class Lanes { widest, portable };

// A row x y z [m] for each voxel that holds points, in the order of i, then j, then k. Voxel (i, j, k) holds
// the points with i = floor(x / size) and so on, to the rounding of a float32. Where in its voxel a point lies
// is counted in 1/65536 of the edge and summed in integers, so that the order of the points does not matter.
// Throws std::overflow_error when more than 2^62 voxels would span the points.
std::vector<float> voxel_centroids(const Cloud &cloud, double size_m, Lanes lanes = Lanes::widest);

}  // namespace volest
