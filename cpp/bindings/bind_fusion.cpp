#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <memory>
#include <stdexcept>
#include <utility>

#include "fusion.hpp"

namespace py = pybind11;
using namespace volest;

namespace {

using Column = py::array_t<double, py::array::c_style>;
using Codes = py::array_t<signed char, py::array::c_style>;

py::tuple row(const Quantity &q) { return py::make_tuple(q.value, q.std, q.lower95, q.upper95); }

py::object row_if(bool there, const Quantity &q) {
  if (there) return row(q);
  return py::none();
}

py::object class_name(const Fused &fused) {
  static constexpr const char *kNames[] = {"dry", "mixed", "wet"};
  const int waste_class = static_cast<int>(fused.has_wetness ? fused.wetness.waste_class : WasteClass::kNone);
  if (waste_class < 0) return py::none();
  return py::str(kNames[waste_class]);
}

Mixture make_mixture(double dry_kg_m3, double dry_log_std, double wet_kg_m3, double wet_log_std, double prior_a,
                     double prior_b) {
  return mix({dry_kg_m3, dry_log_std, wet_kg_m3, wet_log_std}, {prior_a, prior_b});
}

Fused fuse_numbers(const Mixture &mixture, double value, double std, double lower95, double upper95,
                   double mass, double mass_std, double fraction, double fraction_inverse_std) {
  return fuse(mixture, {value, std, lower95, upper95}, mass, mass_std, {fraction, fraction_inverse_std});
}

std::unique_ptr<WetnessTable> make_table(const Mixture &mixture) {
  auto table = std::make_unique<WetnessTable>();
  const auto scratch = std::make_unique<WetnessScratch>();
  py::gil_scoped_release release;
  tabulate(mixture, *scratch, *table);
  return table;
}

template <typename Array>
void require_rows(const Array &array, py::ssize_t rows) {
  if (array.ndim() != 1 || array.shape(0) != rows) throw std::invalid_argument("columns of different lengths");
}

Quantities columns(std::array<Column, 4> &to, py::ssize_t rows) {
  for (const Column &column : to) require_rows(column, rows);
  return {to[0].mutable_data(), to[1].mutable_data(), to[2].mutable_data(), to[3].mutable_data()};
}

std::size_t fuse_columns(const Mixture &mixture, const WetnessTable &table, const std::array<Column, 6> &loads,
                         std::size_t begin, std::size_t end, std::array<Column, 4> net_mass,
                         std::array<Column, 4> density, std::array<Column, 4> wet_fraction, Codes waste_class,
                         Codes mismatch) {
  const py::ssize_t rows = loads[0].size();
  for (const Column &column : loads) require_rows(column, rows);
  require_rows(waste_class, rows);
  require_rows(mismatch, rows);
  if (begin > end || end > static_cast<std::size_t>(rows))
    throw std::invalid_argument("rows beyond the columns");
  const FusedLoads to{columns(net_mass, rows), columns(density, rows), columns(wet_fraction, rows),
                      waste_class.mutable_data(), mismatch.mutable_data()};
  const Loads from{loads[0].data(), loads[1].data(), loads[2].data(),
                   loads[3].data(), loads[4].data(), loads[5].data()};
  py::gil_scoped_release release;
  return fuse_many(mixture, table, from, begin, end, to);
}

std::pair<double, double> net_of(double gross_kg, double gross_std_kg, double tare_kg, double tare_std_kg,
                                 double gain_std) {
  const NetMass net = net_mass({tare_kg, tare_std_kg, gain_std, 0.0}, gross_kg, gross_std_kg);
  return {net.kg, net.std};
}

}  // namespace

void bind_fusion(py::module_ &m) {
  py::class_<Fused>(m, "Fused")
      .def_property_readonly("net_mass_kg", [](const Fused &f) { return row(f.net_mass); })
      .def_property_readonly("density_kg_m3", [](const Fused &f) { return row_if(f.has_density, f.density); })
      .def_property_readonly("wet_fraction",
                             [](const Fused &f) { return row_if(f.has_wetness, f.wetness.fraction); })
      .def_property_readonly(
          "probabilities",
          [](const Fused &f) { return py::make_tuple(f.wetness.dry, f.wetness.mixed, f.wetness.wet); })
      .def_property_readonly("waste_class", &class_name)
      .def_property_readonly("too_heavy", [](const Fused &f) { return f.mismatch == Mismatch::kTooHeavy; })
      .def_property_readonly("too_light", [](const Fused &f) { return f.mismatch == Mismatch::kTooLight; });
  py::class_<Mixture>(m, "Mixture")
      .def(py::init(&make_mixture), py::arg("dry_kg_m3"), py::arg("dry_log_std"), py::arg("wet_kg_m3"),
           py::arg("wet_log_std"), py::arg("prior_a") = 1.0, py::arg("prior_b") = 1.0)
      .def_readonly("least_kg_m3", &Mixture::least)
      .def_readonly("most_kg_m3", &Mixture::most)
      .def("fuse", &fuse_numbers, py::arg("volume_m3"), py::arg("std_m3"), py::arg("lower95_m3"),
           py::arg("upper95_m3"), py::arg("mass_kg"), py::arg("mass_std_kg"), py::arg("fraction") = 0.5,
           py::arg("fraction_inverse_std") = 0.0);
  py::class_<WetnessTable>(m, "WetnessTable").def(py::init(&make_table), py::arg("mixture"));
  m.def("fuse_many", &fuse_columns, py::arg("mixture"), py::arg("table"), py::arg("loads"), py::arg("begin"),
        py::arg("end"), py::arg("net_mass_kg").noconvert(), py::arg("density_kg_m3").noconvert(),
        py::arg("wet_fraction").noconvert(), py::arg("waste_class").noconvert(),
        py::arg("mismatch").noconvert());
  m.def("net_mass_kg", &net_of, py::arg("gross_kg"), py::arg("gross_std_kg"), py::arg("tare_kg"),
        py::arg("tare_std_kg"), py::arg("gain_std"));
}
