#include <pybind11/stl.h>

#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "assessment.hpp"
#include "bound_engine.hpp"
#include "points.hpp"

using namespace volest;

namespace {

constexpr int kTerms = sizeof(Terms) / sizeof(double), kParts = sizeof(Budget) / sizeof(double);
constexpr const char *kPartNames[kParts] = {"hidden", "pose", "reference", "range", "surface"};

const char *name_of(Misfit misfit) {
  constexpr const char *kNames[] = {"none",     "no_returns", "beside",      "through", "tops",
                                    "no_walls", "unit",       "upside_down", "covered"};
  return kNames[static_cast<int>(misfit)];
}

const char *name_of(Verdict verdict) {
  constexpr const char *kNames[] = {"ok", "degraded", "nothing_inside", "covered", "dust"};
  return kNames[static_cast<int>(verdict)];
}

py::tuple tuple_of(const Quantity &q) { return py::make_tuple(q.value, q.std, q.lower95, q.upper95); }

template <class T>
T numbers_of(const Doubles &numbers, const char *name) {
  expect_shape(numbers, {static_cast<py::ssize_t>(sizeof(T) / sizeof(double))}, name);
  T out;
  std::memcpy(&out, numbers.data(), sizeof out);
  return out;
}

template <class T>
py::array_t<double> array_of(const T &numbers) {
  py::array_t<double> out(sizeof(T) / sizeof(double));
  std::memcpy(out.mutable_data(), &numbers, sizeof numbers);
  return out;
}

// What is known beside the scans, with the weights that it looks at.
struct BoundKnowledge {
  std::vector<float> weights;
  Knowledge known;
};

BoundKnowledge knowledge_of(const std::optional<Floats> &weights, const Doubles &calibration, bool own_bed) {
  BoundKnowledge out{{}, {nullptr, numbers_of<Calibration>(calibration, "calibration"), own_bed, 0.0}};
  if (weights) {
    expect_shape(*weights, {kHiddenWeights}, "weights");
    out.weights.assign(weights->data(), weights->data() + weights->size());
  }
  return out;
}

SensorPrior sensor_prior(const Doubles &pose, const Doubles &std, bool rays) {
  return SensorPrior::told(pose_of(pose), prior_of(std), rays);
}

Doubles row_of(const RegistrationPrior &std) {
  Doubles out(6);
  std::copy_n(std.std_translation, 3, out.mutable_data());
  std::copy_n(std.std_rotation, 3, out.mutable_data() + 3);
  return out;
}

std::tuple<const char *, int, Placement> told(const Placing &placing) {
  return {name_of(placing.misfit), placing.unit, placing.placement};
}

auto place_scan(BoundEngine &engine, const py::object &points, const SensorPrior &prior, bool find_bed) {
  const Cloud cloud = view(points);
  Placing placing;
  {
    const py::gil_scoped_release release;
    placing = place(*engine, cloud, prior, find_bed);
  }
  return told(placing);
}

auto reference_in(BoundEngine &engine, const py::object &points, const Doubles &pose, bool rays) {
  const Cloud cloud = view(points);
  return told(check_reference(*engine, cloud, pose_of(pose), rays));
}

// Scans that the engine holds: points, where they lie, and the number of their sensor.
using Scans = std::vector<std::tuple<py::object, const Placement *, int>>;

std::vector<PlacedScan> placed(const Scans &scans) {
  if (scans.empty() || scans.size() > kMostScans) throw py::value_error("scans: expected 1 to 64");
  std::vector<PlacedScan> out;
  for (const auto &[points, placement, sensor] : scans) out.push_back({view(points), placement, sensor});
  return out;
}

Sight complete_surface(BoundEngine &engine, const Scans &scans, const BoundKnowledge &known) {
  const std::vector<PlacedScan> all = placed(scans);
  const py::gil_scoped_release release;
  return complete(*engine, all.data(), static_cast<int>(all.size()),
                  known.weights.empty() ? nullptr : known.weights.data());
}

Assessment assess_load(BoundEngine &engine, const Scans &scans, const BoundKnowledge &known, double range_noise,
                       const std::vector<std::tuple<double, double, double>> &changes) {
  const std::vector<PlacedScan> all = placed(scans);
  std::vector<Change> changed;
  for (const auto &[fraction, least, greatest] : changes) changed.push_back({fraction, least, greatest});
  Knowledge now = known.known;
  now.hidden_weights = known.weights.empty() ? nullptr : known.weights.data();
  now.range_noise = range_noise;
  const py::gil_scoped_release release;
  return assess(*engine, all.data(), static_cast<int>(all.size()), now, changed.data(),
                static_cast<int>(changed.size()));
}

// Budgets (N, 5) and excesses (N,) of loads with these terms (N, 10).
std::pair<Doubles, Doubles> budgets(const Doubles &calibration, const Doubles &terms) {
  const auto c = numbers_of<Calibration>(calibration, "calibration");
  if (terms.ndim() != 2 || terms.shape(1) != kTerms) throw py::value_error("terms: wrong shape");
  Doubles parts({terms.shape(0), static_cast<py::ssize_t>(kParts)}), excess(terms.shape(0));
  for (py::ssize_t i = 0; i < terms.shape(0); ++i) {
    Terms t;
    std::memcpy(&t, terms.data(i, 0), sizeof t);
    const Budget budget = budget_of(c, t);
    std::memcpy(parts.mutable_data(i, 0), &budget, sizeof budget);
    *excess.mutable_data(i) = excess_of(c, t);
  }
  return {parts, excess};
}

py::dict budget_dict(const Budget &budget) {
  double parts[kParts];
  std::memcpy(parts, &budget, sizeof budget);
  py::dict out;
  for (int i = 0; i < kParts; ++i) out[kPartNames[i]] = parts[i];
  return out;
}

py::tuple flag_names(std::uint32_t flags) {
  py::list names;
  for (int i = 0; i < kFlags; ++i)
    if (flags >> i & 1) names.append(kFlagNames[i]);
  return py::tuple(names);
}

}  // namespace

void bind_assessment(py::module_ &m) {
  py::class_<SensorPrior>(m, "SensorPrior")
      .def(py::init(&sensor_prior), py::arg("pose"), py::arg("std"), py::arg("rays"))
      .def_readonly("std_m", &SensorPrior::std_m)
      .def_property_readonly("relative_std", [](const SensorPrior &p) { return row_of(p.std); })
      .def(
          "reach_m", [](const SensorPrior &p, const BoundEngine &e) { return p.reach(e->bed()); },
          py::arg("engine"));
  py::class_<Placement>(m, "Placement")
      .def_readonly("found", &Placement::found)
      .def_readonly("counts", &Placement::counts)
      .def_readonly("rays", &Placement::rays)
      .def_readonly("moved", &Placement::moved);
  py::class_<Sight>(m, "Sight")
      .def_readonly("used", &Sight::used)
      .def_readonly("rejected", &Sight::rejected)
      .def_readonly("hanging", &Sight::hanging);
  py::class_<BoundKnowledge>(m, "Knowledge")
      .def(py::init(&knowledge_of), py::arg("weights"), py::arg("calibration"), py::arg("own_bed"));
  py::class_<Assessment>(m, "Assessment")
      .def_property_readonly("verdict", [](const Assessment &a) { return name_of(a.verdict); })
      .def_property_readonly("flags", [](const Assessment &a) { return flag_names(a.flags); })
      .def_readonly("sight", &Assessment::sight)
      .def_readonly("integral", &Assessment::integral)
      .def_property_readonly("terms", [](const Assessment &a) { return array_of(a.terms); })
      .def_property_readonly("budget_m3", [](const Assessment &a) { return budget_dict(a.budget); })
      .def_property_readonly("volume_m3", [](const Assessment &a) { return tuple_of(a.volume); })
      .def_readonly("fill_ratio", &Assessment::fill)
      .def_readonly("seen_fraction", &Assessment::seen)
      .def_property_readonly("centroid_m", [](const Assessment &a) -> py::object {
        if (!a.has_centroid) return py::none();
        return volest::tuple_of(a.centroid);
      });
  m.def("place", &place_scan, py::arg("engine"), py::arg("points"), py::arg("prior"), py::arg("find_bed"));
  m.def("check_reference", &reference_in, py::arg("engine"), py::arg("points"), py::arg("pose"),
        py::arg("rays"));
  m.def("complete", &complete_surface, py::arg("engine"), py::arg("scans"), py::arg("known"));
  m.def("assess", &assess_load, py::arg("engine"), py::arg("scans"), py::arg("known"), py::arg("range_noise_m"),
        py::arg("changes"));
  m.def("budgets", &budgets, py::arg("calibration"), py::arg("terms"));
  m.attr("GENERIC_CALIBRATION") = py::tuple(array_of(kGenericCalibration).attr("tolist")());
  m.attr("FLIPS") = [] {
    py::list flips;
    for (const auto &signs : kFlips) flips.append(py::make_tuple(signs[0], signs[1], signs[2]));
    return py::tuple(flips);
  }();
  m.attr("UNITS_M") = [] {
    py::list units;
    for (const double metres : kUnits) units.append(metres);
    return py::tuple(units);
  }();
}
