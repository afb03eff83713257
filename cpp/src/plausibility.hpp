// Whether a scan could have been taken of a bed that lies where a pose has it.
#pragma once

#include "bed.hpp"

namespace volest {

struct Plausibility {
  std::int64_t valid;    // points that are measurements
  std::int64_t inside;   // points over the bed, above its floor
  std::int64_t beside;   // points just outside the side walls and the tailgate, above their tops
  std::int64_t through;  // points whose ray would have had to pass through a wall: the bed cannot be there
};

// Counts the points of one scan by where they are; with `rays` they are seen from pose.t.
Plausibility judge_pose(const Bed &bed, const Cloud &cloud, const Pose &pose, bool rays) noexcept;

}  // namespace volest
