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

#include "engine.hpp"
#include "points.hpp"

namespace py = pybind11;
using namespace volest;

namespace {

using Doubles = py::array_t<double, py::array::c_style | py::array::forcecast>;
using Masks = py::array_t<std::uint64_t, py::array::c_style | py::array::forcecast>;
using Floats = py::array_t<float, py::array::c_style | py::array::forcecast>;

void expect_shape(const py::array &a, std::initializer_list<py::ssize_t> shape, const char *name) {
  if (a.ndim() == static_cast<py::ssize_t>(shape.size()) && std::equal(shape.begin(), shape.end(), a.shape()))
    return;
  throw py::value_error(std::string(name) + ": wrong shape");
}

Pose pose_of(const Doubles &matrix) {
  expect_shape(matrix, {4, 4}, "pose");
  const auto m = matrix.unchecked<2>();
  Pose pose{};
  for (py::ssize_t i = 0; i < 3; ++i)
    for (py::ssize_t j = 0; j < 3; ++j) pose.R[3 * i + j] = m(i, j);
  pose.t = {m(0, 3), m(1, 3), m(2, 3)};
  return pose;
}

Doubles matrix_of(const Pose &pose) {
  Doubles out({4, 4});
  auto m = out.mutable_unchecked<2>();
  for (py::ssize_t i = 0; i < 3; ++i)
    for (py::ssize_t j = 0; j < 3; ++j) m(i, j) = pose.R[3 * i + j];
  m(0, 3) = pose.t.x;
  m(1, 3) = pose.t.y;
  m(2, 3) = pose.t.z;
  m(3, 0) = m(3, 1) = m(3, 2) = 0.0;
  m(3, 3) = 1.0;
  return out;
}

template <int N>
py::tuple tuple_of(const double (&numbers)[N]) {
  py::tuple out(N);
  for (int i = 0; i < N; ++i) out[i] = numbers[i];
  return out;
}

double pose_variance(const Integral &integral, const Registration &found, const Doubles &covariance) {
  expect_shape(covariance, {6, 6}, "covariance");
  return integral.pose_variance(found.pose.t, covariance.data());
}

// An engine with the memory, the floor and the fixtures that it looks at.
class BoundEngine {
 public:
  BoundEngine(const EngineSpec &spec, Bed bed, const Floats &floor, const Masks &fixtures,
              const Kernels &kernels) {
    if (spec.nz < 1 || spec.nz > 64 || spec.grid.nx < 1 || spec.grid.ny < 1 || spec.grid.nx > 4096 ||
        spec.grid.ny > 4096)
      throw py::value_error("spec: expected 1 to 64 levels and 1 to 4096 cells along each axis");
    expect_shape(floor, {spec.grid.ny, spec.grid.nx}, "floor");
    expect_shape(fixtures, {spec.grid.ny, spec.grid.nx}, "fixtures");
    const auto cells = static_cast<std::size_t>(spec.grid.size());
    floor_.reset(new float[cells]);
    std::memcpy(floor_.get(), floor.data(), cells * sizeof(float));
    bed.floor = floor_.get();
    fixtures_.reset(new std::uint64_t[cells]);
    std::memcpy(fixtures_.get(), fixtures.data(), cells * sizeof(std::uint64_t));
    bed.fixtures = fixtures_.get();
    memory_.reset(new Piece[Engine::required_bytes(spec) / sizeof(Piece) + 1]);
    engine_.reset(new Engine(spec, bed, memory_.get(), kernels));
  }
  Engine &operator*() { return *engine_; }
  Engine *operator->() { return engine_.get(); }
  const Engine *operator->() const { return engine_.get(); }

  template <class T>
  py::array_t<T> copy(const T *cells) const {
    const Grid &g = engine_->bed().grid;
    return py::array_t<T>({g.ny, g.nx}, cells);
  }
  const Grid &grid() const { return engine_->bed().grid; }
  const HeightMap &map() const { return engine_->map(); }
  const Columns &columns() const { return engine_->columns(); }

 private:
  struct alignas(64) Piece {
    unsigned char bytes[64];
  };
  std::unique_ptr<float[]> floor_;
  std::unique_ptr<std::uint64_t[]> fixtures_;
  std::unique_ptr<Piece[]> memory_;
  std::unique_ptr<Engine> engine_;
};

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
                        double scale, const Doubles &walls, const Doubles &rim, const Doubles &wall_std,
                        const Doubles &skin, const Doubles &liner, const py::array_t<bool> &covered,
                        const Floats &floor, const Masks &fixtures, const std::string &isa) {
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

RegistrationPrior prior_of(const Doubles &std) {
  expect_shape(std, {6}, "std");
  RegistrationPrior prior{};
  for (int i = 0; i < 3; ++i) {
    prior.std_translation[i] = std.at(i);
    prior.std_rotation[i] = std.at(i + 3);
  }
  return prior;
}

// Where the bed is and, if they are asked for, what the points are when it is there.
Registration search(BoundEngine &engine, const py::object &points, const Doubles &prior, const Doubles &std,
                    bool rays, double reach, const std::optional<Doubles> &starts, PassCounts *counts) {
  const RegistrationPrior wide = prior_of(std);
  const Cloud cloud = view(points);
  const Pose pose = pose_of(prior);
  if (starts && (starts->ndim() != 2 || starts->shape(0) < 1 || starts->shape(0) > 64 || starts->shape(1) != 6))
    throw py::value_error("starts: wrong shape");
  const double *from = starts ? starts->data() : nullptr;
  const int count = starts ? static_cast<int>(starts->shape(0)) : 1;
  const py::gil_scoped_release release;  // once for both: to take the lock back may mean to wait for it
  const Registration found = engine->find_bed(cloud, pose, wide, rays, reach, from, count);
  if (counts != nullptr) *counts = engine->pass_found(found, rays);
  return found;
}

Registration find_bed(BoundEngine &engine, const py::object &points, const Doubles &prior, const Doubles &std,
                      bool rays, double reach, const std::optional<Doubles> &starts) {
  return search(engine, points, prior, std, rays, reach, starts, nullptr);
}

std::pair<Registration, PassCounts> place(BoundEngine &engine, const py::object &points, const Doubles &prior,
                                          const Doubles &std, bool rays, double reach,
                                          const std::optional<Doubles> &starts) {
  PassCounts counts{};
  const Registration found = search(engine, points, prior, std, rays, reach, starts, &counts);
  return {found, counts};
}

// Finishes the surface, and lowers what is hidden unless a second pass over the points is worth it first.
SurfaceCounts complete(BoundEngine &engine, const std::optional<Floats> &weights,
                       std::int64_t most_unresolved) {
  if (weights) expect_shape(*weights, {kHiddenWeights}, "weights");
  const float *values = weights ? weights->data() : nullptr;
  const py::gil_scoped_release release;
  const SurfaceCounts counts = engine->finish({0.0, 0.0});
  if (values != nullptr && counts.unresolved <= most_unresolved) engine->lower(values);
  return counts;
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
      .def(
          "deviation",
          [](const Registration &r, const Doubles &std, double least) {
            return r.deviation(prior_of(std), least);
          },
          py::arg("std"), py::arg("least"))
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
           py::arg("rim"), py::arg("wall_std"), py::arg("skin"), py::arg("liner"), py::arg("covered"),
           py::arg("floor"), py::arg("fixtures"), py::arg("isa") = "")
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
      .def("place", &place, py::arg("points"), py::arg("prior"), py::arg("std"), py::arg("rays"),
           py::arg("reach"), py::arg("starts") = py::none())
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
      .def(
          "resolve",
          [](BoundEngine &e, const py::object &points, const Registration &found, bool rays) {
            const Cloud cloud = view(points);
            const py::gil_scoped_release release;
            e->resolve(cloud, found.pose, rays);
          },
          py::arg("points"), py::arg("found"), py::arg("rays"))
      .def("complete", &complete, py::arg("weights"), py::arg("most_unresolved"))
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
