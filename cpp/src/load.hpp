// One load of a commissioned truck after the other: scans whole or in parts, a weight, and what they tell
// together.
#pragma once

#include "assessment.hpp"
#include "truckfile.hpp"
#include "weighing.hpp"

namespace volest {

struct LoadOptions {
  bool find_bed = true;      // else poses are believed as they are told
  bool lower_hidden = true;  // else what is hidden stays on the membrane
};

// What was left out because the points were gone: bits.
enum Unchecked : std::uint32_t {
  kUncheckedSensor = 1u << 0,
  kUncheckedSurface = 1u << 1,
  kUncheckedWindow = 1u << 2,
  kUncheckedChange = 1u << 3,
};

// Why a scan is not of the bed, beyond the flags of an assessment: bits.
enum RefusalFlag : std::uint32_t {
  kNoPoints = 1u << kFlags,
  kNoBed = 1u << (kFlags + 1),
  kWrongUnit = 1u << (kFlags + 2),
  kUpsideDownFlag = 1u << (kFlags + 3),
  kWrongTruck = 1u << (kFlags + 4),
  kMassMissing = 1u << (kFlags + 5),
  kMassUnstable = 1u << (kFlags + 6),
  kMassMismatch = 1u << (kFlags + 7),
};
constexpr int kLoadFlags = kFlags + 8;
// The name of the flag in bit i, of an assessment or a refusal.
const char *flag_name(int i) noexcept;

enum class LoadStatus { kOk, kDegraded, kRejected };

struct Estimate {
  LoadStatus status;
  std::uint32_t flags;      // Flag and RefusalFlag
  std::uint32_t unchecked;  // Unchecked
  Assessment volume;        // of what was not rejected
  std::uint32_t weight;     // WeightFlag, of a series
  bool has_mass;
  Fused fused;
};

// The calibration of a file, or the generic one; false where its numbers are none.
bool calibration_of(const TruckFile &file, Calibration &out) noexcept;

class Load {
 public:
  static std::size_t engine_bytes(const TruckFile &file) noexcept { return Engine::required_bytes(file.spec); }

  // What `file` looks at must outlive the load, and so must `memory`: engine_bytes, aligned to 64. Its
  // calibration must be one.
  Load(const TruckFile &file, const LoadOptions &options, void *memory, const Kernels &kernels) noexcept;

  int sensor_count() const { return file_.sensor_count; }
  bool has_sensor(std::uint32_t sensor) const {
    return sensor < static_cast<std::uint32_t>(file_.sensor_count > 0 ? file_.sensor_count : 1);
  }
  int find_sensor(const char *id) const noexcept;  // -1: none
  bool has_scale() const { return file_.has_scale && file_.has_waste; }
  bool is_open() const { return open_ >= 0; }
  bool has_room() const { return count_ < kMostScans; }
  std::int64_t points() const { return points_; }

  void clear() noexcept;
  // The cloud is to stay as it is until the last estimate of the load. There is room, and no scan is open.
  void add(int sensor, const Cloud &cloud) noexcept;
  // A scan in parts.
  void begin(int sensor) noexcept;
  void add_part(const Cloud &part) noexcept;
  void end() noexcept;
  // The gross mass at once, kg (std 0: a single reading), or sample by sample; one takes the place of the
  // other.
  void set_gross(double kg, double std) noexcept;
  void add_weight(double time, double kg, bool moving) noexcept;
  Estimate estimate() noexcept;

  const Engine &engine() const { return engine_; }

 private:
  struct Scan {
    Cloud cloud;
    int sensor;
    bool in_parts;
    Placement placement;
  };

  SensorPrior prior_of(int sensor) const noexcept;
  double range_noise_of(int sensor) const;
  void note_sensor(int sensor) noexcept;
  bool is_known(int sensor, const Cloud &cloud) const noexcept;
  void take(int sensor, const Cloud &cloud, bool in_parts, const Placing &placing) noexcept;
  int placed(PlacedScan *out, bool &several) const noexcept;
  void weigh(Estimate &e) noexcept;

  TruckFile file_;
  LoadOptions options_;
  Calibration calibration_;
  Mixture mixture_;
  Engine engine_;
  Scan scans_[kMostScans];
  int count_ = 0, open_ = -1,
      sifted_ = -1;  // scans, the open one's sensor, the scan whose points the engine keeps
  bool open_has_return_ = false;
  std::uint32_t refusal_ = 0, refusal_unchecked_ = 0;
  std::int64_t points_ = 0;
  double noise_ = 0.0;  // m, of the noisiest sensor of this load
  double gross_ = 0.0, gross_std_ = 0.0;
  Weighing weighing_;
};

}  // namespace volest
