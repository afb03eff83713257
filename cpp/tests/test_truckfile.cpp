// A truck.volest made here byte by byte is read; no change to it crashes the reader or gets by it unseen.
#include <cstring>
#include <vector>

#include "check.hpp"
#include "truckfile.hpp"

using namespace volest;

namespace {

constexpr int kNx = 5, kNy = 3, kCells = kNx * kNy;

struct Bytes {
  std::vector<std::uint64_t> words;  // aligned to 8
  std::size_t size = 0;

  unsigned char *data() { return reinterpret_cast<unsigned char *>(words.data()); }
  void append(const void *from, std::size_t count) {
    words.resize((size + count + 7) / 8 + 1);
    if (count > 0) std::memcpy(data() + size, from, count);
    size += count;
  }
  template <class T>
  void put(T value) {
    append(&value, sizeof value);
  }
  void pad() {
    while (size % 8 != 0) put(std::uint8_t{0});
  }
  template <class T>
  void set(std::size_t at, T value) {
    std::memcpy(data() + at, &value, sizeof value);
  }
  void seal() { set(12, crc32(data() + 16, size - 16)); }
};

Bytes bed_section() {
  Bytes b;
  for (int v : {kNx, kNy, 64, 0}) b.put(std::int32_t{v});
  double n[43] = {-0.25, -0.15, 0.1, -0.25, 0.05, 1.0, 0.003};
  const double walls[16] = {-1, 0, 0, -0.25, 1, 0, 0, -0.25, 0, -1, 0, -0.15, 0, 1, 0, -0.15};
  std::memcpy(n + 7, walls, sizeof walls);
  n[23] = 1.25;
  for (int w = 0; w < 4; ++w) n[26 + w] = 0.003;
  for (double v : n) b.put(v);
  for (int w = 0; w < 8; ++w) b.put(static_cast<std::uint8_t>(w == 2));
  for (int i = 0; i < kCells; ++i) b.put(0.01f * static_cast<float>(i));
  b.pad();
  for (int i = 0; i < kCells; ++i) b.put(static_cast<std::uint64_t>(i));
  return b;
}

Bytes sensor_section() {
  Bytes b;
  char id[64] = "mast";
  b.append(id, sizeof id);
  for (double v : {1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 2.0, 0.0, 3.0}) b.put(v);
  for (double v : {0.01, 0.003, 0.02}) b.put(v);
  b.put(std::uint32_t{1});
  b.put(std::uint32_t{0});
  return b;
}

Bytes file_of(bool with_unknown = false, const char *skipped = "", const char *twice = "") {
  Bytes hidden;
  for (int i = 0; i < kHiddenWeights; ++i) hidden.put(0.001f * static_cast<float>(i));
  Bytes json;
  json.append("{}", 2);
  Bytes calibration;
  for (int i = 0; i < 7; ++i) calibration.put(1.0 + i);
  struct Named {
    const char *tag;
    Bytes bytes;
  };
  std::vector<Named> sections = {{"TRCK", json},          {"SENS", sensor_section()},
                                 {"BEDM", bed_section()}, {"HIDN", hidden},
                                 {"PROV", json},          {"CALI", calibration}};
  if (with_unknown) sections.push_back({"XTRA", json});
  std::vector<Named> kept;
  for (const Named &s : sections) {
    if (std::strcmp(s.tag, skipped) != 0) kept.push_back(s);
    if (std::strcmp(s.tag, twice) == 0) kept.push_back(s);
  }
  Bytes f;
  const unsigned char magic[8] = {0x8B, 'V', 'L', 'S', 'T', '\r', '\n', 0x1A};
  f.append(magic, 8);
  f.put(std::uint16_t{1});
  f.put(static_cast<std::uint16_t>(kept.size()));
  f.put(std::uint32_t{0});
  f.put(std::uint64_t{0});
  std::size_t at = 24 + 24 * kept.size();
  for (const Named &s : kept) {
    f.append(s.tag, 4);
    f.put(std::uint32_t{0});
    f.put(static_cast<std::uint64_t>(at));
    f.put(static_cast<std::uint64_t>(s.bytes.size));
    at += (s.bytes.size + 7) / 8 * 8;
  }
  for (Named &s : kept) {
    f.append(s.bytes.data(), s.bytes.size);
    f.pad();
  }
  f.set(16, static_cast<std::uint64_t>(f.size));
  f.seal();
  return f;
}

TruckFileError error_of(Bytes &f) {
  TruckFile out;
  return read_truck_file(f.data(), f.size, out).error;
}

void test_a_sound_file_is_read() {
  Bytes f = file_of(true);
  TruckFile t;
  CHECK(read_truck_file(f.data(), f.size, t).error == TruckFileError::kNone);
  CHECK(t.sensor_count == 1 && std::strcmp(t.sensors[0].id, "mast") == 0);
  CHECK(t.sensors[0].pose.t.x == 2.0 && t.sensors[0].pose.t.z == 3.0 && t.sensors[0].range_noise == 0.02);
  CHECK(t.bed.grid.nx == kNx && t.bed.grid.ny == kNy && t.spec.nz == 64 && t.bed.rim[0] == 1.25);
  CHECK(!t.bed.covered[0] && t.bed.covered[2] && t.bed.floor_std == 0.003);
  CHECK(t.bed.floor[7] == 0.07f && t.bed.fixtures[14] == 14);
  CHECK(t.hidden[10] == 0.001f * 10.0f && t.calibration_count == 7 && t.calibration[6] == 7.0);
  CHECK(t.truck_bytes == 2 && t.truck[0] == '{');
}

void test_checksum_is_that_of_zlib() {
  const char *text = "123456789";
  CHECK(crc32(reinterpret_cast<const unsigned char *>(text), 9) == 0xCBF43926u);
}

void test_each_fault_has_its_error() {
  Bytes f = file_of();
  f.data()[0] ^= 1;
  CHECK(error_of(f) == TruckFileError::kMagic);
  f = file_of();
  f.set(8, std::uint16_t{2});
  CHECK(error_of(f) == TruckFileError::kVersion);
  f = file_of();
  f.data()[f.size - 1] ^= 1;
  CHECK(error_of(f) == TruckFileError::kChecksum);
  f = file_of();
  f.set(24 + 8, static_cast<std::uint64_t>(f.size));
  f.seal();
  CHECK(error_of(f) == TruckFileError::kTable);
  f = file_of(false, "HIDN");
  CHECK(error_of(f) == TruckFileError::kMissing);
  f = file_of(false, "CALI");
  CHECK(error_of(f) == TruckFileError::kNone);
  f = file_of(false, "", "PROV");
  CHECK(error_of(f) == TruckFileError::kDuplicate);
  TruckFile out;
  f = file_of();
  CHECK(read_truck_file(f.data() + 1, f.size - 1, out).error == TruckFileError::kMisaligned);
  for (std::size_t size = 0; size < f.size; ++size) {
    const TruckFileError error = read_truck_file(f.data(), size, out).error;
    CHECK(error == (size < 24 ? TruckFileError::kTooShort : TruckFileError::kSize));
  }
}

void test_every_flipped_bit_is_noticed() {
  Bytes f = file_of();
  for (std::size_t i = 0; i < f.size; ++i) {
    f.data()[i] ^= static_cast<unsigned char>(1u << (i % 8));
    CHECK(error_of(f) != TruckFileError::kNone);
    f.data()[i] ^= static_cast<unsigned char>(1u << (i % 8));
  }
}

// With the checksum put right the checks behind it stand alone: whatever passes is bounded and in the file.
void test_forged_files_are_safe() {
  std::uint64_t state = 1;
  const auto random = [&state] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state >> 33;
  };
  int passed = 0;
  const Bytes sound = file_of(true);
  for (int trial = 0; trial < 20000; ++trial) {
    Bytes f = sound;
    for (std::uint64_t k = 0; k <= random() % 3; ++k) {
      // Half of them in the table, where the sizes and places are.
      const std::size_t at = 16 + random() % (random() % 2 != 0 ? 200 : f.size - 16);
      f.data()[at] =
          random() % 2 != 0 ? static_cast<unsigned char>(random()) : static_cast<unsigned char>(0xFF);
    }
    f.seal();
    TruckFile t;
    if (read_truck_file(f.data(), f.size, t).error != TruckFileError::kNone) continue;
    ++passed;
    double sum = 0.0;
    for (int i = 0; i < t.bed.grid.size(); ++i)
      sum += t.bed.floor[i] + static_cast<double>(t.bed.fixtures[i] & 1);
    for (int i = 0; i < kHiddenWeights; ++i) sum += t.hidden[i];
    for (int i = 0; i < t.calibration_count; ++i) sum += t.calibration[i];
    for (std::size_t i = 0; i < t.truck_bytes; ++i) sum += t.truck[i];
    for (std::size_t i = 0; i < t.provenance_bytes; ++i) sum += t.provenance[i];
    CHECK(std::isfinite(sum));
  }
  CHECK(passed > 100 && passed < 20000);
}

}  // namespace

int main() {
  test_a_sound_file_is_read();
  test_checksum_is_that_of_zlib();
  test_each_fault_has_its_error();
  test_every_flipped_bit_is_noticed();
  test_forged_files_are_safe();
  return volest_test::checks_result("truckfile");
}
