// Points, poses, planes and grids: the few shapes that every stage shares.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>

namespace volest {

struct Vec3 {
  double x, y, z;
};

inline Vec3 operator+(Vec3 a, Vec3 b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
inline Vec3 operator-(Vec3 a, Vec3 b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
inline double dot(Vec3 a, Vec3 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
inline Vec3 cross(Vec3 a, Vec3 b) {
  return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}

// T_a_b: p_a = R p_b + t.
struct Pose {
  double R[9];  // row-major
  Vec3 t;

  Vec3 rotate(Vec3 p) const {
    return {R[0] * p.x + R[1] * p.y + R[2] * p.z, R[3] * p.x + R[4] * p.y + R[5] * p.z,
            R[6] * p.x + R[7] * p.y + R[8] * p.z};
  }
  Vec3 operator*(Vec3 p) const { return rotate(p) + t; }
};

// Points p with dot(n, p) = d; n has unit length.
struct Plane {
  Vec3 n;
  double d;

  double distance(Vec3 p) const { return dot(n, p) - d; }
};

// A square-celled grid over the bed's x-y plane; cell (ix, iy) has index iy * nx + ix.
struct Grid {
  double x0, y0;  // least corner, m
  double cell;    // edge of a cell, m
  int nx, ny;

  int size() const { return nx * ny; }
  double centre_x(int ix) const { return x0 + (ix + 0.5) * cell; }
  double centre_y(int iy) const { return y0 + (iy + 0.5) * cell; }
  // Index of the cell that holds (x, y), or -1. Comparisons come before the cast: a float out of
  // range casts differently on each CPU.
  int index(double x, double y) const {
    const double u = (x - x0) / cell, v = (y - y0) / cell;
    if (!(u >= 0.0 && u < nx && v >= 0.0 && v < ny)) return -1;
    return static_cast<int>(v) * nx + static_cast<int>(u);
  }
};

// How far the rays of a table of directions tell of a bed, for one pose of it: in blocks of kRays.
struct RayReach {
  static constexpr int kRays = 16;

  Pose prior;     // that it was worked out for
  double margin;  // m, that the bed may be off
  std::uint32_t
      *range;  // [blocks(count)] mm; what a ray of the block hits from there on lies outside of the zone

  static std::int64_t blocks(std::int64_t count) { return (count + kRays - 1) / kRays; }
  bool is_for(const Pose &pose, double off) const {
    return std::memcmp(&pose, &prior, sizeof pose) == 0 && off <= margin;
  }
};

// Points as the caller holds them; never copied. NaN, infinity, absurd distances and the 0 0 0 of a lost return
// are no measurements.
struct Cloud {
  enum class Format {
    kMetres,       // x y z of each point, float32
    kMillimetres,  // the same as int16
    kRange16,      // a range of each ray, uint16 mm; 0: nothing came back
    kRange32,      // the same as uint32
    kRangeFloat,   // the same as float32, mm
  };

  const char *data;  // of the first point
  std::int64_t count;
  std::ptrdiff_t stride;  // bytes from one point to the next; ranges lie side by side
  Format format = Format::kMetres;
  const float *directions = nullptr;  // [3 * count] unit vectors along the rays of ranges
  const RayReach *reach = nullptr;    // what is known of those rays ahead, or nullptr

  // The farthest coordinate that counts as a measurement, m.
  static constexpr float farthest = 1e4f;

  static bool is_return(const float v[3]) {
    const auto within = [](float x) -> int { return std::fabs(x) < farthest; };
    const int near = within(v[0]) & within(v[1]) & within(v[2]);
    const int away = (v[0] != 0.0f) | (v[1] != 0.0f) | (v[2] != 0.0f);
    return near & away;
  }
  // Whether any ray came back; looks no further than it must.
  bool has_return() const {
    switch (format) {
      case Format::kMetres:
        return any<float[3]>([](const float (&v)[3]) { return is_return(v); });
      case Format::kMillimetres:
        return any<std::int16_t[3]>(
            [](const std::int16_t (&v)[3]) { return v[0] != 0 || v[1] != 0 || v[2] != 0; });
      case Format::kRange16:
        return any<std::uint16_t>([](std::uint16_t range) { return range != 0; });
      case Format::kRange32:
        return any<std::uint32_t>([](std::uint32_t range) { return range != 0; });
      case Format::kRangeFloat:
        return any<float>([](float range) { return range > 0.0f && range < 1e3f * farthest; });
    }
    return false;
  }

 private:
  template <class T, class Is>
  bool any(Is is) const {
    for (std::int64_t i = 0; i < count; ++i) {
      T v;
      std::memcpy(&v, data + i * stride, sizeof v);
      if (is(v)) return true;
    }
    return false;
  }
};

inline double clamp(double v, double low, double high) { return v < low ? low : (v > high ? high : v); }

}  // namespace volest
