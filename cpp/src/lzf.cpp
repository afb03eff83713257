#include "lzf.hpp"

#include <cstring>

namespace volest {
namespace {

// Copies length bytes from distance bytes before out; the two may overlap, so that short patterns repeat.
void copy_back(std::uint8_t *out, std::size_t distance, std::size_t length) noexcept {
  const std::uint8_t *from = out - distance;
  if (distance >= length) {
    std::memcpy(out, from, length);
    return;
  }
  for (std::size_t i = 0; i < length; ++i) {
    out[i] = from[i];
  }
}

}  // namespace

LzfStatus lzf_decompress(const std::uint8_t *input, std::size_t input_size, std::uint8_t *output,
                         std::size_t output_size) noexcept {
  std::size_t in = 0;
  std::size_t out = 0;
  while (in < input_size) {
    const std::size_t control = input[in++];
    if (control < 32) {
      const std::size_t length = control + 1;
      if (input_size - in < length) {
        return LzfStatus::input_cut;
      }
      if (output_size - out < length) {
        return LzfStatus::output_full;
      }
      std::memcpy(output + out, input + in, length);
      in += length;
      out += length;
      continue;
    }
    std::size_t length = (control >> 5) + 2;
    const std::size_t bytes_left = length == 9 ? 2 : 1;
    if (input_size - in < bytes_left) {
      return LzfStatus::input_cut;
    }
    if (length == 9) {
      length += input[in++];
    }
    const std::size_t distance = ((control & 31) << 8 | input[in++]) + 1;
    if (distance > out) {
      return LzfStatus::bad_reference;
    }
    if (output_size - out < length) {
      return LzfStatus::output_full;
    }
    copy_back(output + out, distance, length);
    out += length;
  }
  return out == output_size ? LzfStatus::ok : LzfStatus::output_short;
}

}  // namespace volest
