// Scans as Python holds them, for the core to see where they are.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "geometry.hpp"

namespace volest {

// What is known of rays ahead.
struct BoundReach {
  RayReach reach{};
  std::vector<std::uint32_t> range;
  pybind11::ssize_t count = 0;
};

// Ranges along rays whose directions are known; nothing is copied.
class Ranges {
 public:
  Ranges(pybind11::array range, pybind11::array_t<float> directions, std::shared_ptr<BoundReach> reach)
      : range_(std::move(range)), directions_(std::move(directions)), reach_(std::move(reach)) {
    const bool lies_well = (range_.flags() & directions_.flags() & kInOrder) == kInOrder;
    if (!lies_well || directions_.size() != 3 * range_.size() || (reach_ && reach_->count != range_.size()))
      throw pybind11::value_error(
          "ranges: expected (H, W) ranges, as many directions of 3 floats, each in one piece");
    if (pybind11::isinstance<pybind11::array_t<std::uint16_t>>(range_))
      format_ = Cloud::Format::kRange16;
    else if (pybind11::isinstance<pybind11::array_t<std::uint32_t>>(range_))
      format_ = Cloud::Format::kRange32;
    else if (pybind11::isinstance<pybind11::array_t<float>>(range_))
      format_ = Cloud::Format::kRangeFloat;
    else
      throw pybind11::value_error("ranges: expected uint16, uint32 or float32");
  }
  Cloud cloud() const {
    return {
        static_cast<const char *>(range_.data()), range_.size(), range_.itemsize(), format_, directions_.data(),
        reach_ ? &reach_->reach : nullptr};
  }

 private:
  static constexpr int kInOrder =
      pybind11::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | pybind11::detail::npy_api::NPY_ARRAY_ALIGNED_;
  pybind11::array range_;
  pybind11::array_t<float> directions_;
  std::shared_ptr<BoundReach> reach_;
  Cloud::Format format_;
};

// An (N, 3) array of float32 metres or int16 millimetres, or Ranges; it must outlive the cloud. Raises
// ValueError for anything else.
Cloud view(const pybind11::object &points);

}  // namespace volest
