// Volumes whose closed form is known, through raster, surface and integral.
#include "box.hpp"
#include "check.hpp"
#include "integral.hpp"

using namespace volest_test;

namespace {

constexpr double kPi = 3.14159265358979323846;

bool near(double value, double truth, double relative) {
  return std::fabs(value - truth) <= relative * std::fabs(truth);
}

Integral integral_of(const Box &box, const Points &points) {
  Rig rig(box);
  rig.engine.add(points.cloud(), identity(), false);
  rig.engine.finish({0.0, 0.0});
  CHECK(rig.memory.intact());
  return rig.engine.integral();
}

template <class Height>
Integral integral_under(const Box &box, Height height) {
  return integral_of(box, surface(box, height));
}

void a_level_load_in_a_box_is_exact() {
  const Box box;
  const Integral v = integral_under(box, [](double, double) { return 0.5; });
  CHECK(near(v.volume, 4.0, 1e-4));
  CHECK(near(v.struck_capacity, 8.0, 1e-6));
  CHECK(near(v.footprint, 8.0, 1e-6));
  CHECK(v.heaped == 0.0);
  CHECK(near(v.area[kHidden] + v.area[kBetween] + v.area[kSeen], 8.0, 1e-6));
  CHECK(std::fabs(v.moment[0] / v.volume) < 1e-6 && std::fabs(v.moment[1] / v.volume) < 1e-6);
  CHECK(near(v.moment[2] / v.volume, 0.25, 1e-4));
  CHECK(v.surface_variance < 1e-9);
}

// Walls seldom stand on the borders of cells.
void a_box_of_any_size_has_its_volume() {
  for (const double length : {3.97, 4.012, 4.03, 4.049})
    for (const double width : {1.983, 2.008, 2.027}) {
      const Box box({length, width, 0.9, 0.0, 0.05, 0.002});
      const Integral v = integral_under(box, [](double, double) { return 0.45; });
      CHECK(near(v.footprint, length * width, 5e-4));
      CHECK(near(v.struck_capacity, 0.9 * length * width, 5e-4));
      CHECK(near(v.volume, 0.45 * length * width, 5e-4));
    }
}

// A bed turned against the grid has the same footprint.
void walls_askew_to_the_grid_bound_their_own_area() {
  Box box({3.6, 1.8, 1.0, 0.0, 0.05, 0.002});
  const double c = std::cos(0.06), s = std::sin(0.06);
  for (Plane &w : box.bed.walls) w.n = {c * w.n.x - s * w.n.y, s * w.n.x + c * w.n.y, w.n.z};
  const Integral v = integral_under(box, [](double, double) { return 0.5; });
  CHECK(near(v.footprint, 3.6 * 1.8, 1e-3));
  CHECK(near(v.volume, 3.6 * 1.8 * 0.5, 1e-3));
}

void an_empty_box_holds_nothing() {
  const Box box;
  const Integral v = integral_under(box, [](double, double) { return 0.0; });
  CHECK(std::fabs(v.volume) < 4e-4);
  CHECK(v.heaped == 0.0);
}

void a_wedge_is_half_a_box() {
  const Box box;
  const Integral v = integral_under(box, [](double x, double) { return 0.25 * (x + 2.0); });
  CHECK(near(v.volume, 4.0, 0.002));
  CHECK(near(v.moment[0] / v.volume, 2.0 / 3.0, 0.005));  // a third of the length from the high end
  CHECK(near(v.moment[2] / v.volume, 1.0 / 3.0, 0.005));
}

void a_cone_is_a_third_of_a_cylinder() {
  const Box box;
  for (const double shift : {0.0, 0.013, 0.7}) {
    const auto cone = [&](double x, double y) {
      return std::fmax(0.0, 0.7 * (1.0 - std::sqrt((x - shift) * (x - shift) + y * y) / 0.9));
    };
    const Integral v = integral_under(box, cone);
    CHECK(near(v.volume, kPi * 0.9 * 0.9 * 0.7 / 3.0, 0.005));
    CHECK(std::fabs(v.moment[0] / v.volume - shift) < 0.005);
  }
}

void a_load_moved_within_the_bed_keeps_its_volume() {
  const Box box;
  const auto heap = [](double x0) {
    return [=](double x, double y) { return 0.2 + 0.5 * std::exp(-8.0 * ((x - x0) * (x - x0) + y * y)); };
  };
  const double here = integral_under(box, heap(0.0)).volume;
  for (const double x0 : {-0.35, 0.35, 0.1234, -0.7777})
    CHECK(near(integral_under(box, heap(x0)).volume, here, 5e-4));
}

void two_half_loads_add_up() {
  const Box box;
  const auto front = [](double x, double) { return x > 0.0 ? 0.6 : 0.0; };
  const auto rear = [](double x, double) { return x > 0.0 ? 0.0 : 0.6; };
  const double whole = integral_under(box, [](double, double) { return 0.6; }).volume;
  CHECK(near(integral_under(box, front).volume + integral_under(box, rear).volume, whole, 1e-3));
}

void what_stands_above_the_wall_tops_is_heaped() {
  const Box box;
  const Integral v = integral_under(box, [](double, double) { return 1.25; });
  CHECK(near(v.heaped, 2.0, 2e-3));
  CHECK(near(v.volume, 10.0, 1e-3));
}

// Walls that lean outwards by k: the prismatoid's formula (A1 + 4 Am + A2) h / 6.
double frustum(double length, double width, double from, double to, double k) {
  const auto area = [=](double z) { return (length + 2 * k * z) * (width + 2 * k * z); };
  return (to - from) / 6.0 * (area(from) + 4.0 * area(0.5 * (from + to)) + area(to));
}

void leaning_walls_make_a_frustum() {
  for (const double k : {0.02, 0.05, 0.1}) {
    const Box box({4.0, 2.0, 1.0, k, 0.05, 0.002});
    const Integral v = integral_under(box, [](double, double) { return 0.5; });
    CHECK(near(v.struck_capacity, frustum(4.0, 2.0, 0.0, 1.0, k), 0.002));
    CHECK(near(v.footprint, (4.0 + 2 * k) * (2.0 + 2 * k), 1e-3));
    CHECK(near(v.volume, frustum(4.0, 2.0, 0.0, 0.5, k), 0.004));
  }
}

void a_floor_that_sags_holds_more() {
  Box box;
  for (float &z : box.floor) z = -0.02f;
  const Integral v = integral_under(box, [](double, double) { return 0.5; });
  CHECK(near(v.volume, 8.0 * 0.52, 1e-4));
  CHECK(near(v.struck_capacity, 8.0 * 1.02, 1e-5));
}

// The levers are the derivatives of the volume by a motion of the surface; beside the walls, where the slope is
// one-sided, they are a little short.
void levers_are_derivatives() {
  const Box box;
  const double a = 0.08, b = -0.05, e = 0.004;
  const auto plane = [=](double dx, double dy, double dz) {
    return [=](double x, double y) { return 0.5 + a * (x - dx) + b * (y - dy) + dz; };
  };
  const Integral here = integral_under(box, plane(0, 0, 0));
  CHECK(near((integral_under(box, plane(e, 0, 0)).volume - here.volume) / e, here.lever[0], 0.05));
  CHECK(near((integral_under(box, plane(0, e, 0)).volume - here.volume) / e, here.lever[1], 0.05));
  CHECK(near((integral_under(box, plane(0, 0, e)).volume - here.volume) / e, here.lever[2], 0.002));
  CHECK(near(here.lever[0], -8.0 * a, 0.03));
  CHECK(near(here.lever[2], 8.0, 1e-6));
}

// The lever of a rotation about an axis off the middle, where the surface sinks or rises as a whole.
void a_turn_about_the_origin_moves_the_volume_by_its_lever() {
  Box box({4.0, 2.0, 1.0, 0.0, 0.05, 0.002});
  for (Plane &w : box.bed.walls) w.d += w.n.x * 0.3;  // the bed lies 0.3 m further ahead
  const double e = 0.004;
  const auto turned = [=](double pitch) { return [=](double x, double) { return 0.5 - pitch * x; }; };
  const auto under = [&](double pitch) {
    Points points;
    for (double x = -1.7 + 0.0125; x < 2.3; x += 0.025)
      for (double y = -1.0 + 0.0125; y < 1.0; y += 0.025) points.add(x, y, turned(pitch)(x, y));
    return integral_of(box, points);
  };
  const Integral here = under(0.0);
  CHECK(near(here.lever[4], -8.0 * 0.3, 0.01));
  CHECK(near((under(e).volume - here.volume) / e, here.lever[4], 0.02));
}

// A sensor raised raises the load; one that nods lifts what lies ahead of it as much as it lowers what is
// behind.
void the_pose_moves_the_load_about_the_sensor() {
  const Box box;
  const Integral v = integral_under(box, [](double, double) { return 0.5; });
  const auto variance = [&](Vec3 place, int axis) {
    double covariance[36] = {};
    covariance[7 * axis] = 0.01 * 0.01;
    return v.pose_variance(place, covariance);
  };
  CHECK(near(variance({0.3, 0.2, 3.0}, 2), 0.08 * 0.08, 0.01));
  CHECK(variance({0.0, 0.0, 3.0}, 4) < 1e-8);
  CHECK(near(variance({1.5, 0.0, 3.0}, 4), 0.12 * 0.12, 0.01));
}

void scatter_in_the_cells_is_the_variance() {
  const Box box;
  Random random(3);
  const double std = 0.02;
  const Integral v = integral_under(box, [&](double, double) { return 0.5 + random.normal(std); });
  // 9 points in each of 3,200 cells but on the skin; a cell's own spread of n points falls short by 1/n.
  const double expected = std * 8.0 / std::sqrt(9.0 * 3200.0);
  CHECK(near(std::sqrt(v.surface_variance), expected, 0.15));
  CHECK(std::fabs(v.volume - 4.0) < 4.0 * expected + 4.0 * 8.0 * 1e-5);
  CHECK(near(v.roughness, std, 0.25));
}

void hidden_cells_tell_their_distance() {
  const Box box;
  Points half;
  const Points all = surface(box, [](double, double) { return 0.4; });
  for (std::size_t i = 0; i < all.xyz.size(); i += 3)
    if (all.xyz[i] > 0.0f) half.add(all.xyz[i], all.xyz[i + 1], all.xyz[i + 2]);
  const Integral v = integral_of(box, half);
  CHECK(near(v.area[kSeen], 4.0, 0.08));  // the skin at the walls has no returns of its own
  CHECK(near(v.area[kHidden], 4.0, 0.08));
  CHECK(near(v.hidden_distance, 4.0, 0.08));  // 4 m2, 1 m from the seen on average
  CHECK(near(v.volume, 8.0 * 0.4, 1e-3));
}

}  // namespace

int main() {
  a_level_load_in_a_box_is_exact();
  a_box_of_any_size_has_its_volume();
  walls_askew_to_the_grid_bound_their_own_area();
  an_empty_box_holds_nothing();
  a_wedge_is_half_a_box();
  a_cone_is_a_third_of_a_cylinder();
  a_load_moved_within_the_bed_keeps_its_volume();
  two_half_loads_add_up();
  what_stands_above_the_wall_tops_is_heaped();
  leaning_walls_make_a_frustum();
  a_floor_that_sags_holds_more();
  levers_are_derivatives();
  a_turn_about_the_origin_moves_the_volume_by_its_lever();
  the_pose_moves_the_load_about_the_sensor();
  scatter_in_the_cells_is_the_variance();
  hidden_cells_tell_their_distance();
  return volest_test::checks_result("integral");
}
