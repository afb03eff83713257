// Masses whose truth is known in closed form, what is no mass, sample by sample as all at once, and bits.
#include <cinttypes>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include "check.hpp"
#include "weighing.hpp"

using namespace volest;

namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct Series {
  std::vector<double> time, gross;
  std::vector<char> moving;

  void add(double t, double kg, bool moves = false) {
    time.push_back(t);
    gross.push_back(kg);
    moving.push_back(moves);
  }
};

GrossMass weigh(const Series &s, double resolution) {
  const auto n = static_cast<std::int64_t>(s.time.size());
  std::vector<WeightSample> samples(s.time.size());
  std::vector<double> numbers(s.time.size());
  std::vector<WeighedBlock> blocks(static_cast<std::size_t>(weighing_blocks(n)));
  const std::unique_ptr<bool[]> moving(new bool[s.time.size() + 1]);
  for (std::size_t i = 0; i < s.time.size(); ++i) moving[i] = s.moving[i] != 0;
  return settle({s.time.data(), s.gross.data(), moving.get(), n}, resolution,
                {samples.data(), numbers.data(), blocks.data()});
}

// A bounce without a sine, whose bits differ from library to library: a parabola for each half-wave.
double wave(double periods) {
  const double whole = std::floor(periods), x = periods - whole;
  return x < 0.5 ? 16.0 * x * (0.5 - x) : -16.0 * (x - 0.5) * (1.0 - x);
}

// Numbers 0 to 1, the same with every library.
class Uniform {
 public:
  double operator()() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<double>(state_ >> 11) * 0x1p-53;
  }

 private:
  std::uint64_t state_ = 1;
};

Series bouncing(int count, double rate, double amplitude, double resolution) {
  Uniform uniform;
  Series s;
  for (int i = 0; i < count; ++i) {
    const double t = (i + 0.2 * uniform()) / rate;
    const double kg = 6000.0 + amplitude / (1.0 + t) * wave(1.7 * t) + 20.0 * (uniform() - 0.5);
    s.add(t, resolution > 0.0 ? resolution * std::floor(kg / resolution + 0.5) : kg);
  }
  return s;
}

void a_whole_number_of_periods_leaves_no_more_than_the_taper_does() {
  for (const double hertz : {1.3, 2.0, 2.9}) {
    Series s;
    for (int i = 0; i <= 2000; ++i) s.add(0.01 * i, 5000.0 + 100.0 * std::sin(2.0 * kPi * hertz * 0.01 * i));
    const GrossMass mass = weigh(s, 0.0);
    CHECK(std::fabs(mass.kg - 5000.0) < 1.0 && mass.std < 2.0 && mass.flags == 0);
    CHECK(std::fabs(mass.kg - 5000.0) < 3.0 * mass.std);
  }
}

// Under the biweight taper each of n samples of white noise counts as 0.7.
void white_noise_averages_out() {
  std::mt19937 random(3);
  std::normal_distribution<double> normal(0.0, 10.0);
  double squares = 0.0;
  int honest = 0;
  constexpr int kSeries = 400;
  for (int k = 0; k < kSeries; ++k) {
    Series s;
    for (int i = 0; i < 400; ++i) s.add(0.05 * i, 5000.0 + normal(random));
    const GrossMass mass = weigh(s, 0.0);
    squares += (mass.kg - 5000.0) * (mass.kg - 5000.0);
    honest += mass.std > 0.45 && mass.std < 1.0 && mass.flags == 0;
  }
  CHECK(honest >= kSeries * 97 / 100);  // 98.8 of 100 over 20,000 series, whichever library draws them
  CHECK(std::fabs(std::sqrt(squares / kSeries) / (10.0 * std::sqrt(10.0 / 7.0 / 400.0)) - 1.0) < 0.15);
}

void a_reading_that_stands_still_is_as_good_as_its_steps() {
  Series s;
  for (int i = 0; i < 40; ++i) s.add(0.1 * i, 5000.0);
  const GrossMass mass = weigh(s, 5.0);
  CHECK(mass.kg == 5000.0 && std::fabs(mass.std - 5.0 / std::sqrt(12.0)) < 1e-5 && mass.flags == 0);
}

void a_level_that_jumps_is_told_and_held() {
  Series s = bouncing(400, 20.0, 50.0, 5.0);
  for (std::size_t i = 250; i < s.gross.size(); ++i) s.gross[i] += 800.0;
  const GrossMass mass = weigh(s, 5.0);
  CHECK(mass.flags & kWeightDrifts);
  CHECK(std::fabs(mass.kg - 6000.0) < 1.96 * mass.std && std::fabs(mass.kg - 6800.0) < 1.96 * mass.std);
}

void what_is_no_mass_is_none() {
  for (const double kg : {kNan, 0.0, -5000.0, 1e9, std::numeric_limits<double>::infinity()}) {
    Series s;
    for (int i = 0; i < 30; ++i) s.add(i, kg);
    CHECK(weigh(s, 5.0).flags == kWeightMissing && weigh(s, 5.0).used == 0);
  }
  CHECK(weigh({}, 5.0).flags == kWeightMissing);
  Series driving;
  for (int i = 0; i < 30; ++i) driving.add(i, 5000.0, true);
  CHECK(weigh(driving, 5.0).flags == (kWeightMissing | kWeightMoving));
}

void what_is_broken_is_told() {
  Series stuck, back = bouncing(400, 20.0, 50.0, 5.0), cut = back, frozen = back, lost = back;
  for (int i = 0; i < 400; ++i) stuck.add(0.05 * i, 7311.0);
  for (std::size_t i = 200; i < 400; ++i) back.time[i] -= 3600.0;
  for (std::size_t i = 0; i < 400; ++i) {
    const double t = 0.05 * static_cast<double>(i), kg = 6000.0 + 200.0 * wave(1.7 * t);
    cut.gross[i] = kg < 6050.0 ? kg : 6050.0;
    frozen.gross[i] = i < 120 ? kg : frozen.gross[119];
    if (i % 3) lost.gross[i] = 0.0;
  }
  CHECK(weigh(stuck, 5.0).flags == kWeightStuck);
  CHECK(weigh(back, 5.0).flags == kWeightClock);
  CHECK(weigh(cut, 5.0).flags & kWeightSaturated);
  CHECK(weigh(frozen, 5.0).flags & kWeightStuck);
  CHECK(weigh(lost, 5.0).flags == kWeightLost);
  Series one;
  one.add(0.0, 6000.0);
  CHECK((weigh(one, 5.0).flags & kWeightShort) && weigh(one, 5.0).std >= 59.0);
}

bool same(const GrossMass &a, const GrossMass &b) {
  return std::memcmp(&a.kg, &b.kg, sizeof a.kg) == 0 && std::memcmp(&a.std, &b.std, sizeof a.std) == 0 &&
         std::memcmp(&a.drift, &b.drift, sizeof a.drift) == 0 && a.used == b.used && a.rest == b.rest &&
         a.flags == b.flags;
}

void sample_by_sample_is_as_all_at_once() {
  const auto weighing = std::make_unique<Weighing>();
  for (const std::size_t count : {0u, 1u, 7u, 400u, 4096u, 9000u}) {
    Series s = bouncing(static_cast<int>(count), 20.0, 80.0, 5.0);
    weighing->clear();
    for (std::size_t i = 0; i < count; ++i) {
      s.moving[i] = i % 7 == 0;
      weighing->add(s.time[i], s.gross[i], s.moving[i] != 0);
      if (i % 1000 == 500) weighing->settle(5.0);  // asked in between, and none the worse for it
    }
    const auto kept = static_cast<std::size_t>(weighing->count());
    const auto first = static_cast<std::ptrdiff_t>(count - kept);
    const Series last{{s.time.begin() + first, s.time.end()},
                      {s.gross.begin() + first, s.gross.end()},
                      {s.moving.begin() + first, s.moving.end()}};
    CHECK(kept == (count < Weighing::kKept ? count : Weighing::kKept));
    CHECK(same(weighing->settle(5.0), weigh(last, 5.0)));
  }
}

// Whatever the numbers, an answer that is a mass.
void hostile_series_are_survived() {
  Uniform uniform;
  const double values[] = {kNan,   std::numeric_limits<double>::infinity(),
                           -1e308, 1e308,
                           0.0,    -0.0,
                           5e-324, 199999.0,
                           5000.0, 5005.0,
                           1e12,   -1e12};
  for (int k = 0; k < 20000; ++k) {
    Series s;
    const int count = static_cast<int>(40.0 * uniform());
    const auto pick = [&] { return values[static_cast<int>(11.99 * uniform())]; };
    for (int i = 0; i < count; ++i) {
      const double time = uniform() < 0.3 ? pick() : 10.0 * uniform();
      const double kg = uniform() < 0.5 ? pick() : 6000.0;
      s.add(time, kg, uniform() < 0.1);
    }
    const GrossMass mass = weigh(s, k % 3 ? 5.0 : k % 2 ? 0.0 : kNan);
    const bool is_missing = mass.flags & kWeightMissing;
    CHECK(is_missing ? mass.kg == 0.0 : mass.kg > 0.0 && mass.kg < kMaxGross);
    CHECK(mass.std >= 0.0 && mass.std < kMaxGross && mass.drift >= 0.0 && mass.used <= count);
  }
}

// The same on each kind of machine. Who means to change what is computed writes here what this test prints.
void bits_are_these() {
  std::uint64_t hash = 0xCBF29CE484222325u;
  const auto add = [&](const void *data, std::size_t n) {
    const auto *bytes = static_cast<const unsigned char *>(data);
    for (std::size_t i = 0; i < n; ++i) hash = (hash ^ bytes[i]) * 0x100000001B3u;
  };
  for (const int count : {1, 5, 20, 300, 5000})
    for (const double resolution : {0.0, 2.0, 10.0}) {
      Series s = bouncing(count, 20.0, 300.0, resolution);
      for (std::size_t i = 3; i < s.gross.size(); i += 17) s.gross[i] = i % 2 ? kNan : 9000.0;
      if (count == 300)
        for (std::size_t i = 0; i < 100; ++i) std::swap(s.time[i], s.time[199 - i]);
      const GrossMass mass = weigh(s, resolution);
      add(&mass.kg, sizeof mass.kg);
      add(&mass.std, sizeof mass.std);
      add(&mass.drift, sizeof mass.drift);
      add(&mass.used, sizeof mass.used);
      add(&mass.flags, sizeof mass.flags);
    }
  constexpr std::uint64_t kExpected = 0xEEDA1621D59340D0;
  if (hash != kExpected) std::printf("weighing: 0x%016" PRIX64 "\n", hash);
  CHECK(hash == kExpected);
}

}  // namespace

int main() {
  a_whole_number_of_periods_leaves_no_more_than_the_taper_does();
  white_noise_averages_out();
  a_reading_that_stands_still_is_as_good_as_its_steps();
  a_level_that_jumps_is_told_and_held();
  what_is_no_mass_is_none();
  what_is_broken_is_told();
  sample_by_sample_is_as_all_at_once();
  hostile_series_are_survived();
  bits_are_these();
  return volest_test::checks_result("test_weighing");
}
