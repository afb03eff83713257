// The stages that see points or cells, compiled for several instruction sets from one source: the same bits
// from each. Which one runs is chosen when an engine is made.
#pragma once

#include <limits>

#include "hidden.hpp"
#include "integral.hpp"
#include "lattice.hpp"
#include "registration.hpp"
#include "window.hpp"

namespace volest {

enum class Isa { kPortable = 0, kAvx2 = 1, kAvx512 = 2, kNeon = 3 };
constexpr Isa kEveryIsa[] = {Isa::kPortable, Isa::kAvx2, Isa::kAvx512, Isa::kNeon};

struct Kernels {
  const char *name;
  // Adds from a scan, or a part of one, what tells of a bed whose zone this is, as the prior has it, which may
  // be off by `margin` m.
  void (*sift)(const Cloud &cloud, const Zone &zone, const Pose &prior, double margin, Sifted &out) noexcept;
  // Adds such points to the columns, seen from pose.t when `rays` is set; only those of `runs`, if any.
  PassCounts (*rasterise)(const Bed &bed, const Sifted &points, const Pose &pose, bool rays, bool has_fixtures,
                          const Runs *runs, const Columns &columns) noexcept;
  // Lowers the bounds of the cells by the rays of the sensor whose returns are marked with `bit`.
  void (*sweep_rays)(const Bed &bed, const CellTable &table, const Columns &columns, Vec3 sensor,
                     std::uint32_t bit, const Scratch &scratch, FreeAir &air) noexcept;
  // Picks in each column the run of levels that is the surface: the highest that its neighbours support.
  // `resolved` holds the returns of the runs alone, where a second pass has told them from others; nullptr:
  // there was none.
  SurfaceCounts (*select_surface)(const Bed &bed, const CellTable &table, const Columns &columns,
                                  const Cell *resolved, const Scratch &scratch, HeightMap &map) noexcept;
  // Fills the cells without returns by a membrane hung between those with returns, held down by the bound and
  // up by the empty bed. `sensors` are the origins of the rays, none if unknown.
  void (*complete_surface)(const Bed &bed, const CellTable &table, const Vec3 *sensors, int sensor_count,
                           SurfacePrior prior, const Scratch &scratch, HeightMap &map) noexcept;
  // The cells without returns, how many, and what each shows of itself (kHiddenFeatures numbers a cell; not
  // asked for: nullptr).
  int (*hidden_features)(const Bed &bed, const CellTable &table, const HeightMap &map, const Scratch &scratch,
                         std::int32_t *cells, float *features) noexcept;
  // Lowers the cells without returns by what the network expects, not below the empty bed.
  void (*lower_hidden)(const Bed &bed, const CellTable &table, const float *weights, const Scratch &scratch,
                       HeightMap &map) noexcept;
  Integral (*integrate)(const Bed &bed, const CellTable &table, const HeightMap &map) noexcept;
  // Gathers of the outline, as the prior has it, what lies near walls and tops, not near corners; how many
  // points.
  int (*gather_candidates)(const Bed &bed, const Stream &outline, const Pose &prior, double reach_m,
                           double behind_m, double corner_m, Candidates &out) noexcept;
  // Sorts what was gathered by class: so far over the tops it may be of a face, or of a top, or of both; m.
  void (*sort_candidates)(int count, float face_below, float top_above, Candidates &c) noexcept;
  // Sums over all of the outline, as the prior has it, that is on walls and tops as these views have them.
  void (*sum_outline)(const Stream &outline, const Pose &prior, const WallView views[kWalls], double unit,
                      float width, float corner, double out[kClasses][kMoments]) noexcept;
  void (*sum_class)(const Candidates &c, int kind, const WallView &view, float width,
                    double out[kMoments]) noexcept;
  void (*tally_class)(const Candidates &c, int kind, const WallView &view, float gate, float width,
                      ClassTally &out) noexcept;
  // Adds to `counts` (ni, nj) how many points from farther than `least_m` come from each bin of a view.
  void (*count_returns)(const Cloud &cloud, const BinnedView &view, float least_m,
                        std::uint32_t *counts) noexcept;
  // The box about points that lie side by side.
  Span (*survey)(const float *xyz, std::int64_t count) noexcept;
  // Adds such points to the sums [64 * words] of their voxels, all within the lattice's reach, and sets a bit
  // for each voxel that holds some; returns all their counts or'ed.
  std::uint32_t (*sum_voxels)(const float *xyz, std::int64_t count, const Lattice &lattice, VoxelSums *sums,
                              std::size_t words, std::uint64_t *occupied) noexcept;
};

// Those of an instruction set, nullptr where the machine or the build lacks it.
const Kernels *kernels_for(Isa isa) noexcept;
// The fastest that this machine has.
const Kernels &best_kernels() noexcept;

// Each is defined in a file of its own, where the build's target has it.
extern const Kernels kPortableKernels, kAvx2Kernels, kAvx512Kernels, kNeonKernels;

}  // namespace volest
