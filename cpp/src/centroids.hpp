// The mean of the points in each voxel of a lattice.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels.hpp"

namespace volest {

// A row x y z [m] for each voxel that holds points, in the order of i, then j, then k. Voxel (i, j, k) holds
// the points with i = floor(x / size) and so on, to the rounding of a float32. Where in its voxel a point lies
// is counted in 1/65536 of the edge and summed in integers, so that the order of the points does not matter.
// Throws std::overflow_error when more than 2^62 voxels would span the points.
std::vector<float> voxel_centroids(const Cloud &cloud, double size_m, const Kernels &kernels = best_kernels());

}  // namespace volest
