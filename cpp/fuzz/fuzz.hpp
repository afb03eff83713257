// What every fuzzer has: libFuzzer calls LLVMFuzzerTestOneInput, and where there is none driver.cpp does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

using Bytes = std::vector<std::uint8_t>;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size);

// Sound inputs to begin with.
std::vector<Bytes> seeds();
