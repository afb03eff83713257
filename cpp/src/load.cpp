#include "load.hpp"

namespace volest {
namespace {

// Of clouds that are in the bed frame already: what a told pose has by default.
constexpr double kPi = 3.141592653589793;
constexpr double kDefaultTranslation = 0.01, kDefaultRotation = 0.2 * (kPi / 180.0);  // m, rad
constexpr double kDefaultNoise = 0.01;                                                // m
constexpr double kExact = 1e-3;  // m or rad: a pose told as exact is still no better than the model of the bed

std::uint32_t flag_of(Misfit misfit) {
  switch (misfit) {
    case Misfit::kNone:
      return 0;
    case Misfit::kNoReturns:
    case Misfit::kNoWalls:
      return kNoBed;
    case Misfit::kBeside:
      return kWrongTruck;
    case Misfit::kThrough:
    case Misfit::kTops:
      return kSensorMoved;
    case Misfit::kUnit:
      return kWrongUnit;
    case Misfit::kUpsideDown:
      return kUpsideDownFlag;
    case Misfit::kCovered:
      return kTarp;
  }
  return kNoBed;
}

// Whether two numbers say the same; one that is none says what any other such says.
template <class T>
bool is_same(T a, T b) {
  return !(a < b) && !(a > b) && (a == b) == (a == a);
}

template <class T, std::size_t N>
bool same_points(const Cloud &a, const Cloud &b) {
  for (std::int64_t i = 0; i < a.count; ++i) {
    T p[N], q[N];
    std::memcpy(p, a.data + i * a.stride, sizeof p);
    std::memcpy(q, b.data + i * b.stride, sizeof q);
    for (std::size_t k = 0; k < N; ++k)
      if (!is_same(p[k], q[k])) return false;
  }
  return true;
}

bool is_same(const Cloud &a, const Cloud &b) {
  if (a.format != b.format || a.count != b.count) return false;
  if (a.directions != b.directions) {
    if (a.directions == nullptr || b.directions == nullptr) return false;
    const auto bytes = static_cast<std::size_t>(a.count) * 3 * sizeof(float);
    if (std::memcmp(a.directions, b.directions, bytes) != 0) return false;
  }
  switch (a.format) {
    case Cloud::Format::kMetres:
      return same_points<float, 3>(a, b);
    case Cloud::Format::kMillimetres:
      return same_points<std::int16_t, 3>(a, b);
    case Cloud::Format::kRange16:
      return same_points<std::uint16_t, 1>(a, b);
    case Cloud::Format::kRange32:
      return same_points<std::uint32_t, 1>(a, b);
    case Cloud::Format::kRangeFloat:
      return same_points<float, 1>(a, b);
  }
  return false;
}

}  // namespace

const char *flag_name(int i) noexcept {
  static constexpr const char *kRefusals[kLoadFlags - kFlags] = {
      "no_points",   "no_bed",         "wrong_unit",      "upside_down",
      "wrong_truck", "weight_missing", "weight_unstable", "weight_volume_mismatch"};
  return i < kFlags ? kFlagNames[i] : kRefusals[i - kFlags];
}

bool calibration_of(const TruckFile &file, Calibration &out) noexcept {
  constexpr int kNumbers = sizeof(Calibration) / sizeof(double);
  out = kGenericCalibration;
  if (file.calibration == nullptr) return true;
  if (file.calibration_count != kNumbers) return false;
  for (int i = 0; i < kNumbers; ++i)
    if (!(file.calibration[i] >= 0.0)) return false;
  std::memcpy(&out, file.calibration, sizeof out);
  return out.factor > 0.0;
}

Load::Load(const TruckFile &file, const LoadOptions &options, void *memory, const Kernels &kernels) noexcept
    : file_(file),
      options_(options),
      calibration_(),
      mixture_(),
      engine_(file.spec, file.bed, memory, kernels),
      scans_() {
  calibration_of(file_, calibration_);
  if (file_.has_waste) mixture_ = mix(file_.waste, file_.prior);
}

int Load::find_sensor(const char *id) const noexcept {
  for (int i = 0; i < file_.sensor_count; ++i)
    if (std::strncmp(id, file_.sensors[i].id, sizeof file_.sensors[i].id) == 0) return i;
  return -1;
}

void Load::clear() noexcept {
  engine_.clear();
  count_ = 0;
  open_ = sifted_ = -1;
  refusal_ = refusal_unchecked_ = 0;
  points_ = 0;
  noise_ = gross_ = gross_std_ = 0.0;
  weighing_.clear();
}

SensorPrior Load::prior_of(int sensor) const noexcept {
  if (file_.sensor_count == 0) {
    constexpr double kT = kDefaultTranslation, kR = kDefaultRotation;
    return SensorPrior::told({{1, 0, 0, 0, 1, 0, 0, 0, 1}, {0, 0, 0}}, {{kT, kT, kT}, {kR, kR, kR}}, false);
  }
  const StoredSensor &s = file_.sensors[sensor];
  const double t = std::fmax(s.std_translation, kExact), r = std::fmax(s.std_rotation, kExact);
  return SensorPrior::told(s.pose, {{t, t, t}, {r, r, r}}, true);
}

double Load::range_noise_of(int sensor) const {
  return file_.sensor_count == 0 ? kDefaultNoise : file_.sensors[sensor].range_noise;
}

void Load::note_sensor(int sensor) noexcept { noise_ = std::fmax(noise_, range_noise_of(sensor)); }

bool Load::is_known(int sensor, const Cloud &cloud) const noexcept {
  for (int i = 0; i < count_; ++i)
    if (scans_[i].sensor == sensor && !scans_[i].in_parts && is_same(scans_[i].cloud, cloud)) return true;
  return false;
}

// Once a scan is not of the bed, the load is rejected, whatever follows.
void Load::take(int sensor, const Cloud &cloud, bool in_parts, const Placing &placing) noexcept {
  if (placing.misfit != Misfit::kNone) {
    refusal_ = flag_of(placing.misfit);
    refusal_unchecked_ = placing.placement.unsearched ? kUncheckedSensor : 0u;
    return;
  }
  scans_[count_++] = {cloud, sensor, in_parts, placing.placement};
}

void Load::add(int sensor, const Cloud &cloud) noexcept {
  if (is_known(sensor, cloud)) return;
  points_ += cloud.count;
  note_sensor(sensor);
  if (refusal_ != 0 || !cloud.has_return()) return;
  sifted_ = -1;
  take(sensor, cloud, false, place(engine_, cloud, prior_of(sensor), options_.find_bed));
}

void Load::begin(int sensor) noexcept {
  open_ = sensor;
  open_has_return_ = false;
  sifted_ = -1;
  begin_scan(engine_, prior_of(sensor), options_.find_bed);
}

void Load::add_part(const Cloud &part) noexcept {
  points_ += part.count;
  open_has_return_ = open_has_return_ || part.has_return();
  engine_.add_part(part);
}

void Load::end() noexcept {
  const int sensor = open_;
  open_ = -1;
  note_sensor(sensor);
  if (refusal_ != 0 || !open_has_return_) return;
  const int before = count_;
  take(sensor, {nullptr, 0, 0}, true, place_parts(engine_, prior_of(sensor), options_.find_bed));
  sifted_ = count_ > before ? before : -1;
}

// The scans by sensor, in the order in which these came first; `several`: one of them has more than one.
int Load::placed(PlacedScan *out, bool &several) const noexcept {
  int n = 0;
  bool is_out[kMostScans] = {};
  several = false;
  for (int i = 0; i < count_; ++i) {
    if (is_out[i]) continue;
    for (int k = i; k < count_; ++k) {
      const Scan &scan = scans_[k];
      if (is_out[k] || scan.sensor != scans_[i].sensor) continue;
      is_out[k] = true;
      several |= k > i;
      const bool is_kept = k == sifted_ && count_ == 1;
      // Looking at any would take the place of what is kept of the scan that is open.
      const Again again = open_ >= 0      ? Again::kNone
                          : scan.in_parts ? (is_kept ? Again::kSifted : Again::kNone)
                                          : Again::kAll;
      out[n++] = {scan.cloud, &scan.placement, scan.sensor, again};
    }
  }
  return n;
}

void Load::set_gross(double kg, double std) noexcept {
  weighing_.clear();
  gross_ = kg;
  gross_std_ = std > 0.0 ? std : rounding_std(file_.scale.resolution);
}

void Load::add_weight(double time, double kg, bool moving) noexcept {
  gross_ = 0.0;
  weighing_.add(time, kg, moving);
}

// What the scale tells, and of a load that is not rejected what that says of it.
void Load::weigh(Estimate &e) noexcept {
  GrossMass gross{gross_, gross_std_, 0.0, 0, 0, 0};
  if (weighing_.count() > 0) gross = weighing_.settle(file_.scale.resolution);
  const bool is_missing = !(gross.kg > 0.0), is_rejected = e.status == LoadStatus::kRejected;
  e.weight = gross.flags;
  if (gross.flags != 0 || !is_rejected)
    e.flags |= is_missing ? kMassMissing : (gross.flags != 0 ? kMassUnstable : 0u);
  if (is_missing || is_rejected) return;
  const NetMass net = net_mass(file_.scale, gross.kg, gross.std);
  e.fused = fuse(mixture_, e.volume.volume, net.kg, net.std);
  e.has_mass = true;
  if (e.fused.mismatch == Mismatch::kNone) return;
  e.flags |= kMassMismatch;
  e.status = LoadStatus::kDegraded;
}

Estimate Load::estimate() noexcept {
  Estimate e{};
  const auto refused = [&](std::uint32_t flags) {
    e.status = LoadStatus::kRejected;
    e.flags = flags;
    weigh(e);
    return e;
  };
  e.unchecked = refusal_unchecked_;
  if (refusal_ != 0 || count_ == 0) return refused(refusal_ != 0 ? refusal_ : kNoPoints);
  PlacedScan scans[kMostScans];
  bool several = false;
  const int count = placed(scans, several);
  engine_.drop();  // of an estimate before
  const Knowledge known{options_.lower_hidden ? file_.hidden : nullptr, calibration_, true, noise_};
  e.volume = assess(engine_, scans, count, known, nullptr, 0);
  e.unchecked = (several ? kUncheckedChange : 0u) | (e.volume.sight.unresolved ? kUncheckedSurface : 0u);
  for (int i = 0; i < count_; ++i) {
    const Placement &p = scans_[i].placement;
    e.unchecked |=
        (p.unsearched ? kUncheckedSensor : 0u) | (scans_[i].in_parts && p.rays ? kUncheckedWindow : 0u);
  }
  switch (e.volume.verdict) {
    case Verdict::kNothingInside:
      return refused(kNoPoints);
    case Verdict::kCovered:
      return refused(kTarp);
    case Verdict::kDust:
      return refused(kDust);
    case Verdict::kOk:
    case Verdict::kDegraded:
      break;
  }
  e.status = e.volume.verdict == Verdict::kOk ? LoadStatus::kOk : LoadStatus::kDegraded;
  e.flags = e.volume.flags;
  weigh(e);
  return e;
}

}  // namespace volest
