#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bound_engine.hpp"
#include "points.hpp"

using namespace volest;

namespace {

double pose_variance(const Integral &integral, const Registration &found, const Doubles &covariance) {
  expect_shape(covariance, {6, 6}, "covariance");
  return integral.pose_variance(found.pose.t, covariance.data());
}

// The stages for a named instruction set; the fastest for an empty name.
const Kernels &kernels_named(const std::string &isa) {
  if (isa.empty()) return best_kernels();
  for (const Isa each : kEveryIsa) {
    const Kernels *found = kernels_for(each);
    if (found != nullptr && isa == found->name) return *found;
  }
  throw py::value_error("isa: this machine has no " + isa);
}

std::vector<std::string> instruction_sets() {
  std::vector<std::string> names;
  for (const Isa each : kEveryIsa)
    if (const Kernels *found = kernels_for(each)) names.emplace_back(found->name);
  return names;
}

BoundEngine make_engine(double x0, double y0, double cell, int nx, int ny, double z0, double dz, int nz,
                        double scale, const Doubles &walls, const Doubles &rim, double floor_std,
                        const Doubles &wall_std, const Doubles &skin, const Doubles &liner,
                        const py::array_t<bool> &covered, const Floats &floor, const Masks &fixtures,
                        const std::string &isa) {
  expect_shape(walls, {kWalls, 4}, "walls");
  expect_shape(wall_std, {kWalls}, "wall_std");
  expect_shape(skin, {kWalls}, "skin");
  expect_shape(liner, {kWalls}, "liner");
  expect_shape(covered, {kWalls}, "covered");
  expect_shape(rim, {3}, "rim");
  EngineSpec spec{{x0, y0, cell, nx, ny}, z0, dz, nz};
  Bed bed{};
  bed.grid = spec.grid;
  bed.scale = scale;
  bed.floor_std = floor_std;
  const auto w = walls.unchecked<2>();
  for (py::ssize_t i = 0; i < kWalls; ++i) {
    bed.walls[i] = {{w(i, 0), w(i, 1), w(i, 2)}, w(i, 3)};
    bed.wall_std[i] = wall_std.at(i);
    bed.skin[i] = skin.at(i);
    bed.liner[i] = liner.at(i);
    bed.covered[i] = covered.at(i);
  }
  for (py::ssize_t i = 0; i < 3; ++i) bed.rim[i] = rim.at(i);
  return BoundEngine(spec, bed, floor, fixtures, kernels_named(isa));
}

Registration find_bed(BoundEngine &engine, const py::object &points, const Doubles &prior, const Doubles &std,
                      bool rays, double reach, const std::optional<Doubles> &starts) {
  const RegistrationPrior wide = prior_of(std);
  const Cloud cloud = view(points);
  const Pose pose = pose_of(prior);
  if (starts && (starts->ndim() != 2 || starts->shape(0) < 1 || starts->shape(0) > 64 || starts->shape(1) != 6))
    throw py::value_error("starts: wrong shape");
  const double *from = starts ? starts->data() : nullptr;
  const int count = starts ? static_cast<int>(starts->shape(0)) : 1;
  const py::gil_scoped_release release;
  return engine->find_bed(cloud, pose, wide, rays, reach, from, count);
}

std::shared_ptr<BoundReach> look_along(const BoundEngine &engine, const py::array_t<float> &directions,
                                       const Doubles &prior, double reach) {
  if ((directions.flags() & py::array::c_style) == 0 || directions.size() % 3 != 0)
    throw py::value_error("directions: expected (H, W, 3) in one piece");
  auto known = std::make_shared<BoundReach>();
  known->count = directions.size() / 3;
  known->range.resize(static_cast<std::size_t>(RayReach::blocks(known->count)));
  known->reach.range = known->range.data();
  engine->look_along(directions.data(), known->count, pose_of(prior), reach, known->reach);
  return known;
}

Registration told(const Doubles &pose, const Doubles &std) {
  return Engine::told(pose_of(pose), prior_of(std));
}

PassCounts pass_from(BoundEngine &engine, const py::object &points, const Pose &at, bool rays) {
  const Cloud cloud = view(points);
  const py::gil_scoped_release release;
  return engine->pass(cloud, at, rays);
}

PassCounts add(BoundEngine &engine, const py::object &points, const Doubles &pose, bool rays) {
  const PassCounts counts = pass_from(engine, points, pose_of(pose), rays);
  engine->keep();
  return counts;
}

void lower_hidden_cells(BoundEngine &engine, const Floats &weights) {
  expect_shape(weights, {kHiddenWeights}, "weights");
  const float *values = weights.data();
  const py::gil_scoped_release release;
  engine->lower(values);
}

// The cells (N,) without returns and what each shows of itself (N, kHiddenFeatures).
py::tuple hidden_cells(BoundEngine &engine) {
  std::vector<std::int32_t> cells(static_cast<std::size_t>(engine->bed().grid.size()));
  const int count = engine->hidden_features(cells.data(), nullptr);
  py::array_t<std::int32_t> index(count);
  py::array_t<float> features({count, kHiddenFeatures});
  engine->hidden_features(cells.data(), features.mutable_data());
  std::copy_n(cells.begin(), count, index.mutable_data());
  return py::make_tuple(index, features);
}

// Of sensors whose rays are known: where each stands and its scans.
double blind_m2(BoundEngine &engine,
                const std::vector<std::pair<const Registration *, std::vector<py::object>>> &sensors) {
  std::vector<std::vector<Cloud>> scans;
  std::vector<Sighting> sightings;
  for (const auto &[found, points] : sensors) {
    auto &clouds = scans.emplace_back();
    for (const py::object &each : points) clouds.push_back(view(each));
    sightings.push_back({found->pose, clouds.data(), static_cast<int>(clouds.size())});
  }
  const py::gil_scoped_release release;
  return engine->blind_area(sightings.data(), static_cast<int>(sightings.size()));
}

py::array_t<std::uint64_t> occupied(const BoundEngine &engine) {
  const Grid &g = engine.grid();
  py::array_t<std::uint64_t> out({g.ny, g.nx});
  std::uint64_t *to = out.mutable_data();
  for (int i = 0; i < g.size(); ++i) to[i] = engine.columns().cell[i].mask;
  return out;
}

}  // namespace

void bind_engine(py::module_ &m) {
  py::class_<Registration>(m, "Registration")
      .def_property_readonly("pose", [](const Registration &r) { return matrix_of(r.pose); })
      .def_property_readonly("correction",
                             [](const Registration &r) { return py::array_t<double>(6, r.correction); })
      .def_property_readonly("covariance",
                             [](const Registration &r) { return py::array_t<double>({6, 6}, r.covariance); })
      .def_readonly("score", &Registration::score)
      .def_readonly("agreement", &Registration::agreement)
      .def_readonly("tops", &Registration::tops)
      .def_readonly("evidence", &Registration::evidence)
      .def_readonly("residual", &Registration::residual)
      .def_readonly("inliers", &Registration::inliers)
      .def_readonly("above", &Registration::above)
      .def_readonly("walls_off", &Registration::walls_off)
      .def_readonly("candidates", &Registration::candidates);
  py::class_<PassCounts>(m, "PassCounts")
      .def_readonly("load", &PassCounts::load)
      .def_readonly("wall", &PassCounts::wall)
      .def_readonly("fixture", &PassCounts::fixture)
      .def_readonly("stray", &PassCounts::stray)
      .def_readonly("inside", &PassCounts::inside)
      .def_readonly("beside", &PassCounts::beside)
      .def_readonly("through", &PassCounts::through);
  py::class_<SurfaceCounts>(m, "SurfaceCounts")
      .def_readonly("used", &SurfaceCounts::used)
      .def_readonly("rejected", &SurfaceCounts::rejected)
      .def_readonly("hanging", &SurfaceCounts::hanging)
      .def_readonly("unresolved", &SurfaceCounts::unresolved);
  py::class_<Integral>(m, "Integral")
      .def_readonly("volume", &Integral::volume)
      .def_readonly("heaped", &Integral::heaped)
      .def_readonly("struck_capacity", &Integral::struck_capacity)
      .def_readonly("footprint", &Integral::footprint)
      .def_property_readonly("moment", [](const Integral &v) { return tuple_of(v.moment); })
      .def_property_readonly("area", [](const Integral &v) { return tuple_of(v.area); })
      .def_property_readonly("lever", [](const Integral &v) { return tuple_of(v.lever); })
      .def_readonly("hidden_distance", &Integral::hidden_distance)
      .def_readonly("gap", &Integral::gap)
      .def_readonly("roughness", &Integral::roughness)
      .def_readonly("surface_variance", &Integral::surface_variance)
      .def("pose_variance", &pose_variance, py::arg("found"), py::arg("covariance"));
  py::class_<BoundEngine>(m, "Engine")
      .def(py::init(&make_engine), py::kw_only(), py::arg("x0"), py::arg("y0"), py::arg("cell"), py::arg("nx"),
           py::arg("ny"), py::arg("z0"), py::arg("dz"), py::arg("nz"), py::arg("scale"), py::arg("walls"),
           py::arg("rim"), py::arg("floor_std"), py::arg("wall_std"), py::arg("skin"), py::arg("liner"),
           py::arg("covered"), py::arg("floor"), py::arg("fixtures"), py::arg("isa") = "")
      .def("find_bed", &find_bed, py::arg("points"), py::arg("prior"), py::arg("std"), py::arg("rays"),
           py::arg("reach"), py::arg("starts") = py::none())
      .def("look_along", &look_along, py::arg("directions"), py::arg("prior"), py::arg("reach"))
      .def_static("told", &told, py::arg("pose"), py::arg("std"))
      .def(
          "pass_over",
          [](BoundEngine &e, const py::object &points, const Registration &found, bool rays) {
            return pass_from(e, points, found.pose, rays);
          },
          py::arg("points"), py::arg("found"), py::arg("rays"))
      .def("keep", [](BoundEngine &e) { e->keep(); })
      .def("drop", [](BoundEngine &e) { e->drop(); })
      .def("clear", [](BoundEngine &e) { e->clear(); })
      .def("add", &add, py::arg("points"), py::arg("pose"), py::arg("rays"))
      .def(
          "finish",
          [](BoundEngine &e, double prior_height, double prior_reach) {
            const py::gil_scoped_release release;
            return e->finish({prior_height, prior_reach});
          },
          py::arg("prior_height") = 0.0, py::arg("prior_reach") = 0.0)
      .def("lower_hidden", &lower_hidden_cells, py::arg("weights"))
      .def("hidden_features", &hidden_cells)
      .def("cover",
           [](BoundEngine &e) {
             constexpr const char *kNames[] = {"none", "likely", "sure"};
             return kNames[static_cast<int>(e->cover())];
           })
      .def("blind_m2", &blind_m2, py::arg("sensors"))
      .def("integral", [](BoundEngine &e) { return e->integral(); })
      .def_property_readonly("occupied", &occupied)
      .def_property_readonly("height", [](const BoundEngine &e) { return e.copy(e.map().height); })
      .def_property_readonly("variance", [](const BoundEngine &e) { return e.copy(e.map().variance); })
      .def_property_readonly("count", [](const BoundEngine &e) { return e.copy(e.map().count); })
      .def_property_readonly("bound", [](const BoundEngine &e) { return e.copy(e.map().air.bound); })
      .def_property_readonly("distance", [](const BoundEngine &e) { return e.copy(e.map().distance); })
      .def_property_readonly("state", [](const BoundEngine &e) { return e.copy(e.map().state); });
  m.def("instruction_sets", &instruction_sets);
}
