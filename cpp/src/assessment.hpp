// From the surface to a volume: how far the integral is off, what each source adds to its uncertainty, and what
// is to be told of the load.
#pragma once

#include "placement.hpp"
#include "quantity.hpp"

namespace volest {

// What the errors of one load grow with.
struct Terms {
  double hidden;     // m2 out of sight, at the scale of a truck bed
  double distance;   // m3; out of sight times the distance to the nearest return
  double lumps;      // m3; roughness over what is out of sight
  double between;    // m3; roughness over what is in sight without a return of its own
  double gap;        // m3; the same over the distance to the nearest return
  double seen;       // m3; roughness over cells with returns
  double scatter;    // m3, 1-sigma, of the returns in their cells
  double pose;       // m3, 1-sigma, as the registration has it
  double reference;  // m3, 1-sigma, as the bed has it
  double noise;      // m3; range noise over the footprint
};

// What simulated loads teach of the errors.
struct Calibration {
  double excess_per_roughness;      // m that seen cells read too high, for each m of roughness within them
  double hidden_std;                // m, of the mean height of what is hidden
  double hidden_std_per_distance;   // more, for each m from the nearest return
  double hidden_std_per_roughness;  // more, for each m of roughness where it is seen
  double between_std_per_roughness;
  double gap_std_per_distance;
  double seen_std_per_roughness;
  double pose_std_per_std;  // of what the registration's covariance says
  double reference_std_per_std;
  double bias_per_noise;  // what a beam's constant error leaves after registration
  double factor;  // so that 95 % intervals hold 95 times in 100, also on kinds that were not learned from
};

// Of many beds, sensors and mounts; learned by `python benchmarks/accuracy.py --learn`, see docs/method.md.
constexpr Calibration kGenericCalibration{0.138, 0.0064, 0.115, 2.99,  0.189, 0.169,
                                          0.093, 0.82,   0.45,  0.025, 1.65};

// Standard uncertainty of the volume by source, m3; they are independent (GUM, JCGM 100:2008, 5.1.2).
struct Budget {
  double hidden;     // what lies in shadow
  double pose;       // where each scan was taken from
  double reference;  // the empty bed
  double range;      // what the sensor's bias leaves after registration
  double surface;    // the scatter of the returns and what lies between them

  double std() const {
    return std::sqrt(hidden * hidden + pose * pose + reference * reference + range * range + surface * surface);
  }
};

Budget budget_of(const Calibration &calibration, const Terms &terms) noexcept;
// By how much the integral is too great on average, m3: rays stop at the upper and nearer side of lumps.
inline double excess_of(const Calibration &calibration, const Terms &terms) {
  return calibration.excess_per_roughness * terms.seen;
}

// What is known beside the scans.
struct Knowledge {
  const float *hidden_weights;  // kHiddenWeights of the network that lowers what is hidden; nullptr: none
  Calibration calibration;
  bool own_bed;        // learned from loads in this very bed
  double range_noise;  // of the noisiest sensor, 1-sigma, m
};

// Which points of a scan can be looked at once more: all, of a scan that is the only one what the engine keeps
// of its parts, or none.
enum class Again { kAll, kSifted, kNone };

// What is known of a scan that was placed.
struct PlacedScan {
  Cloud cloud;  // of one that came in parts: empty
  const Placement *placement;
  int sensor;  // scans of one sensor follow each other
  Again again = Again::kAll;
};
constexpr int kMostScans = 64;

// What changed between the frames of one sensor: the part of the cells that all of them saw, and the least and
// the greatest volume that one of them shows, m3.
struct Change {
  double fraction, least, greatest;
};

// Returns by what they are.
struct Sight {
  std::int64_t used;  // for the load's surface
  double rejected;    // part of the returns over the bed that no surface explains
  double hanging;     // of all, those of them in the air above the surface
  bool unresolved;    // a second pass would have told some cells better, but the points were gone
};

// The surface of the scans that the engine holds.
Sight complete(Engine &engine, const PlacedScan *scans, int count, const float *hidden_weights) noexcept;

enum class Verdict { kOk, kDegraded, kNothingInside, kCovered, kDust };  // from kNothingInside on: no estimate

// What is to be told of a load: bits.
enum Flag : std::uint32_t {
  kOccluded = 1u << 0,
  kSparse = 1u << 1,
  kSensorMoved = 1u << 2,
  kOverhang = 1u << 3,
  kEmptyBed = 1u << 4,
  kCarryBack = 1u << 5,
  kUnfamiliar = 1u << 6,
  kDust = 1u << 7,
  kTarp = 1u << 8,
  kDirtyWindow = 1u << 9,
  kLoadMoved = 1u << 10,
};
constexpr int kFlags = 11;
extern const char *const kFlagNames[kFlags];

struct Assessment {
  Verdict verdict;
  std::uint32_t flags;
  Sight sight;
  Integral integral;
  Terms terms;
  Budget budget;
  Quantity volume;  // m3
  double fill;      // of struck capacity
  double seen;      // part of the footprint in sight
  bool has_centroid;
  double centroid[3];  // m, where there is enough load to have one
};

// Completes the surface of the scans that the engine holds, and judges the load. `changes` are those of each
// sensor with several frames.
Assessment assess(Engine &engine, const PlacedScan *scans, int count, const Knowledge &known,
                  const Change *changes, int change_count) noexcept;

}  // namespace volest
