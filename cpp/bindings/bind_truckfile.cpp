#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>

#include "truckfile.hpp"

namespace py = pybind11;
using namespace volest;

namespace {

template <class T>
py::array_t<T> row(const T *values, py::ssize_t count) {
  return py::array_t<T>(count, values);
}

py::list sensors_of(const TruckFile &file) {
  py::list sensors;
  for (int i = 0; i < file.sensor_count; ++i) {
    const StoredSensor &s = file.sensors[i];
    py::dict entry;
    entry["id"] = py::str(s.id);
    entry["rotation"] = py::array_t<double>({3, 3}, s.pose.R);
    entry["translation"] = row(&s.pose.t.x, 3);
    entry["std_translation"] = s.std_translation;
    entry["std_rotation"] = s.std_rotation;
    entry["range_noise"] = s.range_noise;
    entry["pose_std_told"] = s.pose_std_told != 0;
    sensors.append(entry);
  }
  return sensors;
}

py::dict bed_of(const TruckFile &file) {
  const Bed &bed = file.bed;
  py::dict out;
  const py::ssize_t nx = bed.grid.nx, ny = bed.grid.ny;
  py::array_t<double> walls({py::ssize_t{kWalls}, py::ssize_t{4}});
  auto w = walls.mutable_unchecked<2>();
  for (py::ssize_t i = 0; i < kWalls; ++i) {
    w(i, 0) = bed.walls[i].n.x;
    w(i, 1) = bed.walls[i].n.y;
    w(i, 2) = bed.walls[i].n.z;
    w(i, 3) = bed.walls[i].d;
  }
  out["walls"] = walls;
  out["rim"] = row(bed.rim, 3);
  out["wall_std_m"] = row(bed.wall_std, kWalls);
  out["skin"] = row(bed.skin, kWalls);
  out["liner"] = row(bed.liner, kWalls);
  out["covered"] = row(bed.covered, kWalls);
  out["floor"] = py::array_t<float>({ny, nx}, bed.floor);
  out["fixtures"] = py::array_t<std::uint64_t>({ny, nx}, bed.fixtures);
  out["floor_std_m"] = file.bed.floor_std;
  return out;
}

py::dict read_bytes(const py::array_t<std::uint8_t, py::array::c_style> &bytes) {
  TruckFile file;
  const TruckFileStatus status = read_truck_file(bytes.data(), static_cast<std::size_t>(bytes.size()), file);
  if (status.error != TruckFileError::kNone) {
    const std::string section = status.section[0] ? " (section " + std::string(status.section) + ")" : "";
    throw py::value_error("byte " + std::to_string(status.at) + section + ": " + truck_file_text(status.error));
  }
  py::dict out;
  out["sensors"] = sensors_of(file);
  out["bed"] = bed_of(file);
  out["hidden"] = row(file.hidden, kHiddenWeights);
  out["calibration"] = row(file.calibration, file.calibration_count);
  out["scale"] = row(&file.scale.tare, file.has_scale ? 4 : 0);
  const WasteDensities &w = file.waste;
  const double waste[] = {w.dry, w.dry_log_std, w.wet, w.wet_log_std, file.prior.a, file.prior.b};
  out["waste"] = row(waste, file.has_waste ? 6 : 0);
  out["truck"] = py::bytes(file.truck, file.truck_bytes);
  out["provenance"] = py::bytes(file.provenance, file.provenance_bytes);
  return out;
}

}  // namespace

void bind_truckfile(py::module_ &m) { m.def("read_truck_file", &read_bytes, py::arg("bytes")); }
