#include "assessment.hpp"

namespace volest {
namespace {

constexpr std::int64_t kMostUnresolved = 16;  // cells that a second pass over the points is not worth
constexpr double kBeyondRepair = 0.5;  // part of the returns over the bed of no surface: dust may pass for one

constexpr double kOccludedBelow = 0.5;    // part in sight under which the answer is more guess than sight
constexpr double kSparseBelow = 0.35;     // part of the footprint with returns of its own
constexpr double kOverhangAbove = 0.03;   // returns beside the bed for each over it
constexpr double kCarryBackBelow = 0.05;  // of struck capacity

constexpr double kDustAbove = 0.07;   // part of the returns over the bed that hang in the air
constexpr double kStormAbove = 0.2;   // part of them that is of no surface
constexpr double kMovedAbove = 0.02;  // part of the cells whose height changed between frames
constexpr double kBlindStd = 0.1;     // m, of the mean height of what lies in a blind part of the view
constexpr double kDustStd = 0.05;     // m, of the mean height of a load, if all returns hung in the air

// What was learned from: beds from pick-ups to big tippers, with loads and sensors drawn widely.
constexpr double kLeastFootprint = 3.5, kLargestFootprint = 16.0;  // m2
constexpr double kRoughest = 0.05, kNoisiest = 0.03;               // m
constexpr double kLeastSeen = 0.4;
constexpr double kLeastCapacity = 1e-3;    // m3; what holds less is no bed that could be filled
constexpr double kUnfamiliarFactor = 1.5;  // how much wider an interval is beyond that

double square(double x) { return x * x; }
double part_of(double x, double whole) { return whole > 0.0 ? x / whole : 0.0; }
double length(double x, double y) { return std::sqrt(x * x + y * y); }

// Each scan moves its own share of the surface when its pose is off.
double pose_std(const Integral &integral, const PlacedScan *scans, int count) {
  double total = 0.0, variance = 0.0;
  for (int i = 0; i < count; ++i) total += static_cast<double>(scans[i].placement->counts.inside);
  for (int i = 0; i < count; ++i) {
    const Placement &p = *scans[i].placement;
    variance += square(static_cast<double>(p.counts.inside) / std::fmax(total, 1.0)) *
                integral.pose_variance(p.found.pose.t, p.found.covariance);
  }
  return std::sqrt(std::fmax(variance, 0.0));
}

double reference_std(const Bed &bed, const Integral &integral) {
  const double depth = integral.volume / std::fmax(integral.footprint, 1e-9);
  double variance = square(bed.floor_std * integral.footprint);
  for (int w = 0; w < kWalls; ++w)
    variance += square(depth * (w < kLeft ? bed.width() : bed.length()) * bed.wall_std[w]);
  return std::sqrt(variance);
}

Terms terms_of(const Integral &integral, const Bed &bed, const PlacedScan *scans, int count, double noise) {
  const double rough = integral.roughness;
  return {bed.scale * integral.area[kHidden],
          integral.hidden_distance,
          rough * integral.area[kHidden],
          rough * integral.area[kBetween],
          integral.gap,
          rough * integral.area[kSeen],
          std::sqrt(integral.surface_variance),
          pose_std(integral, scans, count),
          reference_std(bed, integral),
          noise * integral.footprint};
}

bool is_familiar(const Integral &integral, double seen, const Knowledge &known) {
  const bool is_bed =
      known.own_bed || (kLeastFootprint <= integral.footprint && integral.footprint <= kLargestFootprint);
  return is_bed && integral.roughness <= kRoughest && seen >= kLeastSeen && known.range_noise <= kNoisiest;
}

// How much of the surface lies in a blind part of a sensor's view, m2.
double blind_area(Engine &engine, const PlacedScan *scans, int count) {
  Cloud clouds[kMostScans];
  Sighting sightings[kMostScans];
  int sensors = 0;
  for (int i = 0; i < count; ++i) {
    clouds[i] = scans[i].cloud;
    if (!scans[i].placement->rays) continue;
    if (i > 0 && scans[i].sensor == scans[i - 1].sensor)
      ++sightings[sensors - 1].count;
    else
      sightings[sensors++] = {scans[i].placement->found.pose, clouds + i, 1};
  }
  return engine.blind_area(sightings, sensors);
}

// How far frames put the volume off that they give together, m3.
double doubt_of(const Change &change, double volume) {
  if (change.fraction <= kMovedAbove) return 0.5 * (change.greatest - change.least);
  return std::fmax(volume - change.least, change.greatest - volume);
}

// A second pass over the points of all scans; false where some of them are gone.
bool resolve(Engine &engine, const PlacedScan *scans, int count) {
  for (int i = 0; i < count; ++i)
    if (scans[i].again == Again::kNone) return false;
  for (int i = 0; i < count; ++i) {
    const Placement &p = *scans[i].placement;
    if (scans[i].again == Again::kSifted)
      engine.resolve_sifted(p.found.pose, p.rays);
    else
      engine.resolve(scans[i].cloud, p.found.pose, p.rays);
  }
  return true;
}

std::uint32_t bit_if(bool raised, Flag flag) { return raised ? flag : 0u; }

std::uint32_t flags_of_scans(const PlacedScan *scans, int count) {
  std::uint32_t flags = 0;
  for (int i = 0; i < count; ++i) {
    const Placement &p = *scans[i].placement;
    const auto beside = static_cast<double>(p.counts.beside), inside = static_cast<double>(p.counts.inside);
    flags |= bit_if(p.moved, kSensorMoved) | bit_if(beside > kOverhangAbove * inside, kOverhang);
  }
  return flags;
}

}  // namespace

const char *const kFlagNames[kFlags] = {"occluded", "sparse",       "sensor_moved", "overhang",
                                        "empty",    "carry_back",   "unfamiliar",   "dust",
                                        "tarp",     "dirty_window", "load_moved"};

Budget budget_of(const Calibration &c, const Terms &t) noexcept {
  const double surface = square(t.scatter) + square(c.between_std_per_roughness * t.between) +
                         square(c.gap_std_per_distance * t.gap) + square(c.seen_std_per_roughness * t.seen);
  return {c.factor * (c.hidden_std * t.hidden + c.hidden_std_per_distance * t.distance +
                      c.hidden_std_per_roughness * t.lumps),
          c.factor * (c.pose_std_per_std * t.pose), c.factor * (c.reference_std_per_std * t.reference),
          c.factor * (c.bias_per_noise * t.noise), c.factor * std::sqrt(surface)};
}

Sight complete(Engine &engine, const PlacedScan *scans, int count, const float *hidden_weights) noexcept {
  SurfaceCounts counts = engine.finish({0.0, 0.0});
  const bool is_due = counts.unresolved > kMostUnresolved;
  const bool unresolved = is_due && !resolve(engine, scans, count);
  if (is_due && !unresolved) counts = engine.finish({0.0, 0.0});
  if (hidden_weights != nullptr) engine.lower(hidden_weights);
  std::int64_t load = 0, others = 0;
  for (int i = 0; i < count; ++i) {
    const PassCounts &c = scans[i].placement->counts;
    load += c.load;
    others += c.wall + c.fixture;
  }
  // The engine looks at so many of the returns as it has room for; the placements tell of all.
  const double share = static_cast<double>(load) / std::fmax(static_cast<double>(load + others), 1.0);
  const double per_return = share / std::fmax(static_cast<double>(counts.used + counts.rejected), 1.0);
  return {counts.used, per_return * static_cast<double>(counts.rejected),
          per_return * static_cast<double>(counts.hanging), unresolved};
}

Assessment assess(Engine &engine, const PlacedScan *scans, int count, const Knowledge &known,
                  const Change *changes, int change_count) noexcept {
  Assessment a{};
  a.sight = complete(engine, scans, count, known.hidden_weights);
  const auto refused = [&a](Verdict verdict) {
    a.verdict = verdict;
    return a;
  };
  if (a.sight.used == 0) return refused(Verdict::kNothingInside);
  const Cover cover = engine.cover();
  if (cover == Cover::kSure) return refused(Verdict::kCovered);
  if (a.sight.rejected > kBeyondRepair) return refused(Verdict::kDust);

  const Bed &bed = engine.bed();
  const Integral &integral = a.integral = engine.integral();
  a.terms = terms_of(integral, bed, scans, count, known.range_noise);
  const double seen = integral.area[kSeen], in_sight = seen + integral.area[kBetween];
  a.seen = part_of(in_sight, in_sight + integral.area[kHidden]);
  const bool familiar = is_familiar(integral, a.seen, known);
  Calibration calibration = known.calibration;
  calibration.factor *= familiar ? 1.0 : kUnfamiliarFactor;
  a.budget = budget_of(calibration, a.terms);

  const double blind = blind_area(engine, scans, count);
  double doubt = 0.0;
  bool moved = false;
  for (int i = 0; i < change_count; ++i) {
    doubt = std::fmax(doubt, doubt_of(changes[i], integral.volume));
    moved |= changes[i].fraction > kMovedAbove;
  }
  const double dust = kDustStd * bed.scale * a.sight.hanging * integral.footprint;
  a.budget.hidden = length(a.budget.hidden, kBlindStd * bed.scale * blind);
  a.budget.surface = length(a.budget.surface, length(dust, doubt));

  const double std = a.budget.std(), expected = integral.volume - excess_of(calibration, a.terms);
  a.volume = no_less_than_nothing(expected, std);
  a.fill = integral.struck_capacity < kLeastCapacity ? 0.0 : a.volume.value / integral.struck_capacity;
  a.has_centroid = integral.volume > std;
  for (int i = 0; i < 3 && a.has_centroid; ++i) a.centroid[i] = integral.moment[i] / integral.volume;
  a.flags =
      flags_of_scans(scans, count) | bit_if(a.seen < kOccludedBelow, kOccluded) |
      bit_if(seen < kSparseBelow * integral.footprint, kSparse) | bit_if(expected < 2.0 * std, kEmptyBed) |
      bit_if(expected >= 2.0 * std && a.fill < kCarryBackBelow, kCarryBack) | bit_if(!familiar, kUnfamiliar) |
      bit_if(a.sight.hanging > kDustAbove, kDust) | bit_if(cover == Cover::kLikely, kTarp) |
      bit_if(blind > 0.0, kDirtyWindow) | bit_if(moved, kLoadMoved);
  const bool degraded = (a.flags & (kOccluded | kSensorMoved | kTarp | kDirtyWindow | kLoadMoved)) != 0 ||
                        a.sight.rejected > kStormAbove;
  a.verdict = degraded ? Verdict::kDegraded : Verdict::kOk;
  return a;
}

}  // namespace volest
