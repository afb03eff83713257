// The empty bed: four inner walls, the plane of their tops, and the floor as a height map.
#pragma once

#include "geometry.hpp"

namespace volest {

enum Wall { kFront = 0, kRear = 1, kLeft = 2, kRight = 3, kWalls = 4 };

struct Bed {
  Grid grid;
  double scale;         // 1 for truck beds, less for smaller boxes: lengths of details are multiplied with it
  Plane walls[kWalls];  // normals point into the bed
  double rim[3];        // height of the wall tops: rim[0] + rim[1] x + rim[2] y
  double wall_std[kWalls];  // m; how well each wall's place is known
  double floor_std;         // m; how well the height of the floor as a whole is known
  double skin[kWalls];      // m; returns this near to a wall belong to the wall, its ribs included
  double liner[kWalls];     // m; thickness that ribs and bulges have on average over a wall
  bool covered[kWalls];     // whether something lies on the wall's top, a rolled-up tarp say, and hides it
  const float *floor;       // grid.size() heights of the empty bed between the walls, m
  const std::uint64_t
      *fixtures;  // grid.size() masks of the levels where something stands in the empty bed's air

  // Inside, at the floor, m.
  double length() const { return -walls[kFront].d - walls[kRear].d; }
  double width() const { return -walls[kLeft].d - walls[kRight].d; }

  // The gradient of the height over the wall tops.
  Vec3 over_tops() const { return {-rim[1], -rim[2], 1.0}; }
  double rim_height(double x, double y) const { return rim[0] + rim[1] * x + rim[2] * y; }

  // How far (x, y) lies inside the opening at the wall tops; negative outside.
  double inside_opening(double x, double y) const {
    const Vec3 p{x, y, rim_height(x, y)};
    double least = walls[0].distance(p);
    for (int i = 1; i < kWalls; ++i) least = std::fmin(least, walls[i].distance(p));
    return least;
  }

  // Height of the walls with their liners over (x, y), at most that of their tops; -1e9 where only the floor
  // lies below.
  double wall_height(double x, double y) const {
    constexpr double upright = 1e-4;
    double height = -1e9;
    const double top = rim_height(x, y);
    for (int i = 0; i < kWalls; ++i) {
      const Plane &w = walls[i];
      if (w.n.z > upright) {
        height = std::fmax(height, (w.d + liner[i] - w.n.x * x - w.n.y * y) / w.n.z);
      } else if (w.distance({x, y, top}) < liner[i]) {
        height = top;
      }
    }
    return std::fmin(height, top);
  }
};

// Where along x (front and rear) or y (left and right) a wall is `inside` metres away, over all of its length
// and from height `low` to `high`: the place nearest to the bed's middle, and the one farthest from it.
struct WallReach {
  double farthest, nearest;  // into the bed; towards it from outside
};

inline WallReach wall_reach(const Bed &bed, int wall, double inside, double low, double high) {
  const Plane &p = bed.walls[wall];
  const bool crosswise = wall < kLeft;  // the wall runs along y
  const double n = crosswise ? p.n.x : p.n.y, m = crosswise ? p.n.y : p.n.x;
  const double half = bed.grid.cell * (crosswise ? bed.grid.ny : bed.grid.nx);
  double least = 1e30, most = -1e30;
  for (const double z : {low, high})
    for (const double along : {-half, half}) {
      const double at = (p.d + inside - p.n.z * z - m * along) / n;
      least = std::fmin(least, at);
      most = std::fmax(most, at);
    }
  return n > 0.0 ? WallReach{most, least} : WallReach{least, most};
}

}  // namespace volest
