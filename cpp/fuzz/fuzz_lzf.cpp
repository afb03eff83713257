// Any bytes as LZF: an error, or as many bytes as were asked for.
#include "fuzz.hpp"
#include "lzf.hpp"

// The first two bytes tell how many bytes are asked for.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  if (size < 2) return 0;
  const Bytes input(data + 2, data + size);
  Bytes output(static_cast<std::size_t>(data[0]) << 8 | data[1]);
  volest::lzf_decompress(input.data(), input.size(), output.data(), output.size());
  return 0;
}

std::vector<Bytes> seeds() {
  return {{0, 5, 4, 'a', 'b', 'c', 'd', 'e'},
          {0, 12, 2, 'a', 'b', 'c', 0xE0, 0, 2},
          {1, 8, 0, 'x', 0xE0, 0xFF, 0, 0, 'y'}};
}
