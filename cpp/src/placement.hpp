// Putting a scan where the bed is in it, or telling why the bed is not there.
#pragma once

#include "engine.hpp"

namespace volest {

// What is told of where a sensor sits.
struct SensorPrior {
  Pose pose;              // T_bed_sensor
  RegistrationPrior std;  // of the pose in the bed that the scan is put into
  double std_m;           // how far the pose may put a point of the bed off, 1-sigma, m
  bool rays;              // the points share the sensor's place as their origin

  // Of a pose told with these 1-sigma along and about each axis; m, rad. The empty bed was scanned from a told
  // pose, too: the two err independently.
  static SensorPrior told(const Pose &pose, const RegistrationPrior &std, bool rays) noexcept;
  // How far from where the prior has them walls are looked for, m.
  double reach(const Bed &bed) const { return clamp(3.0 * std_m, kLeastReach, kLargestReach) * bed.scale; }

  static constexpr double kLeastReach = 0.06, kLargestReach = 0.3;  // m at the scale of a truck bed
};

// A scan as it lies in the bed.
struct Placement {
  Registration found;
  PassCounts counts;  // its points by where they are
  bool rays;          // as the prior has it
  bool moved;         // the sensor is not where it was told
  bool unsearched;    // a sensor that was knocked was to be looked for, but the points were gone
};

enum class Misfit {
  kNone,
  kNoReturns,   // hardly a return over the bed
  kBeside,      // returns beside the bed, above its walls
  kThrough,     // returns behind walls that their rays would have had to pass
  kTops,        // the wall tops are not where they would be
  kNoWalls,     // hardly a wall where one would be
  kUnit,        // the bed is found when the coordinates are in another unit
  kUpsideDown,  // the bed is found only with the sensor turned over
  kCovered,     // a sheet lies where the bed was told to be, which hides the walls that it is found by
};

// Units that coordinates may be in by mistake, in m.
constexpr double kUnits[] = {1e-3, 1e-2, 0.0254, 0.3048, 1e3};
// A sensor turned over: the signs of its axes.
constexpr double kFlips[][3] = {{1.0, -1.0, -1.0}, {1.0, 1.0, -1.0}, {-1.0, 1.0, -1.0}};

struct Placing {
  Misfit misfit;
  int unit;             // of kUnits, where the misfit is one of units
  Placement placement;  // of a misfit the most probable one about where the sensor was told
};

// Puts one scan with at least one return into the engine, or tells why the bed is not in it. Without `find` the
// pose is believed as it is told, unless the points say that the bed cannot be there.
Placing place(Engine &engine, const Cloud &cloud, const SensorPrior &prior, bool find) noexcept;

// A scan that comes in parts: to be begun, then given to the engine part by part, then placed by what the
// engine keeps of them. Where the bed is in doubt `place` looks for it elsewhere, which takes all points again;
// here that is left out and told.
void begin_scan(Engine &engine, const SensorPrior &prior, bool find) noexcept;
Placing place_parts(Engine &engine, const SensorPrior &prior, bool find) noexcept;

// Whether the bed is in a scan that it was made from; a bed that was put together from anything else is not.
Placing check_reference(Engine &engine, const Cloud &cloud, const Pose &pose, bool rays) noexcept;

}  // namespace volest
