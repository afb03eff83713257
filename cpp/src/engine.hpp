// All stages of one load over memory that the caller gives: no allocation, no exception, no global.
#pragma once

#include "cover.hpp"
#include "kernels.hpp"

namespace volest {

constexpr int kMostSensors = 16;

struct EngineSpec {
  Grid grid;
  double z0, dz;  // lowest height and depth of a level, m
  int nz;         // levels, at most 64
};

class Engine {
 public:
  static std::size_t required_bytes(const EngineSpec &spec) noexcept;

  // `memory` holds required_bytes(spec), aligned to 64; what `bed` points to must outlive the engine.
  Engine(const EngineSpec &spec, const Bed &bed, void *memory,
         const Kernels &kernels = best_kernels()) noexcept;

  // From the prior, or from several corrections of it (6 numbers each): the most probable of what is found.
  Registration find_bed(const Cloud &cloud, const Pose &prior, const RegistrationPrior &std, bool rays,
                        double reach_m, const double *starts = nullptr, int start_count = 1) noexcept;
  // The same of a scan that comes in parts: where the bed may be, all its parts, what is found in what stays of
  // them.
  void begin_scan(const Pose &prior, double reach_m) noexcept;
  void add_part(const Cloud &part) noexcept;
  Registration find_sifted(const Pose &prior, const RegistrationPrior &std, bool rays, double reach_m,
                           const double *starts = nullptr, int start_count = 1) noexcept;
  // What is known ahead of rays in these directions [3 * count], to find the bed from this prior within this
  // reach: reach.range holds RayReach::blocks(count).
  void look_along(const float *directions, std::int64_t count, const Pose &prior, double reach_m,
                  RayReach &reach) const noexcept;
  // A scan whose pose is believed as it is told.
  static Registration told(const Pose &pose, const RegistrationPrior &std) noexcept;

  void clear() noexcept;
  // Passes over the points of a scan, seen from pose.t when `rays` is set. What they tell is kept or dropped
  // after.
  PassCounts pass(const Cloud &cloud, const Pose &pose, bool rays) noexcept;
  // The same over the scan in which the bed was found last, where it was found.
  PassCounts pass_found(const Registration &found, bool rays) noexcept;
  void keep() noexcept;
  void drop() noexcept;
  PassCounts add(const Cloud &cloud, const Pose &pose, bool rays) noexcept {
    const PassCounts counts = pass(cloud, pose, rays);
    keep();
    return counts;
  }
  SurfaceCounts finish(SurfacePrior prior) noexcept;
  // After finish() left cells unresolved: once more over each scan that was added, then finish() again.
  void resolve(const Cloud &cloud, const Pose &pose, bool rays) noexcept;
  // The same over what stays of the scan that came in parts last.
  void resolve_sifted(const Pose &pose, bool rays) noexcept;
  // After finish(): lowers what is hidden by the network of kHiddenWeights `weights`.
  void lower(const float *weights) noexcept { kernels_->lower_hidden(bed_, table_, weights, scratch_, map_); }
  // After finish(): the cells [at most grid.size()] without returns, how many, and their features, or nullptr.
  int hidden_features(std::int32_t *cells, float *features) noexcept {
    return kernels_->hidden_features(bed_, table_, map_, scratch_, cells, features);
  }
  // After finish(): whether the surface is a sheet over the bed.
  Cover cover() noexcept { return cover_of(bed_, edge_, map_, scratch_); }
  // After finish(): how much of the surface lies in a blind part of the view of sensors whose rays are known,
  // m2.
  double blind_area(const Sighting *sensors, int count) noexcept {
    return volest::blind_area(bed_.grid, map_, sensors, count, *kernels_, scratch_, view_);
  }
  Integral integral() const noexcept { return kernels_->integrate(bed_, table_, map_); }

  const Bed &bed() const { return bed_; }
  const HeightMap &map() const { return map_; }
  const Columns &columns() const { return columns_; }
  const Kernels &kernels() const { return *kernels_; }

 private:
  std::uint32_t bit_of(Vec3 sensor) noexcept;
  Zone zone(double margin, double about) const noexcept;
  void sift(const Cloud &cloud, const Pose &prior, double margin, double about) noexcept;
  PassCounts pass_sifted(const Pose &pose, bool rays) noexcept;
  PassCounts rasterise(const Pose &pose, bool rays, const Runs *runs) noexcept;

  EngineSpec spec_;
  Bed bed_;
  const Kernels *kernels_;
  CellTable table_;
  Columns columns_;
  Cell *fresh_;  // of the scan that was passed over last, until it is kept or dropped
  HeightMap map_;
  Scratch scratch_;
  Sifted sifted_;
  Candidates candidates_;
  ViewRoom view_;
  Edge edge_;
  Vec3 sensors_[kMostSensors];
  int sensor_count_ = 0;
  Zone part_zone_{};  // of the scan that comes in parts,
  Pose part_prior_{};
  double part_margin_ = 0.0;
  Vec3 fresh_sensor_{};
  bool fresh_rays_ = false;
  bool is_empty_ = true, is_fresh_ = false, is_resolved_ = false;
};

}  // namespace volest
