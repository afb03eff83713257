// The engine as Python holds it, and how arrays become what the core takes.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <string>

#include "engine.hpp"

namespace volest {

namespace py = pybind11;

using Doubles = py::array_t<double, py::array::c_style | py::array::forcecast>;
using Masks = py::array_t<std::uint64_t, py::array::c_style | py::array::forcecast>;
using Floats = py::array_t<float, py::array::c_style | py::array::forcecast>;

inline void expect_shape(const py::array &a, std::initializer_list<py::ssize_t> shape, const char *name) {
  if (a.ndim() == static_cast<py::ssize_t>(shape.size()) && std::equal(shape.begin(), shape.end(), a.shape()))
    return;
  throw py::value_error(std::string(name) + ": wrong shape");
}

inline Pose pose_of(const Doubles &matrix) {
  expect_shape(matrix, {4, 4}, "pose");
  const auto m = matrix.unchecked<2>();
  Pose pose{};
  for (py::ssize_t i = 0; i < 3; ++i)
    for (py::ssize_t j = 0; j < 3; ++j) pose.R[3 * i + j] = m(i, j);
  pose.t = {m(0, 3), m(1, 3), m(2, 3)};
  return pose;
}

inline Doubles matrix_of(const Pose &pose) {
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

template <std::size_t N>
py::tuple tuple_of(const double (&numbers)[N]) {
  py::tuple out(N);
  for (std::size_t i = 0; i < N; ++i) out[i] = numbers[i];
  return out;
}

inline RegistrationPrior prior_of(const Doubles &std) {
  expect_shape(std, {6}, "std");
  RegistrationPrior prior{};
  for (int i = 0; i < 3; ++i) {
    prior.std_translation[i] = std.at(i);
    prior.std_rotation[i] = std.at(i + 3);
  }
  return prior;
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

}  // namespace volest
