#include "points.hpp"
#include "raster.hpp"

namespace py = pybind11;

namespace volest {
namespace {

// The points of an array where they are; it must outlive the view. Arrays without any have whatever strides.
Cloud view_array(const py::object &object) {
  constexpr const char *kExpected =
      "points: expected an (N, 3) float32 or int16 array whose x y z lie side by side";
  if (!py::isinstance<py::array>(object)) throw py::value_error(kExpected);
  const auto points = py::reinterpret_borrow<py::array>(object);
  const bool is_float = py::isinstance<py::array_t<float>>(points);
  if (!(is_float || py::isinstance<py::array_t<std::int16_t>>(points)) || points.ndim() != 2 ||
      points.shape(1) < 3 || (points.shape(0) > 0 && points.strides(1) != points.itemsize()))
    throw py::value_error(kExpected);
  return {static_cast<const char *>(points.data()), points.shape(0), points.strides(0),
          is_float ? Cloud::Format::kMetres : Cloud::Format::kMillimetres};
}

}  // namespace

Cloud view(const py::object &points) {
  const Cloud cloud =
      py::isinstance<Ranges>(points) ? points.cast<const Ranges &>().cloud() : view_array(points);
  if (cloud.count > kCellCapacity) throw py::value_error("points: more than 16,777,215 in one scan");
  return cloud;
}

}  // namespace volest

void bind_points(py::module_ &m) {
  using namespace volest;
  py::class_<BoundReach, std::shared_ptr<BoundReach>>(m, "RayReach");
  py::class_<Ranges>(m, "Ranges")
      .def(py::init<py::array, py::array_t<float>, std::shared_ptr<BoundReach>>(), py::arg("range_mm"),
           py::arg("directions"), py::arg("reach") = nullptr);
  m.def("has_return", [](const py::object &points) { return view(points).has_return(); }, py::arg("points"));
}
