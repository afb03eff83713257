#include <pybind11/pybind11.h>

#include <string_view>

#include "lzf.hpp"

namespace py = pybind11;

namespace {

const char *describe(volest::LzfStatus status) {
  switch (status) {
    case volest::LzfStatus::input_cut:
      return "LZF data end inside a run";
    case volest::LzfStatus::bad_reference:
      return "LZF data refer to bytes before their start";
    case volest::LzfStatus::output_full:
      return "LZF data hold more bytes than expected";
    case volest::LzfStatus::output_short:
      return "LZF data hold fewer bytes than expected";
    case volest::LzfStatus::ok:
      break;
  }
  return "";
}

py::bytes lzf_decompress(const py::bytes &data, py::ssize_t size) {
  const std::string_view input(data);
  // A size that no input of this length can reach is refused before anything is allocated for it.
  if (size < 0 || static_cast<std::size_t>(size) / volest::lzf_max_ratio > input.size()) {
    throw py::value_error("LZF data cannot hold so many bytes");
  }
  PyObject *unpacked = PyBytes_FromStringAndSize(nullptr, size);
  if (unpacked == nullptr) {
    throw py::error_already_set();
  }
  auto result = py::reinterpret_steal<py::bytes>(unpacked);
  auto *output = reinterpret_cast<std::uint8_t *>(PyBytes_AS_STRING(unpacked));
  volest::LzfStatus status;
  {
    const py::gil_scoped_release release;
    status = volest::lzf_decompress(reinterpret_cast<const std::uint8_t *>(input.data()), input.size(), output,
                                    static_cast<std::size_t>(size));
  }
  if (status != volest::LzfStatus::ok) {
    throw py::value_error(describe(status));
  }
  return result;
}

}  // namespace

void bind_lzf(py::module_ &module) {
  module.def(
      "lzf_decompress", &lzf_decompress, py::arg("data"), py::arg("size"),
      "The `size` bytes that LZF `data` unpack to; ValueError when they do not unpack to exactly that many.");
}
