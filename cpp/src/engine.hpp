// All stages of one load over memory that the caller gives: no allocation, no exception, no global.
#pragma once

#include "hidden.hpp"
#include "integral.hpp"
#include "registration.hpp"

namespace volest {

constexpr int kMostSensors = 16;

struct EngineSpec {
  Grid grid;
  double z0, dz;  // lowest height and depth of a voxel, m
  int nz;         // levels, at most 64
};

class Engine {
 public:
  static std::size_t required_bytes(const EngineSpec &spec) noexcept;

  // `memory` holds required_bytes(spec), aligned to 16; what `bed` points to must outlive the engine.
  Engine(const EngineSpec &spec, const Bed &bed, void *memory) noexcept;

  Registration find_bed(const Cloud &cloud, const Pose &prior, const RegistrationPrior &std, bool rays,
                        double reach_m) noexcept {
    return register_scan(bed_, cloud, prior, std, rays, reach_m, scratch_);
  }
  void clear() noexcept;
  PassCounts add(const Cloud &cloud, const Pose &pose, bool rays) noexcept;
  SurfaceCounts finish(SurfacePrior prior) noexcept;
  // After finish(): lowers what is hidden by the network of kHiddenWeights `weights`.
  void lower(const float *weights) noexcept { lower_hidden(bed_, weights, integral().roughness, map_); }
  Integral integral() const noexcept { return integrate(bed_, map_); }

  const Bed &bed() const { return bed_; }
  const HeightMap &map() const { return map_; }
  const Voxels &voxels() const { return voxels_; }

 private:
  EngineSpec spec_;
  Bed bed_;
  Voxels voxels_;
  HeightMap map_;
  Vec3 *scratch_;
  Vec3 sensors_[kMostSensors];
  int sensor_count_ = 0;
};

}  // namespace volest
