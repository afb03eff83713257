#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "weighing.hpp"

namespace py = pybind11;
using namespace volest;

namespace {

constexpr int kInOrder = py::array::c_style | py::array::forcecast;
using Numbers = py::array_t<double, kInOrder>;
using Mask = std::optional<py::array_t<bool, kInOrder>>;

// Series as Python holds them; the arrays must outlive it.
WeightSeries view(const Numbers &time, const Numbers &gross, const Mask &moving) {
  const bool fits = time.ndim() == 1 && gross.ndim() == 1 && time.size() == gross.size() &&
                    (!moving || (moving->ndim() == 1 && moving->size() == time.size()));
  if (!fits) throw py::value_error("expected as many times, masses and marks of motion, each (N,)");
  return {time.data(), gross.data(), moving ? moving->data() : nullptr, time.size()};
}

class Room {
 public:
  explicit Room(std::int64_t count)
      : samples_(static_cast<std::size_t>(count)),
        numbers_(static_cast<std::size_t>(count)),
        blocks_(static_cast<std::size_t>(weighing_blocks(count))) {}
  WeighingWorkspace workspace() { return {samples_.data(), numbers_.data(), blocks_.data()}; }

 private:
  std::vector<WeightSample> samples_;
  std::vector<double> numbers_;
  std::vector<WeighedBlock> blocks_;
};

py::tuple settle_one(const Numbers &time, const Numbers &gross, double resolution, const Mask &moving) {
  const WeightSeries series = view(time, gross, moving);
  GrossMass mass;
  {
    const py::gil_scoped_release release;
    Room room(series.count);
    mass = settle(series, resolution, room.workspace());
  }
  return py::make_tuple(mass.kg, mass.std, mass.drift, mass.used, mass.rest, mass.flags);
}

py::tuple settle_all(const Numbers &time, const Numbers &gross,
                     const py::array_t<std::int64_t, kInOrder> &offsets, double resolution,
                     const Mask &moving) {
  const WeightSeries all = view(time, gross, moving);
  const std::int64_t *offset = offsets.data(), ends = offsets.size();
  const bool rises = offsets.ndim() == 1 && ends > 0 && std::is_sorted(offset, offset + ends);
  if (!rises || offset[0] < 0 || offset[ends - 1] > all.count)
    throw py::value_error("offsets: expected (S + 1,) rising places in the arrays");
  const py::ssize_t count = ends - 1;
  Numbers kg(count), std(count), drift(count);
  py::array_t<std::int64_t> used(count);
  py::array_t<std::uint32_t> flags(count);
  double *to_kg = kg.mutable_data(), *to_std = std.mutable_data(), *to_drift = drift.mutable_data();
  std::int64_t *to_used = used.mutable_data();
  std::uint32_t *to_flags = flags.mutable_data();
  {
    const py::gil_scoped_release release;
    std::int64_t longest = 0;
    for (py::ssize_t i = 0; i < count; ++i) longest = std::max(longest, offset[i + 1] - offset[i]);
    Room room(longest);
    for (py::ssize_t i = 0; i < count; ++i) {
      const std::int64_t from = offset[i];
      const WeightSeries one{all.time + from, all.gross + from, all.moving ? all.moving + from : nullptr,
                             offset[i + 1] - from};
      const GrossMass mass = settle(one, resolution, room.workspace());
      to_kg[i] = mass.kg;
      to_std[i] = mass.std;
      to_drift[i] = mass.drift;
      to_used[i] = mass.used;
      to_flags[i] = mass.flags;
    }
  }
  return py::make_tuple(kg, std, drift, used, flags);
}

}  // namespace

void bind_weighing(py::module_ &m) {
  m.def("settle", &settle_one, py::arg("time_s"), py::arg("gross_kg"), py::arg("resolution_kg"),
        py::arg("moving") = py::none(), "kg, std_kg, drift_kg, used, at_rest, flags of one series.");
  m.def("settle_many", &settle_all, py::arg("time_s"), py::arg("gross_kg"), py::arg("offsets"),
        py::arg("resolution_kg"), py::arg("moving") = py::none(),
        "kg, std_kg, drift_kg, used, flags of series that lie one behind the other.");
  const std::pair<const char *, std::uint32_t> flags[] = {
      {"WEIGHT_MISSING", kWeightMissing},     {"WEIGHT_MOVING", kWeightMoving},
      {"WEIGHT_DRIFTS", kWeightDrifts},       {"WEIGHT_LOST", kWeightLost},
      {"WEIGHT_STUCK", kWeightStuck},         {"WEIGHT_SHORT", kWeightShort},
      {"WEIGHT_SATURATED", kWeightSaturated}, {"WEIGHT_CLOCK", kWeightClock},
      {"WEIGHT_WIDE", kWeightWide},           {"WEIGHT_SWINGS", kWeightSwings}};
  for (const auto &[name, bit] : flags) m.attr(name) = bit;
}
