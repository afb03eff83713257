// Any bytes as a candump log: lines refused or frames, and weights that are a truck's or NaN.
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "fuzz.hpp"
#include "weights.h"

namespace {

constexpr double kHeaviest = 256 * 32127.5;  // of as many axles as can be told apart

void expect(bool holds, const char *what) {
  if (holds) return;
  std::fprintf(stderr, "expected %s\n", what);
  std::abort();
}

void expect_sound(const can_message &m) {
  expect(m.count <= 8 && m.identifier <= 0x1FFFFFFFu, "a CAN frame");
  expect(m.time_s >= 0.0 && m.time_s <= 1e11, "a time");
}

void as_line(const std::uint8_t *data, std::size_t size) {
  const std::vector<char> line(data, data + size);  // of just that size
  can_message found{};
  if (can_parse(line.data(), line.size(), &found) == CAN_DATA) expect_sound(found);
}

void as_log(const std::uint8_t *data, std::size_t size, const char *signal) {
  static const int file = memfd_create("log", 0);
  expect(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == static_cast<ssize_t>(size), "a file");
  can_log log;
  weights scale;
  expect(can_log_open(&log, ("/proc/self/fd/" + std::to_string(file)).c_str()) == 1, "a log");
  expect(weights_init(&scale, signal, 1 + data[size - 1] % 4) == 1, "a weight's name");
  can_message m{};
  weight found{};
  while (can_log_next(&log, &m) != 0) {
    expect_sound(m);
    if (weights_take(&scale, &m, &found) == 0) continue;
    expect(std::isnan(found.kg) || (found.kg >= 0.0 && found.kg <= kHeaviest), "a weight, or none");
    expect(found.moving <= 1, "rest or motion");
  }
  expect(log.refused + log.others <= size, "lines of the log");
  close(log.file);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  if (size == 0) return 0;
  as_line(data, size);
  for (const char *signal : {"axles", "powered_vehicle", "gross_combination"}) as_log(data, size, signal);
  return 0;
}

std::vector<Bytes> seeds() {
  std::string axles, others;
  char line[128];
  for (int i = 0; i < 6; ++i) {
    const char *const format = "(1700000000.%06d) can0 18FEEA0B#%02X%02X0CFFFFFFFFFF\n";
    std::snprintf(line, sizeof line, format, 1000 * i, i % 2 == 0 ? 0x1F : 0x2F, i);
    axles += line;
  }
  others =
      "(1700000000.000001) can0 18FE700B#D007E803FFFFFFFF R\n(1700000000.000002) vcan1 123#R\n\n"
      "(1700000000.000003) can0 18FEF10B#FF000AFFFFFFFFFF T\n(1700000000.000004) can0 123##1AABB\r\n"
      "(1700000000.000005) can0 20000080#0000000000000000\n(1700000000.000006) can0 7FF#\n";
  const std::string one = axles.substr(0, axles.find('\n'));
  std::vector<Bytes> all;
  for (const std::string &text : {axles, others, axles + others, one, one + std::string(300, 'A')})
    all.emplace_back(text.begin(), text.end());
  return all;
}
