// Where loads lie in the table of the posterior, and what it has there. To be included like quantity.inl.
#include "quantity.inl"

constexpr double kMostDensity = 1800.0;  // kg/m3; no profile may believe in more: wet sand
constexpr double kDecided = 0.87;        // the least probability at which a class is named: docs/wetness.md
constexpr double kNoDensity = 1e-12;     // kg/m3; less is nothing
constexpr double kMostWidth = 0.5;       // of the likelihood in the log density, in the table
constexpr double kWidthStep = kMostWidth / (kWidthNodes - 1);  // and between its nodes
constexpr double kLastStep = kDensityNodes - 1 - 1e-3;  // of the log density: rounded, it has a node after it

inline WasteClass class_of(double dry, double mixed, double wet) {
  // At most one of them is decided; without a branch, for no CPU could foretell it.
  return static_cast<WasteClass>((dry >= kDecided) + 2 * (mixed >= kDecided) + 3 * (wet >= kDecided) - 1);
}

// The log density at the middle of the likelihood, from that of mass over volume: to second order in the
// relative uncertainties, for an error of the mass and for one of the volume.
template <class T>
T shift_of(T mass_share, T volume_share) {
  return 0.5 * volume_share - 1.5 * mass_share;
}

inline int least(int a, int b) { return a < b ? a : b; }

// One over the steps of the squares of the widths.
struct PerWidth {
  float of[kWidthNodes];
};
constexpr PerWidth per_width() {
  PerWidth per{};
  for (int j = 0; j < kWidthNodes; ++j) per.of[j] = 1.0f / static_cast<float>(2 * j + 1);
  return per;
}
constexpr PerWidth kPerWidth = per_width();

inline float floats(std::int32_t x) { return static_cast<float>(x); }
inline FourFloats floats(FourInts x) { return __builtin_convertvector(x, FourFloats); }
inline double widen(float x) { return static_cast<double>(x); }
inline Four widen(FourFloats x) { return __builtin_convertvector(x, Four); }
inline std::int32_t ints(float x) { return static_cast<std::int32_t>(x); }
inline FourInts ints(FourFloats x) { return __builtin_convertvector(x, FourInts); }

// The natural logarithm of positive normal numbers, good to 2e-6; without a branch, a loop or a division.
template <class Float>
Float quick_log(Float x) {
  constexpr std::int32_t kRootHalf = 0x3f3504f3;  // the bits of sqrt(1/2)
  decltype(ints(x)) bits;
  std::memcpy(&bits, &x, sizeof bits);
  const auto exponent = (bits - kRootHalf) >> 23;
  bits -= exponent * (1 << 23);
  Float m;  // sqrt(1/2) to sqrt(2)
  std::memcpy(&m, &bits, sizeof m);
  const Float r = m - 1.0f;  // least squares at Chebyshev's points
  Float p = r * -0.142301935f + 0.223252654f;
  p = p * r - 0.254872979f;
  p = p * r + 0.332242328f;
  p = p * r - 0.499844055f;
  p = p * r + 1.00001437f;
  return floats(exponent) * 0.693147181f + p * r;
}

template <class T>
auto place_of(const WetnessTable &table, const MeasuredOf<T> &load) {
  const T density = load.mass / load.volume, zero{};
  const T mass_share = square(load.mass_std / load.mass), volume_share = square(load.volume_std / load.volume);
  const T variance = mass_share + volume_share;
  const T middle =
      widen(quick_log(narrow(greater(density, zero + kNoDensity)))) + shift_of(mass_share, volume_share);
  const T steps = (middle - table.first) * table.inverse_step;
  const auto inside = (density > kNoDensity) & (density < kMostDensity) & (variance < table.most_variance) &
                      (steps >= 0.0) & (steps < kLastStep);
  const T share = variance > zero ? mass_share / variance : zero;
  return PlaceOf<decltype(narrow(density))>{narrow(inside ? steps : zero - 1.0),
                                            narrow(variance * (1.0 / (kWidthStep * kWidthStep))),
                                            narrow(share * static_cast<double>(kShareNodes - 1))};
}

inline Wetness at_place(const WetnessTable &table, const PlaceOf<float> &place) {
  // The last of the nodes is reached by rounding alone.
  const float x = place.log_density, y2 = place.width_square, z = place.share;
  const int i = static_cast<int>(x), j = least(static_cast<int>(std::sqrt(y2)), kWidthNodes - 2);
  const int k = least(static_cast<int>(z), kShareNodes - 2);
  // Between two widths the posterior is nearly linear in their squares.
  const float u = x - static_cast<float>(i), t = z - static_cast<float>(k);
  const float v = (y2 - static_cast<float>(j * j)) * kPerWidth.of[j];
  const WetnessNode *low = &table.node[j][i][k], *high = &table.node[j + 1][i][k];
  const float p = (1 - u) * (1 - v), q = u * (1 - v), r = (1 - u) * v, s = u * v;
  const auto between = [&](auto number) {
    const auto at = [&](const WetnessNode *node, int n) { return node[n].*number; };
    const auto along = [&](int n) {
      return p * at(low, n) + q * at(low, n + kShareNodes) + r * at(high, n) + s * at(high, n + kShareNodes);
    };
    return (1 - t) * along(0) + t * along(1);
  };
  const FourFloats moments = between(&WetnessNode::moments), classes = between(&WetnessNode::classes);
  Wetness told;
  told.fraction = {moments[0], moments[1], moments[2], moments[3]};
  told.dry = classes[0];
  told.wet = classes[1];
  told.mixed = 1.0 - told.dry - told.wet;
  told.waste_class = class_of(told.dry, told.mixed, told.wet);
  return told;
}
