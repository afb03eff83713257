// Volumes between the load's surface and the empty bed, with what their uncertainty needs.
#pragma once

#include "surface.hpp"

namespace volest {

struct Integral {
  double volume;           // m3; signed where nothing but the floor lies below
  double heaped;           // m3 above the plane of the wall tops
  double struck_capacity;  // m3 of the empty bed up to the wall tops
  double footprint;        // m2 of the opening
  double moment[3];        // m4; volume times its centroid
  double area[4];          // m2 by CellState
  double lever[6];         // d volume / d (translation, rotation about the bed's origin) of the whole surface
  double hidden_distance;  // integral over the hidden cells of the distance to the nearest return, m3
  double gap;        // integral over the cells between returns of the distance to them beyond two cells, m3
  double roughness;  // root mean square spread and slope of the seen surface within a cell, m
  double surface_variance;  // m6; variance of the volume from the scatter of the returns in each cell

  // Variance of the volume, m6, of a surface seen from `place` alone, whose `covariance` (6 x 6, row-major) is
  // of a translation and a rotation about that place; the levers are about the bed's origin.
  double pose_variance(Vec3 place, const double *covariance) const {
    const Vec3 arm = cross(place, {lever[0], lever[1], lever[2]});
    const double gradient[6] = {lever[0],         lever[1],         lever[2],
                                lever[3] - arm.x, lever[4] - arm.y, lever[5] - arm.z};
    double variance = 0.0;
    for (int i = 0; i < 6; ++i)
      for (int j = 0; j < 6; ++j) variance += gradient[i] * covariance[6 * i + j] * gradient[j];
    return variance;
  }
};

}  // namespace volest
