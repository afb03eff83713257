#include "truckfile.hpp"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the file is read where it lies, which takes a little-endian machine"
#endif

namespace volest {
namespace {

constexpr unsigned char kMagic[8] = {0x8B, 'V', 'L', 'S', 'T', '\r', '\n', 0x1A};
constexpr std::size_t kHeader = 24, kEntry = 24, kMostSections = 64;
constexpr std::size_t kSensorBytes = 192, kBedBytes = 368;
constexpr double kFarthest = 1e4;       // m
constexpr double kLeastInwards = 0.5;   // of a wall's unit normal, along the bed's x or y
constexpr double kLeastDensity = 1e-3;  // kg/m3, of any waste
enum Tag {
  kTruckTag,
  kSensorsTag,
  kBedTag,
  kHiddenTag,
  kCalibrationTag,
  kProvenanceTag,
  kScaleTag,
  kWasteTag,
  kTags
};
constexpr char kTagText[kTags][5] = {"TRCK", "SENS", "BEDM", "HIDN", "CALI", "PROV", "SCAL", "WAST"};
constexpr bool kRequired[kTags] = {true, true, true, true, false, true, false, false};

struct Section {
  std::size_t at, size;
  bool present;
};

template <class T>
T take(const unsigned char *at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

TruckFileStatus fail(TruckFileError error, std::size_t at, const char *section = "") {
  TruckFileStatus status{error, {}, at};
  std::memcpy(status.section, section, std::strlen(section));
  return status;
}

// Whether `count` numbers are finite and no greater than `most` in size.
template <class T>
bool are_bounded(const unsigned char *at, std::size_t count, double most, std::size_t &wrong) {
  for (std::size_t i = 0; i < count; ++i)
    if (!(std::fabs(static_cast<double>(take<T>(at + i * sizeof(T)))) <= most)) {
      wrong = i * sizeof(T);
      return false;
    }
  return true;
}

TruckFileStatus read_header(const unsigned char *data, std::size_t size, Section sections[kTags]) {
  if (reinterpret_cast<std::uintptr_t>(data) % 8 != 0) return fail(TruckFileError::kMisaligned, 0);
  if (size < kHeader) return fail(TruckFileError::kTooShort, size);
  if (std::memcmp(data, kMagic, sizeof kMagic) != 0) return fail(TruckFileError::kMagic, 0);
  if (take<std::uint16_t>(data + 8) != kTruckFileVersion) return fail(TruckFileError::kVersion, 8);
  if (size > kTruckFileMostBytes || take<std::uint64_t>(data + 16) != size)
    return fail(TruckFileError::kSize, 16);
  if (take<std::uint32_t>(data + 12) != crc32(data + 16, size - 16)) return fail(TruckFileError::kChecksum, 12);
  const std::size_t count = take<std::uint16_t>(data + 10);
  const std::size_t first = kHeader + count * kEntry;
  if (count > kMostSections || first > size) return fail(TruckFileError::kTable, 10);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t entry = kHeader + i * kEntry;
    const auto at = take<std::uint64_t>(data + entry + 8), bytes = take<std::uint64_t>(data + entry + 16);
    if (at % 8 != 0 || at < first || at > size || bytes > size - at) return fail(TruckFileError::kTable, entry);
    for (int tag = 0; tag < kTags; ++tag) {
      if (std::memcmp(data + entry, kTagText[tag], 4) != 0)
        continue;  // what is not known is left for later readers
      if (sections[tag].present) return fail(TruckFileError::kDuplicate, entry, kTagText[tag]);
      sections[tag] = {static_cast<std::size_t>(at), static_cast<std::size_t>(bytes), true};
    }
  }
  for (int tag = 0; tag < kTags; ++tag)
    if (kRequired[tag] && !sections[tag].present) return fail(TruckFileError::kMissing, kHeader, kTagText[tag]);
  return fail(TruckFileError::kNone, 0);
}

bool is_rotation(const double R[9]) {
  for (int i = 0; i < 3; ++i)
    for (int j = i; j < 3; ++j) {
      const double product = R[3 * i] * R[3 * j] + R[3 * i + 1] * R[3 * j + 1] + R[3 * i + 2] * R[3 * j + 2];
      if (!(std::fabs(product - (i == j ? 1.0 : 0.0)) < 1e-9)) return false;
    }
  const Vec3 z = cross({R[0], R[1], R[2]}, {R[3], R[4], R[5]});
  return dot(z, {R[6], R[7], R[8]}) > 0.0;
}

bool is_within(double value, double least, double most) { return value >= least && value <= most; }

TruckFileStatus read_sensors(const unsigned char *data, Section section, TruckFile &out) {
  const char *name = kTagText[kSensorsTag];
  if (section.size % kSensorBytes != 0 || section.size / kSensorBytes > kMostSensors)
    return fail(TruckFileError::kLength, section.at, name);
  out.sensor_count = static_cast<int>(section.size / kSensorBytes);
  for (int i = 0; i < out.sensor_count; ++i) {
    const std::size_t at = section.at + static_cast<std::size_t>(i) * kSensorBytes;
    StoredSensor &sensor = out.sensors[i];
    std::memcpy(sensor.id, data + at, sizeof sensor.id);
    if (sensor.id[0] == 0 || std::memchr(sensor.id, 0, sizeof sensor.id) == nullptr)
      return fail(TruckFileError::kValue, at, name);
    std::memcpy(sensor.pose.R, data + at + 64, sizeof sensor.pose.R);
    sensor.pose.t = {take<double>(data + at + 136), take<double>(data + at + 144),
                     take<double>(data + at + 152)};
    sensor.std_translation = take<double>(data + at + 160);
    sensor.std_rotation = take<double>(data + at + 168);
    sensor.range_noise = take<double>(data + at + 176);
    sensor.pose_std_told = take<std::uint32_t>(data + at + 184);
    std::size_t wrong = 0;
    if (!are_bounded<double>(data + at + 64, 15, kFarthest, wrong) || !is_rotation(sensor.pose.R))
      return fail(TruckFileError::kValue, at + 64 + wrong, name);
    if (!is_within(sensor.std_translation, 0.0, 10.0) || !is_within(sensor.std_rotation, 0.0, 3.2) ||
        !is_within(sensor.range_noise, 1e-9, 1.0) || sensor.pose_std_told > 1)
      return fail(TruckFileError::kValue, at + 160, name);
  }
  return fail(TruckFileError::kNone, 0);
}

TruckFileStatus read_bed(const unsigned char *data, Section section, TruckFile &out) {
  const char *name = kTagText[kBedTag];
  if (section.size < kBedBytes) return fail(TruckFileError::kLength, section.at, name);
  const unsigned char *at = data + section.at;
  EngineSpec &spec = out.spec;
  spec.grid.nx = take<std::int32_t>(at);
  spec.grid.ny = take<std::int32_t>(at + 4);
  spec.nz = take<std::int32_t>(at + 8);
  if (spec.grid.nx < 1 || spec.grid.ny < 1 || spec.grid.nx > 4096 || spec.grid.ny > 4096 || spec.nz < 1 ||
      spec.nz > 64)
    return fail(TruckFileError::kValue, section.at, name);
  const std::size_t cells = static_cast<std::size_t>(spec.grid.nx) * static_cast<std::size_t>(spec.grid.ny);
  const std::size_t floor_bytes = (cells * sizeof(float) + 7) / 8 * 8;
  if (section.size != kBedBytes + floor_bytes + cells * 8)
    return fail(TruckFileError::kLength, section.at, name);
  std::size_t wrong = 0;
  if (!are_bounded<double>(at + 16, 43, kFarthest, wrong))
    return fail(TruckFileError::kValue, section.at + 16 + wrong, name);
  double n[43];
  std::memcpy(n, at + 16, sizeof n);
  spec.grid.x0 = n[0];
  spec.grid.y0 = n[1];
  spec.grid.cell = n[2];
  spec.z0 = n[3];
  spec.dz = n[4];
  Bed &bed = out.bed;
  bed.grid = spec.grid;
  bed.scale = n[5];
  bed.floor_std = n[6];
  for (int w = 0; w < kWalls; ++w) {
    const double *wall = n + 7 + 4 * w;
    bed.walls[w] = {{wall[0], wall[1], wall[2]}, wall[3]};
    const double inwards = w < kLeft ? wall[0] : wall[1], sign = w == kFront || w == kLeft ? -1.0 : 1.0;
    if (!(std::fabs(dot(bed.walls[w].n, bed.walls[w].n) - 1.0) < 1e-9) || !(sign * inwards > kLeastInwards))
      return fail(TruckFileError::kValue, section.at + 16 + 8 * static_cast<std::size_t>(7 + 4 * w), name);
    bed.wall_std[w] = n[26 + w];
    bed.skin[w] = n[30 + w];
    bed.liner[w] = n[34 + w];
    const std::uint8_t covered = at[360 + w];
    if (covered > 1) return fail(TruckFileError::kValue, section.at + 360, name);
    bed.covered[w] = covered == 1;
    if (bed.wall_std[w] < 0.0 || bed.skin[w] < 0.0 || bed.liner[w] < 0.0)
      return fail(TruckFileError::kValue, section.at + 16 + 8 * 26, name);
  }
  std::memcpy(bed.rim, n + 23, sizeof bed.rim);
  if (!is_within(bed.grid.cell, 1e-4, 1.0) || !is_within(spec.dz, 1e-4, 1.0) ||
      !is_within(bed.scale, 1e-3, 1.0) || !(bed.floor_std >= 0.0))
    return fail(TruckFileError::kValue, section.at + 16, name);
  if (!are_bounded<float>(at + kBedBytes, cells, kFarthest, wrong))
    return fail(TruckFileError::kValue, section.at + kBedBytes + wrong, name);
  bed.floor = reinterpret_cast<const float *>(at + kBedBytes);
  bed.fixtures = reinterpret_cast<const std::uint64_t *>(at + kBedBytes + floor_bytes);
  return fail(TruckFileError::kNone, 0);
}

// So many numbers, each within its range.
template <std::size_t N>
TruckFileStatus read_some(const unsigned char *data, Section section, const char *name, const double (&most)[N],
                          double (&out)[N]) {
  if (section.size != sizeof out) return fail(TruckFileError::kLength, section.at, name);
  std::memcpy(out, data + section.at, sizeof out);
  for (std::size_t i = 0; i < N; ++i)
    if (!is_within(out[i], 0.0, most[i])) return fail(TruckFileError::kValue, section.at + 8 * i, name);
  return fail(TruckFileError::kNone, 0);
}

TruckFileStatus read_scale(const unsigned char *data, Section section, TruckFile &out) {
  constexpr double kMost[4] = {200000.0, 20000.0, 0.5, 1000.0};
  double n[4] = {};
  out.has_scale = section.present;
  if (!section.present) return fail(TruckFileError::kNone, 0);
  const TruckFileStatus status = read_some(data, section, kTagText[kScaleTag], kMost, n);
  out.scale = {n[0], n[1], n[2], n[3]};
  return status;
}

TruckFileStatus read_waste(const unsigned char *data, Section section, TruckFile &out) {
  constexpr double kMost[6] = {5000.0, 2.0, 5000.0, 2.0, 1000.0, 1000.0}, kLeastPrior = 0.1;
  double n[6] = {};
  out.has_waste = section.present;
  if (!section.present) return fail(TruckFileError::kNone, 0);
  const TruckFileStatus status = read_some(data, section, kTagText[kWasteTag], kMost, n);
  if (status.error != TruckFileError::kNone) return status;
  out.waste = {n[0], n[1], n[2], n[3]};
  out.prior = {n[4], n[5]};
  const bool are_densities = n[0] >= kLeastDensity && n[0] < n[2] && n[1] > 0.0 && n[3] > 0.0;
  if (are_densities && n[4] >= kLeastPrior && n[5] >= kLeastPrior) return status;
  return fail(TruckFileError::kValue, section.at, kTagText[kWasteTag]);
}

template <class T>
TruckFileStatus check_numbers(const unsigned char *data, Section section, const char *name, std::size_t least,
                              std::size_t most) {
  const std::size_t count = section.size / sizeof(T);
  if (section.size % sizeof(T) != 0 || count < least || count > most)
    return fail(TruckFileError::kLength, section.at, name);
  std::size_t wrong = 0;
  if (!are_bounded<T>(data + section.at, count, 1e6, wrong))
    return fail(TruckFileError::kValue, section.at + wrong, name);
  return fail(TruckFileError::kNone, 0);
}

}  // namespace

const char *truck_file_text(TruckFileError error) noexcept {
  switch (error) {
    case TruckFileError::kNone:
      return "sound";
    case TruckFileError::kMisaligned:
      return "expected memory that is aligned to 8 bytes";
    case TruckFileError::kTooShort:
      return "expected at least a header of 24 bytes";
    case TruckFileError::kMagic:
      return "expected the signature of a truck.volest, unchanged by text-mode copying";
    case TruckFileError::kVersion:
      return "expected version 1 of the format";
    case TruckFileError::kSize:
      return "expected the size that the header tells, at most 64 MiB";
    case TruckFileError::kChecksum:
      return "expected contents that agree with the checksum";
    case TruckFileError::kTable:
      return "expected sections that lie within the file on multiples of 8";
    case TruckFileError::kDuplicate:
      return "expected each section once";
    case TruckFileError::kMissing:
      return "expected this section";
    case TruckFileError::kLength:
      return "expected a section as long as its contents";
    case TruckFileError::kValue:
      return "expected a finite number within its range";
  }
  return "unknown";
}

std::uint32_t crc32(const unsigned char *data, std::size_t size) noexcept {
  std::uint32_t table[256];
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int k = 0; k < 8; ++k) c = c & 1 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
    table[i] = c;
  }
  std::uint32_t crc = 0xFFFFFFFFu;
  for (std::size_t i = 0; i < size; ++i) crc = table[(crc ^ data[i]) & 0xFFu] ^ (crc >> 8);
  return crc ^ 0xFFFFFFFFu;
}

TruckFileStatus read_truck_file(const unsigned char *data, std::size_t size, TruckFile &out) noexcept {
  out = {};
  Section sections[kTags] = {};
  TruckFileStatus status = read_header(data, size, sections);
  if (status.error == TruckFileError::kNone) status = read_sensors(data, sections[kSensorsTag], out);
  if (status.error == TruckFileError::kNone) status = read_bed(data, sections[kBedTag], out);
  if (status.error == TruckFileError::kNone)
    status =
        check_numbers<float>(data, sections[kHiddenTag], kTagText[kHiddenTag], kHiddenWeights, kHiddenWeights);
  const Section calibration = sections[kCalibrationTag];
  if (status.error == TruckFileError::kNone && calibration.present)
    status = check_numbers<double>(data, calibration, kTagText[kCalibrationTag], 1, kMostCalibration);
  if (status.error == TruckFileError::kNone) status = read_scale(data, sections[kScaleTag], out);
  if (status.error == TruckFileError::kNone) status = read_waste(data, sections[kWasteTag], out);
  if (status.error != TruckFileError::kNone) return status;
  out.hidden = reinterpret_cast<const float *>(data + sections[kHiddenTag].at);
  if (calibration.present) {
    out.calibration = reinterpret_cast<const double *>(data + calibration.at);
    out.calibration_count = static_cast<int>(calibration.size / sizeof(double));
  }
  out.truck = reinterpret_cast<const char *>(data + sections[kTruckTag].at);
  out.truck_bytes = sections[kTruckTag].size;
  out.provenance = reinterpret_cast<const char *>(data + sections[kProvenanceTag].at);
  out.provenance_bytes = sections[kProvenanceTag].size;
  return status;
}

}  // namespace volest
