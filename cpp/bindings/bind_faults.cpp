#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <vector>

#include "kernels.hpp"
#include "points.hpp"

namespace py = pybind11;
using namespace volest;

namespace {

template <class T>
using Array = py::array_t<T, py::array::c_style>;

void expect(bool holds, const char *what) {
  if (!holds) throw py::value_error(what);
}

// Pairs of cells of maps (ny, nx).
struct BoundEdge {
  std::vector<EdgePair> pairs;
  py::ssize_t ny, nx;

  void expect_shape(const py::array &map) const {
    expect(map.ndim() == 2 && map.shape(0) == ny && map.shape(1) == nx, "maps: wrong shape");
  }
};

BoundEdge edge_of(const Array<std::int64_t> &cells, const Array<double> &top, const Array<double> &inside,
                  const Array<double> &run) {
  const py::ssize_t count = inside.size();
  expect(cells.size() == 2 * count && run.size() == count && top.ndim() == 2, "edge: wrong shape");
  BoundEdge edge{{}, top.shape(0), top.shape(1)};
  const std::int64_t *near = cells.data(), *further = near + count;
  expect(std::all_of(near, near + 2 * count, [&](std::int64_t i) { return i >= 0 && i < top.size(); }),
         "cells: outside of the map");
  for (py::ssize_t k = 0; k < count; ++k)
    edge.pairs.push_back(
        {near[k], further[k], top.data()[near[k]], top.data()[further[k]], inside.data()[k], run.data()[k]});
  return edge;
}

// (2, K): the slope of each line, and where it meets the wall.
Array<double> lines(const BoundEdge &edge, const Array<float> &height, const Array<bool> &seen, double unit) {
  edge.expect_shape(height);
  edge.expect_shape(seen);
  const EdgeLines found = edge_lines(edge.pairs, height.data(), seen.data(), unit);
  Array<double> out({py::ssize_t{2}, static_cast<py::ssize_t>(found.met.size())});
  std::copy(found.met.begin(), found.met.end(),
            std::copy(found.slope.begin(), found.slope.end(), out.mutable_data()));
  return out;
}

void returns(const py::object &points, const Array<float> &axes, double bin, const Array<double> &low,
             float least_m, Array<double> &counts) {
  expect(axes.size() == 9 && low.size() == 2 && counts.ndim() == 2 && counts.size() < 1 << 24,
         "view: wrong shape");
  const Cloud cloud = view(points);
  BinnedView from{};
  std::copy_n(axes.data(), 9, from.axes);
  from.bins = static_cast<float>(1.0 / bin);
  for (int a = 0; a < 2; ++a) from.least[a] = static_cast<float>(low.data()[a] / bin);
  from.ni = static_cast<std::int32_t>(counts.shape(0));
  from.nj = static_cast<std::int32_t>(counts.shape(1));
  double *to = counts.mutable_data();
  const py::gil_scoped_release release;
  best_kernels().count_returns(cloud, from, least_m, to);
}

}  // namespace

void bind_faults(py::module_ &m) {
  py::class_<BoundEdge>(m, "EdgePairs")
      .def(py::init(&edge_of), py::arg("cells"), py::arg("top"), py::arg("inside"), py::arg("run"))
      .def("__len__", [](const BoundEdge &edge) { return edge.pairs.size(); })
      .def("lines", &lines, py::arg("height").noconvert(), py::arg("seen").noconvert(), py::arg("unit"));
  m.def("count_returns", &returns, py::arg("points"), py::arg("axes").noconvert(), py::arg("bin"),
        py::arg("low").noconvert(), py::arg("least_m"), py::arg("counts").noconvert());
}
