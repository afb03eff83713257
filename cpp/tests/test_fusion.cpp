// The mixture's closed forms, what a density says of the wetness, and bits that no CPU or C library may change.
#include <cmath>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include "check.hpp"
#include "elementary.hpp"
#include "fusion.hpp"

using namespace volest;

namespace {

constexpr WasteDensities kWaste{100.0, 0.25, 450.0, 0.3};
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

bool near(double a, double b, double tolerance) { return std::fabs(a - b) <= tolerance; }

Fused weigh(const WasteDensities &waste, double volume, double volume_std, double mass, double mass_std) {
  const double half = 1.959964 * volume_std;
  return fuse(mix(waste), {volume, volume_std, volume - half, volume + half}, mass, mass_std);
}

void exp_and_log_are_those_of_the_library() {
  for (double x = -690.0; x < 690.0; x += 0.37) {
    CHECK(near(portable_exp(x) / std::exp(x), 1.0, 2e-11));
    CHECK(near(portable_log(std::exp(x)), x, 1e-15 * (1.0 + std::fabs(x))));
  }
  for (float x = -87.0f; x <= 0.0f; x += 0.01f)
    CHECK(near(static_cast<double>(portable_exp_below_0(x)) / std::exp(static_cast<double>(x)), 1.0, 1e-5));
  CHECK(portable_exp(-1e300) == 0.0 && portable_exp(0.0) == 1.0 && portable_log(1.0) == 0.0);
}

void pure_loads_have_the_density_of_their_part() {
  const LogDensity dry = log_density(kWaste, 0.0), wet = log_density(kWaste, 1.0);
  CHECK(near(dry.mean, std::log(100.0), 1e-10) && near(dry.std, 0.25, 1e-10));
  CHECK(near(wet.mean, std::log(450.0), 1e-10) && near(wet.std, 0.3, 1e-10));
}

void half_wet_loads_mix_specific_volumes() {
  const double mean = log_density({100.0, 1e-6, 400.0, 1e-6}, 0.5).mean;
  CHECK(near(std::exp(mean), 1.0 / (0.5 / 400.0 + 0.5 / 100.0), 1e-7));
}

void moments_are_those_of_drawn_loads() {
  std::mt19937 random(0);
  std::normal_distribution<double> normal;
  for (double w : {0.1, 0.3, 0.5, 0.7, 0.9}) {
    constexpr int kLoads = 100000;
    double sum = 0.0, squares = 0.0;
    for (int i = 0; i < kLoads; ++i) {
      const double dry = 100.0 * std::exp(0.25 * normal(random)), wet = 450.0 * std::exp(0.3 * normal(random));
      const double x = -std::log(w / wet + (1.0 - w) / dry);
      sum += x;
      squares += x * x;
    }
    const double mean = sum / kLoads, std = std::sqrt(squares / kLoads - mean * mean);
    CHECK(near(log_density(kWaste, w).mean, mean, 0.004) && near(log_density(kWaste, w).std, std, 0.004));
  }
}

void cells_rise_from_nothing_to_all() {
  for (const WasteDensities &waste :
       {kWaste, WasteDensities{100.0, 0.3, 100.0, 0.3}, WasteDensities{100.0, 0.3, 101.2, 0.3},
        WasteDensities{90.0, 0.1, 95.0, 1.5}}) {
    const Mixture m = mix(waste);
    CHECK(m.edge[0] == 0.0 && m.edge[kFractionCells] == 1.0);
    bool rising = true;
    for (int i = 0; i < kFractionCells; ++i) rising &= m.edge[i] < m.edge[i + 1];
    CHECK(rising);
  }
}

void sharp_densities_tell_the_fraction() {
  const WasteDensities sharp{100.0, 0.003, 400.0, 0.003};
  for (double w : {0.1, 0.35, 0.5, 0.8}) {
    const double density = 1.0 / (w / 400.0 + (1.0 - w) / 100.0);
    const Fused f = weigh(sharp, 6.0, 0.001, 6.0 * density, 0.1);
    CHECK(f.has_wetness && near(f.wetness.fraction.value, w, 2e-3) && f.wetness.fraction.std < 0.01);
    CHECK(f.wetness.waste_class == (w <= 0.4  ? WasteClass::kDry
                                    : w < 0.6 ? WasteClass::kMixed
                                              : WasteClass::kWet));
  }
}

void a_weighing_that_says_nothing_leaves_the_prior() {
  const Fused f = weigh(kWaste, 6.0, 0.1, 1000.0, 1e9);
  CHECK(near(f.wetness.fraction.value, 0.5, 1e-4) && near(f.wetness.fraction.std, std::sqrt(1.0 / 12.0), 1e-4));
  CHECK(near(f.wetness.fraction.lower95, 0.025, 1e-4) && near(f.wetness.fraction.upper95, 0.975, 1e-4));
  CHECK(near(f.wetness.dry, 0.4, 1e-4) && near(f.wetness.mixed, 0.2, 1e-4) && near(f.wetness.wet, 0.4, 1e-4));
  CHECK(f.wetness.waste_class == WasteClass::kNone);
}

// The posterior of a prior Beta(a, b) and a density that says nothing is the prior.
void a_prior_has_its_mean_and_spread() {
  for (const BetaPrior &prior : {BetaPrior{6.2, 3.8}, BetaPrior{0.5, 0.5}, BetaPrior{2.0, 30.0}}) {
    const Mixture m = mix(kWaste, prior);
    const Fused f = fuse(m, {6.0, 0.1, 5.8, 6.2}, 1000.0, 1e9);
    const double n = prior.a + prior.b, mean = prior.a / n, std = std::sqrt(mean * (1.0 - mean) / (n + 1.0));
    CHECK(near(f.wetness.fraction.value, mean, 0.01) && near(f.wetness.fraction.std, std, 0.01));
  }
}

void evidence_that_is_sharp_rules_and_none_changes_nothing() {
  const Mixture m = mix(kWaste);
  const Quantity volume{6.0, 0.1, 5.8, 6.2};
  const Fused sharp = fuse(m, volume, 1000.0, 15.0, {0.7, 50.0}),
              none = fuse(m, volume, 1000.0, 15.0, {0.7, 0.0});
  CHECK(near(sharp.wetness.fraction.value, 0.7, 0.01) && near(sharp.wetness.fraction.std, 0.02, 0.002));
  CHECK(none.wetness.fraction.value == fuse(m, volume, 1000.0, 15.0).wetness.fraction.value);
  const Fused odd = fuse(m, volume, 1000.0, 15.0, {kNan, kNan});
  CHECK(odd.wetness.fraction.value >= 0.0 && odd.wetness.fraction.value <= 1.0);
}

// What the table gives is the quadrature's, for all that a scale and a scanner make of a load.
void the_table_is_the_quadrature() {
  const auto table = std::make_unique<WetnessTable>();
  const auto scratch = std::make_unique<WetnessScratch>();
  const Mixture m = mix(kWaste, {2.0, 1.5});
  tabulate(m, *scratch, *table);
  int looked_up = 0;
  for (double density : {45.0, 80.0, 133.0, 210.0, 377.0, 600.0, 1100.0})
    for (double volume_std : {0.0, 0.011, 0.05, 0.13})
      for (double mass_std : {0.0, 0.007, 0.03, 0.07}) {
        const Measured load{6.0, std::fmax(6.0 * volume_std, 1e-5), 6.0 * density, 6.0 * density * mass_std};
        const PlaceOf<float> at = place(*table, load);
        if (at.log_density < 0.0f) continue;
        const Wetness told = look_up(*table, at);
        const Wetness exact = wetness(m, load, {});
        CHECK(near(told.fraction.value, exact.fraction.value, 0.002) &&
              near(told.fraction.std, exact.fraction.std, 0.002));
        CHECK(near(told.fraction.lower95, exact.fraction.lower95, 0.005) &&
              near(told.fraction.upper95, exact.fraction.upper95, 0.005));
        CHECK(near(told.dry, exact.dry, 0.005) && near(told.wet, exact.wet, 0.005));
        ++looked_up;
      }
  CHECK(looked_up > 100);
  for (const Measured &odd :
       {Measured{1.0, 0.1, kNan, 1.0}, Measured{1.0, 0.1, 200.0, kInfinity}, Measured{1.0, 0.1, 1e-300, 1.0},
        Measured{1.0, kNan, 200.0, 1.0}, Measured{0.0, 0.1, 200.0, 1.0}, Measured{1.0, 0.1, -200.0, 1.0}})
    CHECK(place(*table, odd).log_density < 0.0f);
}

// Loads fused side by side have the bits of loads fused alone, sound ones and others; rows that cannot be are
// told.
void many_loads_are_many_times_one() {
  constexpr std::size_t kLoads = 1003;
  const auto table = std::make_unique<WetnessTable>();
  const auto scratch = std::make_unique<WetnessScratch>();
  const Mixture m = mix(kWaste);
  tabulate(m, *scratch, *table);
  std::vector<double> from[6], to[24];
  std::vector<signed char> codes[4];
  for (auto &column : from) column.resize(kLoads);
  for (auto &column : to) column.resize(kLoads);
  for (auto &column : codes) column.resize(kLoads);
  std::mt19937 random(0);
  std::uniform_real_distribution<double> uniform(0.0, 1.0);
  for (std::size_t i = 0; i < kLoads; ++i) {
    const double volume = 10.0 * uniform(random), std = 0.3 * uniform(random),
                 mass = volume * 900.0 * uniform(random);
    const double row[] = {
        volume, std, volume - 2.0 * std, volume + 2.0 * std, mass - 30.0, 60.0 * uniform(random)};
    for (int k = 0; k < 6; ++k) from[k][i] = i % 97 == 0 ? kNan : row[k];
  }
  const Loads loads{from[0].data(), from[1].data(), from[2].data(),
                    from[3].data(), from[4].data(), from[5].data()};
  const auto columns = [&](int first, int code) {
    const auto quantity = [&](int at) {
      return Quantities{to[at].data(), to[at + 1].data(), to[at + 2].data(), to[at + 3].data()};
    };
    return FusedLoads{quantity(first), quantity(first + 4), quantity(first + 8), codes[code].data(),
                      codes[code + 1].data()};
  };
  const FusedLoads together = columns(0, 0), alone = columns(12, 2);
  CHECK(fuse_many(m, *table, loads, 0, kLoads, together) == kLoads);
  for (std::size_t i = 0; i < kLoads; ++i) CHECK(fuse_many(m, *table, loads, i, i + 1, alone) == i + 1);
  for (int k = 0; k < 12; ++k)
    CHECK(std::memcmp(to[k].data(), to[k + 12].data(), kLoads * sizeof(double)) == 0);
  for (int k = 0; k < 2; ++k) CHECK(codes[k] == codes[k + 2]);
  for (std::size_t i = 1; i < kLoads; i += 7) {
    if (i % 97 == 0) continue;
    const Quantity volume{from[0][i], from[1][i], from[2][i], from[3][i]};
    const Fused one = fuse(m, volume, from[4][i], from[5][i]);
    CHECK(to[0][i] == one.net_mass.value && codes[1][i] == static_cast<signed char>(one.mismatch));
    CHECK(one.has_density ? to[6][i] == one.density.lower95 : std::isnan(to[6][i]));
    CHECK(one.has_wetness != std::isnan(to[8][i]));
  }
  from[5][502] = -1.0;
  CHECK(fuse_many(m, *table, loads, 0, kLoads, together) == 502);
  from[4][13] = kInfinity;
  CHECK(fuse_many(m, *table, loads, 0, kLoads, together) == 13);
}

void bits_of_the_table_are_the_same_everywhere() {
  const auto table = std::make_unique<WetnessTable>();
  const auto scratch = std::make_unique<WetnessScratch>();
  tabulate(mix(kWaste), *scratch, *table);
  const Wetness told = look_up(*table, place(*table, {1.0, 0.02, 144.6, 1.446}));
  CHECK(told.fraction.value == 0x1.753b2cp-2 && told.fraction.upper95 == 0x1.5785fep-1);
}

void density_is_mass_over_volume() {
  const Fused f = weigh(kWaste, 6.421, 0.031, 2210.0, 18.0);
  const double value = 2210.0 / 6.421, std = value * std::hypot(18.0 / 2210.0, 0.031 / 6.421);
  CHECK(near(f.density.value, value, 1e-9) && near(f.density.std, std, 1e-9));
  CHECK(near(f.density.lower95, value - 1.96 * std, 0.05) && near(f.density.upper95, value + 1.96 * std, 0.05));
}

void too_much_and_too_little_are_told() {
  CHECK(weigh(kWaste, 6.0, 0.05, 15000.0, 15.0).mismatch == Mismatch::kTooHeavy);
  CHECK(weigh(kWaste, 6.0, 0.05, 60.0, 15.0).mismatch == Mismatch::kTooLight);
  CHECK(!weigh(kWaste, 6.0, 0.05, 60.0, 15.0).has_wetness);
  CHECK(!weigh(kWaste, 0.1, 0.05, 8.0, 15.0).has_density);
}

// No number may hang it, nor make wetness of nothing: what is told lies between 0 and 1.
void whatever_comes_is_survived() {
  const double odd[] = {0.0, -1.0, 1e-6, 0.3, 100.0, 1e300, kInfinity, kNan};
  for (double median : odd)
    for (double log_std : odd) {
      const Mixture m = mix({median, log_std, 300.0, 0.3}), n = mix({90.0, 0.3, median, log_std});
      for (double volume : odd)
        for (double std : odd)
          for (double mass : odd)
            for (const Mixture *mixture : {&m, &n}) {
              const Fused f = fuse(*mixture, {volume, std, volume, volume}, mass, std);
              if (f.has_wetness) CHECK(f.wetness.fraction.value >= 0.0 && f.wetness.fraction.value <= 1.0);
            }
    }
}

void bits_are_the_same_everywhere() {
  const Fused f = weigh(kWaste, 8.877, 0.165, 1284.0, 14.0);
  CHECK(portable_exp(1.0) == 0x1.5bf0a8b143281p+1 && portable_log(10.0) == 0x1.26bb1bbb55515p+1);
  CHECK(f.wetness.fraction.value == 0x1.7539a5bbd473fp-2 && f.wetness.fraction.upper95 == 0x1.5787f2b019137p-1);
}

}  // namespace

int main() {
  exp_and_log_are_those_of_the_library();
  pure_loads_have_the_density_of_their_part();
  half_wet_loads_mix_specific_volumes();
  moments_are_those_of_drawn_loads();
  cells_rise_from_nothing_to_all();
  sharp_densities_tell_the_fraction();
  a_weighing_that_says_nothing_leaves_the_prior();
  density_is_mass_over_volume();
  too_much_and_too_little_are_told();
  whatever_comes_is_survived();
  bits_are_the_same_everywhere();
  a_prior_has_its_mean_and_spread();
  evidence_that_is_sharp_rules_and_none_changes_nothing();
  the_table_is_the_quadrature();
  bits_of_the_table_are_the_same_everywhere();
  many_loads_are_many_times_one();
  return volest_test::checks_result("fusion");
}
