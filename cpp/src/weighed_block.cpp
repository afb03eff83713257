#include "weighed_block.hpp"

#include <algorithm>
#include <cmath>

namespace volest {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kSlowPart = 0.9;           // of the frequency that a bounce seems to have
constexpr double kUnseenBounce = 0.01;      // of the gross mass: what a series shorter than a bounce may hide
constexpr double kOutlier = 4.0;            // scaled median absolute deviations; a pure sine reaches 1.4
constexpr double kMad = 1.4826;             // from the median absolute deviation to the standard one
constexpr double kTaperNoise = 10.0 / 7.0;  // equivalent noise bandwidth of the biweight taper
constexpr double kLostWave = 0.2;           // s: of a bounce, what a hole between samples takes at most
constexpr double kUnsteady = 0.05;          // of a bounce that begins or dies within a block, stays in its mean

// What the rounding to steps of `resolution` leaves in a mean: all of it (GUM F.2.2.1) where the reading stands
// still, next to nothing where `scatter` carries it over several steps.
double rounding(double resolution, double scatter) {
  if (!(resolution > 0.0)) return 0.0;
  const double own = square(scatter / resolution) - 1.0 / 12.0;  // before it was rounded, in steps
  return resolution / std::sqrt(12.0) / (1.0 + 15.0 * std::max(own, 0.0));
}

// The variance that a sine of unit variance leaves in a mean over so many periods under the biweight taper,
// whose transform falls as 15 / z^3 and has zeros.
double leak(double periods) {
  const double z = kPi * periods;
  return std::min(0.5 * square(15.0 / (z * z * z)), 1.0);
}

// What samples do from one to the next. Beside their fourth differences a bounce is smooth: those show the
// noise; what the first show beyond it is how fast the bounce is.
struct Differences {
  double noise;  // variance of a sample
  double first;  // mean square of the first difference
};

Differences differences(const WeightSample *s, std::int64_t n) {
  double fourth = 0.0, first = 0.0;
  for (std::int64_t i = 4; i < n; ++i) {
    fourth +=
        square(s[i].gross + s[i - 4].gross - 4.0 * (s[i - 1].gross + s[i - 3].gross) + 6.0 * s[i - 2].gross);
    first += square(s[i].gross - s[i - 1].gross);
  }
  const double count = static_cast<double>(n - 4);
  return {fourth / (70.0 * count), first / count};
}

// Hz, of a bounce of the given variance whose samples lie `spacing` apart, of which a slow part may be hidden.
double bounce_frequency(const Differences &d, double variance, double spacing) {
  const double first = std::max(d.first - 2.0 * d.noise, 0.0);
  if (!(variance > 0.0 && spacing > 0.0)) return kSlowest;
  return std::max(kSlowest, kSlowPart * std::sqrt(first / variance) / (2.0 * kPi * spacing));
}

// The variance that a bounce of unit variance leaves through the holes between samples: a half-wave in each.
double hole_variance(const WeightSample *s, std::int64_t n, const BlockWindow &window) {
  if (!(window.duration > 0.0)) return 0.0;
  const double spacing = window.duration / static_cast<double>(n);
  double sum = 0.0, before = window.start;
  for (std::int64_t i = 0; i <= n; ++i) {
    const double now = i < n ? s[i].time : window.start + window.duration, gap = now - before;
    if (gap > 3.0 * spacing)
      sum += square(BlockWindow::taper(window.place(0.5 * (now + before))) * std::min(gap, kLostWave));
    before = now;
  }
  return sum / square(window.duration * 8.0 / 15.0);  // the taper's mean is 8/15 of its height
}

}  // namespace

double median(double *values, std::int64_t n) noexcept {
  double *middle = values + n / 2;
  std::nth_element(values, middle, values + n);
  return n % 2 ? *middle : 0.5 * (*middle + *std::max_element(values, middle));
}

double median_deviation(double *values, std::int64_t n, double from) noexcept {
  for (std::int64_t i = 0; i < n; ++i) values[i] = std::fabs(values[i] - from);
  return median(values, n);
}

SpikeLimits spike_limits(const WeightSample *s, std::int64_t n, double resolution, double *numbers) noexcept {
  for (std::int64_t i = 0; i < n; ++i) numbers[i] = s[i].gross;
  const double middle = median(numbers, n);
  const double reach =
      kOutlier * std::max(kMad * median_deviation(numbers, n, middle), std::max(resolution, kTiny));
  return {middle - reach, middle + reach};
}

double cut_off(const WeightSample *s, std::int64_t n, const SpikeLimits &limits, double resolution) noexcept {
  double high = 0.0;
  for (std::int64_t i = 0; i < n; ++i)
    if (s[i].gross <= limits.high) high = std::max(high, s[i].gross);
  const double step = std::max(resolution, kTiny);
  std::int64_t at = 0, near = 0, far = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    at += s[i].gross == high;
    near += s[i].gross < high && s[i].gross > high - 1.5 * step;
    far += s[i].gross < high - 2.5 * step;
  }
  return at >= kFewest && 5 * at >= n && 10 * far >= n && at > 3 * near ? high : 0.0;
}

WeighedBlock weigh_block(const WeightSample *s, std::int64_t n, const BlockWindow &window,
                         double resolution) noexcept {
  const double origin = s[0].gross, count = static_cast<double>(n);
  double sum = 0.0, sum_kg = 0.0;
  for (std::int64_t i = 0; i < n; ++i) {
    const double taper = BlockWindow::taper(window.place(s[i].time));
    sum += taper;
    sum_kg += taper * (s[i].gross - origin);
  }
  const double mean = origin + sum_kg / sum;
  double half[2] = {0.0, 0.0};
  for (std::int64_t i = 0; i < n; ++i) half[2 * i >= n] += square(s[i].gross - mean);
  const double scatter = (half[0] + half[1]) / count, change = std::fabs(half[0] - half[1]) / count;
  const Differences steps = n >= kFewest ? differences(s, n) : Differences{scatter, 0.0};
  const double noise = std::min(steps.noise * (1.0 + 4.0 / count), scatter), bounce = scatter - noise;
  const double periods = window.duration * bounce_frequency(steps, bounce, window.duration / count);
  const double unseen = kUnseenBounce * mean * std::max(1.0 - kSlowest * window.duration, 0.0);
  const double variance = bounce * std::min(leak(periods) + hole_variance(s, n, window), 1.0) +
                          std::min(change, bounce) * square(kUnsteady) +
                          noise * std::min(kTaperNoise / count, 1.0);
  return {mean, variance + square(unseen) + square(kTiny), rounding(resolution, std::sqrt(scatter)), scatter};
}

}  // namespace volest
