// All stages, for the class of vectors V; to be included in an unnamed namespace of volest.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"  // no vector crosses a border between files
#endif
// clang-format off: each builds on those before it
#include "wide.inl"
#include "points.inl"
#include "sift.inl"
#include "view.inl"
#include "pass.inl"
#include "air.inl"
#include "select.inl"
#include "membrane.inl"
#include "integral.inl"
#include "hidden.inl"
#include "align.inl"
#include "centroids.inl"
// clang-format on

constexpr Kernels all_stages(const char *name) {
  return {name,
          sift,
          rasterise,
          sweep_rays,
          select_surface,
          complete_surface,
          hidden_features,
          lower_hidden,
          integrate,
          gather_candidates,
          sort_candidates,
          sum_outline,
          sum_class,
          tally_class,
          count_returns,
          survey,
          sum_voxels};
}
