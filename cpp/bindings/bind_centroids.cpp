#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <memory>
#include <vector>

#include "centroids.hpp"

namespace py = pybind11;
using namespace volest;

namespace {

py::array_t<float> centroids(const py::array_t<float> &points, double size_m, bool portable) {
  if (points.ndim() != 2 || points.shape(1) != 3 ||
      (points.size() > 0 && points.strides(1) != py::ssize_t{sizeof(float)}))
    throw py::value_error("points: expected an (N, 3) float32 array whose x y z lie side by side");
  const Cloud cloud{reinterpret_cast<const char *>(points.data()), points.shape(0), points.strides(0)};
  auto rows = std::make_unique<std::vector<float>>();
  {
    const py::gil_scoped_release release;
    *rows = voxel_centroids(cloud, size_m, portable ? kPortableKernels : best_kernels());
  }
  const auto count = static_cast<py::ssize_t>(rows->size() / 3);
  const float *data = rows->data();
  const py::capsule owner(rows.release(), [](void *held) { delete static_cast<std::vector<float> *>(held); });
  return py::array_t<float>({count, py::ssize_t{3}}, data, owner);
}

}  // namespace

void bind_centroids(py::module_ &m) {
  m.def("voxel_centroids", &centroids, py::arg("points").noconvert(), py::arg("size_m"), py::kw_only(),
        py::arg("portable") = false, "The mean of the points in each voxel that holds some, ordered by voxel.");
}
