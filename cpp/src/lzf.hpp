// LZF decompression, as PCD files of encoding binary_compressed use it.
//
// The format (LibLZF): a control byte c < 32 is followed by c + 1 literal bytes; any other starts a back
// reference of length (c >> 5) + 2, where a length of 9 is extended by the next byte, to the byte that lies
// ((c & 31) << 8 | next byte) + 1 before the end of what is written so far.
#pragma once

#include <cstddef>
#include <cstdint>

namespace volest {

enum class LzfStatus {
  ok,
  input_cut,      // the input ends inside a run or a back reference
  bad_reference,  // a back reference points before the start of the output
  output_full,    // the input holds more than output_size bytes
  output_short,   // the input holds fewer than output_size bytes
};

// Unpacks input_size bytes into exactly output_size bytes. Reads and writes nothing outside of the two buffers,
// allocates nothing and does not throw. What output holds is meaningful only when the result is ok.
LzfStatus lzf_decompress(const std::uint8_t *input, std::size_t input_size, std::uint8_t *output,
                         std::size_t output_size) noexcept;

// One back reference of three bytes yields at most 264: no input unpacks to more than this many times its size.
constexpr std::size_t lzf_max_ratio = 88;

}  // namespace volest
