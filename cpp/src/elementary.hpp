// exp and log of + - * / and bit operations alone: the same bits on every CPU, with every C library.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace volest {

constexpr double kLn2 = 0x1.62e42fefa39efp-1;

// e^x, good to 1e-11 of it; 0 below -700, e^700 above 700.
inline double portable_exp(double x) noexcept {
  constexpr double kLog2E = 0x1.71547652b82fep+0;
  constexpr double kLn2High = 0x1.62e42feep-1;  // ends in zeros: its products with small integers are exact
  constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
  constexpr double kRound = 0x1.8p52;  // what is added to it ends up rounded, in its last bits
  double y = x > -700.0 ? x : -700.0;
  y = y < 700.0 ? y : 700.0;
  const double shifted = y * kLog2E + kRound;
  const double n = shifted - kRound;
  const double r = (y - n * kLn2High) - n * kLn2Low;  // at most ln(2) / 2, where ten terms of the series do
  double p = 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 1.0 / 2.0;
  p = p * r + 1.0;
  p = p * r + 1.0;
  std::uint64_t power, bits;
  std::memcpy(&power, &shifted, sizeof power);
  std::memcpy(&bits, &p, sizeof bits);
  bits += power << 52;  // times 2^n
  std::memcpy(&p, &bits, sizeof p);
  return x < -700.0 ? 0.0 : p;
}

// e^x for x from -87 to 0, good to 1e-5 of it; without a branch, so that loops over it become vector
// instructions.
inline float portable_exp_below_0(float x) noexcept {
  constexpr float kRound = 0x1.8p23f;
  const float shifted = x * 0x1.715476p+0f + kRound;
  const float r = x - (shifted - kRound) * 0x1.62e430p-1f;
  float p = 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 1.0f / 2.0f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  std::uint32_t power, bits;
  std::memcpy(&power, &shifted, sizeof power);
  std::memcpy(&bits, &p, sizeof bits);
  bits += power << 23;
  std::memcpy(&p, &bits, sizeof p);
  return p;
}

// The natural logarithm of a positive normal number, good to 1e-15 of it or of 1.
inline double portable_log(double x) noexcept {
  std::uint64_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  int exponent = static_cast<int>(bits >> 52 & 0x7ff) - 1023;
  bits = (bits & 0xfffffffffffff) | 0x3ff0000000000000;
  double m;  // 1 to 2
  std::memcpy(&m, &bits, sizeof m);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++exponent;
  }
  // ln(m) = 2 artanh(s), by its series.
  const double s = (m - 1.0) / (m + 1.0), s2 = s * s;
  double sum = 0.0;
  for (int k = 17; k >= 1; k -= 2) sum = sum * s2 + 1.0 / k;
  return exponent * kLn2 + 2.0 * s * sum;
}

}  // namespace volest
