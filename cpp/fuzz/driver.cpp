// Runs a fuzzer where there is no libFuzzer: the same inputs from the same seed, without looking at coverage.
//
//     fuzz_truck [seconds] [seed]
#include <chrono>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "fuzz.hpp"

namespace {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 2 + 1) {}
  std::uint32_t bits() {
    state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<std::uint32_t>(state_ >> 32);
  }
  std::size_t below(std::size_t n) { return n == 0 ? 0 : bits() % n; }

 private:
  std::uint64_t state_;
};

// Numbers that programs stumble over, as doubles, floats and integers.
void put_odd(Random &random, Bytes &bytes, std::size_t at) {
  constexpr double kDoubles[] = {
      0.0,  -0.0, 1.0,  -1.0, 1e-300,   1e300,     -1e300,           1e4, -1e4, 9999.0,
      1e-4, 0.5,  64.0, 2e-4, HUGE_VAL, -HUGE_VAL, __builtin_nan("")};
  constexpr std::int32_t kWhole[] = {0,      1, -1, 2, 7, 63, 64, 65, 4095, 4096, 0x7FFFFFFF, -0x7FFFFFFF - 1,
                                     0x10000};
  const auto put = [&](auto value) {
    const auto *from = reinterpret_cast<const std::uint8_t *>(&value);
    for (std::size_t i = 0; i < sizeof value && at + i < bytes.size(); ++i) bytes[at + i] = from[i];
  };
  const double number = kDoubles[random.below(sizeof kDoubles / sizeof *kDoubles)];
  switch (random.below(4)) {
    case 0:
      return put(number);
    case 1:
      return put(static_cast<float>(number < 1e30 && number > -1e30 ? number : 1e30));
    case 2:
      return put(kWhole[random.below(sizeof kWhole / sizeof *kWhole)]);
    default:  // of a sound number a few bits
      bytes[at] ^= static_cast<std::uint8_t>(1u << random.below(8));
  }
}

Bytes mutated(Random &random, const std::vector<Bytes> &all) {
  Bytes bytes = all[random.below(all.size())];
  // Heads hold the most that is looked at: half of all changes go there.
  const std::size_t head = random.below(2) == 0 ? 1024 : bytes.size();
  for (std::size_t k = 1 + random.below(6); k > 0 && !bytes.empty(); --k) {
    const std::size_t at = random.below(head < bytes.size() ? head : bytes.size());
    switch (random.below(8)) {
      case 0:
        bytes[at] = static_cast<std::uint8_t>(random.bits());
        break;
      case 1:
        bytes.resize(random.below(16) == 0 ? random.below(bytes.size() + 1) : bytes.size());
        break;
      case 2: {
        const std::size_t n = random.below(64), from = random.below(bytes.size());
        for (std::size_t i = 0; i < n && at + i < bytes.size() && from + i < bytes.size(); ++i)
          bytes[at + i] = bytes[from + i];
        break;
      }
      default:
        put_odd(random, bytes, at / 8 * 8);
    }
  }
  return bytes;
}

}  // namespace

int main(int argc, char **argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 3.0;
  const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  const std::vector<Bytes> all = seeds();
  for (const Bytes &bytes : all) LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  std::uint64_t runs = 0;
  for (; std::chrono::steady_clock::now() < until; ++runs) {
    Random random(seed * 1000003 + runs);
    const Bytes bytes = mutated(random, all);
    if (std::FILE *last = argc > 3 ? std::fopen(argv[3], "wb") : nullptr) {  // to be looked at after a crash
      std::fwrite(bytes.data(), 1, bytes.size(), last);
      std::fclose(last);
    }
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  std::printf("%" PRIu64 " inputs\n", runs);
  return 0;
}
