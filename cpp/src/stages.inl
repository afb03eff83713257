// All stages, for the class of vectors V; to be included in an unnamed namespace of volest.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"  // no vector crosses a border between files
#endif
#include "air.inl"
#include "align.inl"
#include "hidden.inl"
#include "integral.inl"
#include "membrane.inl"
#include "pass.inl"
#include "select.inl"
#include "wide.inl"

constexpr Kernels all_stages(const char *name) {
  return {name,         rasterise, sweep_rays,        select_surface, complete_surface, hidden_features,
          lower_hidden, integrate, gather_candidates, sum_class,      tally_class};
}
