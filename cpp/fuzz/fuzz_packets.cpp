// Any bytes as packets of a lidar, as an Ouster's description, and as a capture of packets: refused, or finite
// points.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "capture.h"
#include "fuzz.hpp"
#include "packets.h"

namespace {

constexpr double kFarthest = 2e3;  // m

void expect(bool holds, const char *what) {
  if (holds) return;
  std::fprintf(stderr, "expected %s\n", what);
  std::abort();
}

void expect_points(const packet_points &found) {
  expect(found.count <= PACKET_MOST_POINTS, "points that there is room for");
  for (std::size_t i = 0; i < 3 * found.count; ++i)
    expect(std::fabs(static_cast<double>(found.xyz[i])) < kFarthest, "points that a lidar can see");
}

const char *const kProfiles[] = {"LEGACY", "RNG19_RFL8_SIG16_NIR16", "RNG15_RFL8_NIR8"};
constexpr int kBeams = 8, kColumns = 16;

std::string description(const char *profile) {
  std::string text =
      std::string("profile ") + profile + "\ncolumns 512\ncolumns_per_packet 16\nfirst_column 0\n";
  text += "arm_mm 15.8 0\nto_sensor_mm -1 0 0 0 0 -1 0 0 0 0 1 36.18\n";
  for (int i = 0; i < kBeams; ++i) text += "beam_deg " + std::to_string(20 - 5 * i) + " 3.1\n";
  return text;
}

// The bytes as packets of this length, one after the other, as a sensor would send them.
template <class Read>
void read_all(const std::uint8_t *data, std::size_t size, std::size_t each, Read read) {
  static packet_points found;
  for (std::size_t at = 0; at <= size; at += each) {
    const std::size_t left = size - at, n = left < each ? left : each;
    const Bytes packet(data + at,
                       data + at + n);  // of just that size, so that nothing behind it is read unseen
    if (read(packet.data(), packet.size(), &found) != 0) expect_points(found);
  }
}

void as_velodyne(const std::uint8_t *data, std::size_t size) {
  static velodyne begun = [] {
    static velodyne v;
    velodyne_init(&v);
    return v;
  }();
  begun.is_begun = 0;
  begun.turned = 0;
  read_all(data, size, 1206, [&](const std::uint8_t *at, std::size_t n, packet_points *out) {
    return velodyne_read(&begun, at, n, out);
  });
}

void as_ouster(const std::uint8_t *data, std::size_t size, const char *profile) {
  static ouster sensor;
  expect(ouster_init(&sensor, description(profile).c_str()) == nullptr, "a sound description");
  const std::size_t column = sensor.column_header + sensor.pixel * sensor.beams + sensor.column_footer;
  const std::size_t each = sensor.header + column * sensor.columns_per_packet + sensor.footer;
  read_all(data, size, each, [&](const std::uint8_t *at, std::size_t n, packet_points *out) {
    return ouster_read(&sensor, at, n, out);
  });
}

// A description that was taken is one that packets can be read by.
void as_description(const std::uint8_t *data, std::size_t size) {
  static ouster sensor;
  static packet_points found;
  const std::string text(reinterpret_cast<const char *>(data), size);
  if (ouster_init(&sensor, text.c_str()) != nullptr) return;
  const std::size_t column = sensor.column_header + sensor.pixel * sensor.beams + sensor.column_footer;
  Bytes packet(sensor.header + column * sensor.columns_per_packet + sensor.footer, 0xFF);
  for (std::uint32_t i = 0; i < sensor.columns_per_packet; ++i)
    std::memset(packet.data() + sensor.header + column * i + 8, 0, 2);
  expect(ouster_read(&sensor, packet.data(), packet.size(), &found) == 1, "a packet to be taken");
  expect(found.count <= PACKET_MOST_POINTS, "points that there is room for");
  for (std::size_t i = 0; i < 3 * found.count; ++i) expect(std::isfinite(found.xyz[i]), "finite points");
}

void as_capture(const std::uint8_t *data, std::size_t size) {
  static capture source;
  static const int file = memfd_create("capture", 0);
  expect(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == static_cast<ssize_t>(size), "a file");
  if (capture_open(&source, ("/proc/self/fd/" + std::to_string(file)).c_str(), 0) == nullptr) {
    datagram found{};
    std::uint64_t sum = 0;
    while (capture_next(&source, &found) == 1)
      for (std::size_t i = 0; i < found.count; ++i) sum += found.bytes[i];
    expect(sum <= 255 * 65536 * static_cast<std::uint64_t>(size + 1), "datagrams of the file's bytes");
  }
  if (source.file >= 0) close(source.file);
}

void put(Bytes &out, std::initializer_list<int> bytes) {
  for (const int byte : bytes) out.push_back(static_cast<std::uint8_t>(byte));
}

Bytes velodyne_packets(int mode, int model) {
  Bytes out;
  for (int packet = 0; packet < 3; ++packet) {
    for (int block = 0; block < 12; ++block) {
      const int azimuth = (35000 + 480 * packet + 40 * block) % 36000;
      put(out, {0xFF, 0xEE, azimuth & 255, azimuth >> 8});
      for (int i = 0; i < 32; ++i) put(out, {i * 7 & 255, 8, 9});
    }
    put(out, {0, 0, 0, packet, mode, model});
  }
  return out;
}

Bytes ouster_packets(const char *profile) {
  ouster sensor;
  ouster_init(&sensor, description(profile).c_str());
  const std::size_t column = sensor.column_header + sensor.pixel * sensor.beams + sensor.column_footer;
  Bytes out;
  for (int packet = 0; packet < 2; ++packet) {
    const std::size_t start = out.size() + sensor.header;
    out.resize(start + column * sensor.columns_per_packet + sensor.footer, 0x12);
    for (std::size_t i = 0; i < kColumns; ++i) {
      std::uint8_t *at = out.data() + start + column * i;
      at[8] = static_cast<std::uint8_t>(i);
      at[9] = static_cast<std::uint8_t>(packet);
      at[10] = 1;
      if (sensor.column_footer != 0) std::memset(at + column - 4, 0xFF, 4);
    }
  }
  return out;
}

// Ethernet frames: a datagram, and one in two fragments.
Bytes captured() {
  Bytes out = {0xD4, 0xC3, 0xB2, 0xA1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 1, 0, 0, 0};
  const auto frame = [&](int fragment, const Bytes &payload) {
    const int total = 20 + static_cast<int>(payload.size()), all = total + 14;
    put(out, {0, 0, 0, 0, 0, 0, 0, 0, all, 0, 0, 0, all, 0, 0, 0});
    put(out,
        {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0x45, 0, 0, total, 0, 1, fragment >> 8, fragment & 255});
    put(out, {64, 17, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1});
    out.insert(out.end(), payload.begin(), payload.end());
  };
  frame(0, {9, 64, 9, 64, 0, 12, 0, 0, 1, 2, 3, 4});
  frame(0x2000, {9, 64, 9, 64, 0, 20, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8});
  frame(2, {9, 10, 11, 12});
  return out;
}

}  // namespace

// The first byte tells what the others are.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  if (size == 0) return 0;
  const int kind = data[0] % 6;
  if (kind == 0) as_velodyne(data + 1, size - 1);
  if (kind >= 1 && kind <= 3) as_ouster(data + 1, size - 1, kProfiles[kind - 1]);
  if (kind == 4) as_description(data + 1, size - 1);
  if (kind == 5) as_capture(data + 1, size - 1);
  return 0;
}

std::vector<Bytes> seeds() {
  const std::string told = description("LEGACY");
  std::vector<Bytes> all = {velodyne_packets(0x37, 0x22), velodyne_packets(0x39, 0x22),
                            velodyne_packets(0x38, 0x28), velodyne_packets(0x39, 0x28)};
  for (const char *profile : kProfiles) all.push_back(ouster_packets(profile));
  all.emplace_back(told.begin(), told.end());
  all.push_back(captured());
  constexpr std::uint8_t kKinds[] = {0, 0, 0, 0, 1, 2, 3, 4, 5};
  for (std::size_t i = 0; i < all.size(); ++i) all[i].insert(all[i].begin(), kKinds[i]);
  return all;
}
