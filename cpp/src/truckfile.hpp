// The file of a commissioned truck, docs/truckfile.md: checked in full, then looked at where it lies.
#pragma once

#include "engine.hpp"
#include "fusion.hpp"

namespace volest {

constexpr std::uint16_t kTruckFileVersion = 1;
constexpr std::size_t kTruckFileMostBytes = std::size_t{1} << 26;  // 64 MiB
constexpr int kMostCalibration = 64;

// Pinned: numbers are never given another meaning.
enum class TruckFileError : int {
  kNone = 0,
  kMisaligned = 1,  // the memory does not lie on a multiple of 8
  kTooShort = 2,    // shorter than a header
  kMagic = 3,       // no truck.volest, or one that went through a text-mode copy
  kVersion = 4,     // of a format that this reader does not know
  kSize = 5,        // the size in the header is not that of the file, or beyond the limit
  kChecksum = 6,
  kTable = 7,      // a section lies outside of the file, overlaps the table or is not aligned
  kDuplicate = 8,  // a section comes twice
  kMissing = 9,    // a section that must be there is not
  kLength = 10,    // a section has another length than its contents have
  kValue = 11,     // a number is not finite, or outside of its range
};

const char *truck_file_text(TruckFileError error) noexcept;

struct StoredSensor {
  char id[64];                                        // ends with 0
  Pose pose;                                          // T_bed_sensor
  double std_translation, std_rotation, range_noise;  // m, rad, m; 1-sigma
  std::uint32_t pose_std_told;                        // 0: the two are defaults
};

// Views into the file; they live as long as its memory does.
struct TruckFile {
  EngineSpec spec;
  Bed bed;
  int sensor_count;
  StoredSensor sensors[kMostSensors];
  const float *hidden;        // kHiddenWeights numbers
  const double *calibration;  // of volest/uncertainty.py; none: nullptr
  int calibration_count;
  bool has_scale, has_waste;  // files of older versions tell neither
  Scale scale;
  WasteDensities waste;
  BetaPrior prior;                 // of the wet mass fraction
  const char *truck, *provenance;  // JSON for people and for Python; not ended by 0
  std::size_t truck_bytes, provenance_bytes;
};

struct TruckFileStatus {
  TruckFileError error;
  char section[5];  // where; empty in the header
  std::size_t at;   // byte of the file
};

// Checks everything and fills `out`. `data` must be aligned to 8. No allocation; any bytes are safe.
TruckFileStatus read_truck_file(const unsigned char *data, std::size_t size, TruckFile &out) noexcept;

// CRC-32 of ISO 3309, as zlib and PNG use it.
std::uint32_t crc32(const unsigned char *data, std::size_t size) noexcept;

}  // namespace volest
