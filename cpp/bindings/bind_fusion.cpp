#include <pybind11/pybind11.h>

#include <utility>

#include "fusion.hpp"

namespace py = pybind11;
using namespace volest;

namespace {

py::tuple row(const Quantity &q) { return py::make_tuple(q.value, q.std, q.lower95, q.upper95); }

py::object row_if(bool there, const Quantity &q) {
  if (there) return row(q);
  return py::none();
}

Mixture make_mixture(double dry_kg_m3, double dry_log_std, double wet_kg_m3, double wet_log_std) {
  return mix({dry_kg_m3, dry_log_std, wet_kg_m3, wet_log_std});
}

Fused fuse_numbers(const Mixture &mixture, double value, double std, double lower95, double upper95,
                   double mass, double mass_std) {
  return fuse(mixture, {value, std, lower95, upper95}, mass, mass_std);
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
                             [](const Fused &f) { return row_if(f.has_wetness, f.wet_fraction); })
      .def_property_readonly("probabilities",
                             [](const Fused &f) { return py::make_tuple(f.dry, f.mixed, f.wet); })
      .def_readonly("waste_class", &Fused::waste_class)
      .def_property_readonly("too_heavy", [](const Fused &f) { return f.mismatch == Mismatch::kTooHeavy; })
      .def_property_readonly("too_light", [](const Fused &f) { return f.mismatch == Mismatch::kTooLight; });
  py::class_<Mixture>(m, "Mixture")
      .def(py::init(&make_mixture), py::arg("dry_kg_m3"), py::arg("dry_log_std"), py::arg("wet_kg_m3"),
           py::arg("wet_log_std"))
      .def_readonly("least_kg_m3", &Mixture::least)
      .def_readonly("most_kg_m3", &Mixture::most)
      .def("fuse", &fuse_numbers, py::arg("volume_m3"), py::arg("std_m3"), py::arg("lower95_m3"),
           py::arg("upper95_m3"), py::arg("mass_kg"), py::arg("mass_std_kg"));
  m.def("net_mass_kg", &net_of, py::arg("gross_kg"), py::arg("gross_std_kg"), py::arg("tare_kg"),
        py::arg("tare_std_kg"), py::arg("gain_std"));
}
