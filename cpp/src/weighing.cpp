#include "weighing.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace volest {
namespace {

constexpr double kBlock = 2.5;           // s: a few bounces
constexpr double kUnstable = 3.1;        // sigmas: one sound series in 1000 is called unstable
constexpr double kWide = 0.01;           // of the gross mass
constexpr double kDrift = 1.0 / 2000.0;  // of the gross mass: less is no matter
constexpr double kSwing = 0.025;         // of the gross mass, RMS: more than a truck at rest swings
constexpr double kTakeIn = 0.6;          // of a distance: what 1.96 standard deviations take in
constexpr double kRestless = 300.0;  // by such a part of its gross mass a truck moves on its scale, in seconds
constexpr double kJitter = 1.0;      // s by which samples may come out of order
constexpr double kInstant = 1e-6;    // s
constexpr std::int64_t kManySame = 50;    // samples, and
constexpr double kLongSame = 4.0;         // s that a reading may stay the same from the first to the last
constexpr std::int64_t kEnough = 16;      // samples of a block, where there is time
constexpr std::int64_t kNeighbours = 32;  // samples looked at before and after a reading that stands still

// --- Which samples are readings of a truck at rest ----------------------------------------------------------

struct Sound {
  std::int64_t count = 0, rest = 0;
  bool moved = false, clock_back = false;
};

Sound take_sound(const WeightSeries &series, WeightSample *out) {
  Sound sound;
  double latest = -kLatest;
  for (std::int64_t i = 0; i < series.count; ++i) {
    const double time = series.time[i] + 0.0, gross = series.gross[i];  // no -0
    const bool is_mass = std::fabs(time) < kLatest && gross > 0.0 && gross < kMaxGross;
    if (std::fabs(time) < kLatest) {
      sound.clock_back |= time < latest - kJitter;
      latest = std::max(latest, time);
    }
    if (series.moving && series.moving[i]) {
      sound.moved |= is_mass;
      continue;
    }
    ++sound.rest;
    if (is_mass) out[sound.count++] = {time, gross};
  }
  const auto before = [](const WeightSample &a, const WeightSample &b) {
    return a.time != b.time ? a.time < b.time : a.gross < b.gross;
  };
  if (!std::is_sorted(out, out + sound.count, before)) std::sort(out, out + sound.count, before);
  return sound;
}

// Whether samples moved about by more than two steps: what a bounce does, and a scale at rest does not.
bool is_restless(const WeightSample *s, std::int64_t n, double resolution) {
  if (n < 4) return false;
  double values[kNeighbours];
  for (std::int64_t i = 0; i < n; ++i) values[i] = std::fabs(s[i].gross);
  const double middle = median(values, n);
  return median_deviation(values, n, middle) > 1.5 * resolution;
}

// Whether samples i to j, all the same, stand still amid a bounce: no bounce ends or begins like that.
bool is_frozen(const WeightSample *s, std::int64_t n, std::int64_t i, std::int64_t j, double resolution) {
  std::int64_t first = i, last = j;
  while (first > 0 && i - first < kNeighbours && s[i].time - s[first - 1].time <= 1.0) --first;
  while (last < n && last - j < kNeighbours && s[last].time - s[j - 1].time <= 1.0) ++last;
  return is_restless(s + first, i - first, resolution) || is_restless(s + j, last - j, resolution);
}

// Drops the samples of a reading that was stuck for a while; returns how many are left. A series that never
// moves is kept, and `all_stuck` says where steps of the resolution do not explain it.
std::int64_t drop_stuck(WeightSample *s, std::int64_t n, double resolution, bool &all_stuck) {
  for (std::int64_t i = 0, j; i < n; i = j) {
    for (j = i + 1; j < n && s[j].gross == s[i].gross;) ++j;
    const double duration = s[j - 1].time - s[i].time;
    if (j - i == n)
      all_stuck = n >= kManySame && duration >= kLongSame && kRestless * resolution < s[i].gross;
    else if (j - i >= kFewest && duration >= 1.0 && is_frozen(s, n, i, j, resolution))
      for (std::int64_t k = i; k < j; ++k) s[k].gross = -s[k].gross;  // marks it
  }
  const auto is_stuck = [](const WeightSample &x) { return x.gross < 0.0; };
  if (!std::all_of(s, s + n, is_stuck)) return std::remove_if(s, s + n, is_stuck) - s;
  for (std::int64_t i = 0; i < n; ++i) s[i].gross = -s[i].gross;
  all_stuck = true;
  return n;
}

// Whether a reading rests at a top that it never passes, yet comes down from again and again: cut off there,
// for a bounce goes both ways.
bool rests_at_rail(const WeightSample *s, std::int64_t n, double resolution, double *numbers) {
  for (std::int64_t i = 0; i < n; ++i) numbers[i] = s[i].gross;
  const double top = median(numbers, n), step = std::max(resolution, kTiny);
  std::int64_t above = 0, below = 0;  // pairs: one sample may be a spike
  for (std::int64_t i = 1; i < n; ++i) {
    const double a = s[i - 1].gross - top, b = s[i].gross - top;
    above += (b > 0.0 && b < 2.5 * step) || (a > 0.0 && b > 0.0);
    below += a < -1.5 * step && b < -1.5 * step;
  }
  return above == 0 && below >= 2;
}

// --- Blocks of a series -------------------------------------------------------------------------------------

struct Blocks {
  WeighedBlock *block;
  std::int64_t count = 0, used = 0, cut_off = 0;
  double rail = 0.0;  // where readings were cut off, if any were

  // Samples cut off at `at` hardly count: their mean may be off by all that they scatter.
  void add(const WeighedBlock &one, std::int64_t samples, double at) {
    block[count] = one;
    if (at > 0.0) {
      rail = std::max(rail, at);
      cut_off += samples;
      block[count].variance += one.scatter;
    } else {
      used += samples;
    }
    ++count;
  }
};

// Weighs samples that follow each other without a long gap, in blocks of the same duration; those of fewer than
// `fewest` samples are left out.
void weigh_stretch(WeightSample *s, std::int64_t n, std::int64_t fewest, double resolution, double *numbers,
                   Blocks &blocks) {
  const double start = s[0].time, last = s[n - 1].time, span = last - start > kInstant ? last - start : 0.0;
  const double most = static_cast<double>(std::max<std::int64_t>(n / kEnough, 1));
  const auto parts = static_cast<std::int64_t>(std::min(std::max(std::floor(span / kBlock), 1.0), most));
  BlockWindow window{start, span / static_cast<double>(parts)};
  std::int64_t from = 0;
  for (std::int64_t part = 1; part <= parts; ++part) {
    const double end = start + span * (static_cast<double>(part) / static_cast<double>(parts));
    std::int64_t to = from;
    while (to < n && (part == parts || s[to].time < end)) ++to;
    if (to - from >= fewest) {
      WeightSample *own = s + from;
      const SpikeLimits limits = spike_limits(own, to - from, resolution, numbers);
      const double rail = cut_off(own, to - from, limits, resolution);
      const auto is_spike = [&](const WeightSample &x) { return !limits.hold(x); };
      const std::int64_t kept = std::remove_if(own, s + to, is_spike) - own;
      blocks.add(weigh_block(own, kept, window, resolution), kept, rail);
    }
    from = to;
    window.start = end;
  }
}

void weigh_stretches(WeightSample *s, std::int64_t n, double resolution, double *numbers, Blocks &blocks) {
  for (std::int64_t i = 1; i < n; ++i) numbers[i - 1] = s[i].time - s[i - 1].time;
  const double gap = n > 1 ? std::max(kBlock, static_cast<double>(kFewest) * median(numbers, n - 1)) : kBlock;
  for (std::int64_t from = 0, to; from < n; from = to) {
    for (to = from + 1; to < n && s[to].time - s[to - 1].time <= gap;) ++to;
    if (to - from >= std::min(kFewest, n))
      weigh_stretch(s + from, to - from, std::min(kFewest, n), resolution, numbers, blocks);
  }
  if (blocks.count == 0) weigh_stretch(s, n, 1, resolution, numbers, blocks);  // nothing but gaps
}

// --- The level ----------------------------------------------------------------------------------------------

// The greatest chi-square over its degrees of freedom that chance explains: its cube root is close to normal
// (Wilson and Hilferty 1931).
double chance(double freedom) {
  const double spread = 2.0 / (9.0 * freedom), root = 1.0 - spread + kUnstable * std::sqrt(spread);
  return root * root * root;
}

struct Level {
  double mean, variance, drift;
  double scatter;  // variance of the samples about it, as the blocks count
};

double weight(const WeighedBlock &b, double between) {
  return 1.0 / (b.variance + square(b.rounding) + between);
}

double weighted_mean(const Blocks &blocks, double between) {
  double sum = 0.0, sum_kg = 0.0;
  const double origin = blocks.block[0].mean;
  for (std::int64_t i = 0; i < blocks.count; ++i) {
    const double w = weight(blocks.block[i], between);
    sum += w;
    sum_kg += w * (blocks.block[i].mean - origin);
  }
  return origin + sum_kg / sum;
}

// The standard deviation that takes in the levels of all blocks, over what each leaves unsure.
double range(const Blocks &blocks, double mean) {
  double most = 0.0;
  for (std::int64_t i = 0; i < blocks.count; ++i)
    most = std::max(most, std::fabs(blocks.block[i].mean - mean) - 2.0 * std::sqrt(blocks.block[i].variance));
  return kTakeIn * most;
}

// The random-effects mean of DerSimonian and Laird (1986). What scatters between the blocks beyond chance is
// drift: which of the levels is the load's is not known then, so it is not averaged out.
Level level(const Blocks &blocks) {
  const double fixed = weighted_mean(blocks, 0.0), freedom = static_cast<double>(blocks.count - 1);
  double q = 0.0, sum = 0.0, pairs = 0.0;
  for (std::int64_t i = 0; i < blocks.count; ++i) {
    const double w = weight(blocks.block[i], 0.0);
    q += w * square(blocks.block[i].mean - fixed);
    pairs += w * sum;
    sum += w;
  }
  const double between = blocks.count > 1 && q > freedom ? (q - freedom) * sum / (2.0 * pairs) : 0.0;
  Level out{weighted_mean(blocks, between), 0.0, 0.0, 0.0};
  if (blocks.count > 1 && q > freedom * chance(freedom))
    out.drift = std::max(std::sqrt(between), range(blocks, out.mean));
  double own = 0.0, common = 0.0, total = 0.0;
  for (std::int64_t i = 0; i < blocks.count; ++i) {
    const WeighedBlock &b = blocks.block[i];
    const double w = weight(b, between);
    own += square(w) * (b.variance + between);
    common += w * b.rounding;
    out.scatter += w * b.scatter;
    total += w;
  }
  out.scatter /= total;
  out.variance = (own + square(common)) / square(total) + square(out.drift);
  return out;
}

}  // namespace

GrossMass settle(const WeightSeries &series, double resolution, const WeighingWorkspace &workspace) noexcept {
  WeightSample *s = workspace.samples;
  const double step = resolution > 0.0 && resolution < kMaxGross ? resolution : 0.0;
  const Sound sound = take_sound(series, s);
  GrossMass out{0.0, 0.0, 0.0, 0, sound.rest, 0};
  if (sound.clock_back) out.flags |= kWeightClock;
  if (sound.count == 0) {
    out.flags |= kWeightMissing;
    if (sound.moved) out.flags |= kWeightMoving;
    return out;
  }
  bool is_stuck = false;
  const std::int64_t n = drop_stuck(s, sound.count, step, is_stuck);
  const double span = s[n - 1].time - s[0].time;
  const bool is_railed = rests_at_rail(s, n, step, workspace.numbers);
  Blocks blocks{workspace.blocks};
  weigh_stretches(s, n, step, workspace.numbers, blocks);
  const Level found = level(blocks);
  out.kg = found.mean;
  out.std = std::sqrt(found.variance);
  out.drift = found.drift;
  out.used = blocks.used;
  if (found.drift > std::max(step, kDrift * out.kg)) out.flags |= kWeightDrifts;
  if (2 * out.used < sound.rest) {
    out.flags |= kWeightLost;
    if (n < sound.count) out.flags |= kWeightStuck;
    if (blocks.rail > 0.0) out.flags |= kWeightSaturated;
  }
  if (is_railed || (20 * blocks.cut_off > n && out.kg > blocks.rail - 1.5 * std::max(step, kTiny)))
    out.flags |= kWeightSaturated;
  if (found.scatter > square(kSwing * out.kg)) out.flags |= kWeightSwings;
  if (is_stuck) out.flags |= kWeightStuck;
  if (span < 1.0 / kSlowest) out.flags |= kWeightShort;
  if (out.std > kWide * out.kg) out.flags |= kWeightWide;
  return out;
}

void Weighing::add(double time, double gross, bool moving) noexcept {
  const auto slot = static_cast<std::size_t>(next_);
  time_[slot] = time;
  gross_[slot] = gross;
  moving_[slot] = moving;
  count_ = std::min(count_ + 1, kKept);
  next_ = (next_ + 1) % kKept;
}

void Weighing::clear() noexcept { count_ = next_ = 0; }

GrossMass Weighing::settle(double resolution) noexcept {
  if (count_ == kKept) {  // the oldest first
    std::rotate(time_.begin(), time_.begin() + next_, time_.end());
    std::rotate(gross_.begin(), gross_.begin() + next_, gross_.end());
    std::rotate(moving_.begin(), moving_.begin() + next_, moving_.end());
    next_ = 0;
  }
  return volest::settle({time_.data(), gross_.data(), moving_.data(), count_}, resolution,
                        {samples_.data(), numbers_.data(), blocks_.data()});
}

}  // namespace volest
