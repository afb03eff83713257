// The arithmetic on quantities, of one load or of four: the same operations, so the same bits. To be included
// inside of an unnamed namespace, once for each instruction set.

template <class T>
T square(T x) noexcept {
  return x * x;
}
// The greater, or b where a is no number.
template <class T>
T greater(T a, T b) noexcept {
  return a > b ? a : b;
}
template <class T>
T lesser(T a, T b) noexcept {
  return a < b ? a : b;
}
template <class T>
T positive(T x) noexcept {
  return greater(x, T{});
}
template <class T>
T magnitude(T x) noexcept {
  return greater(x, -x);
}
inline double root(double x) noexcept { return std::sqrt(x); }
inline Four root(Four x) noexcept {
  return Four{std::sqrt(x[0]), std::sqrt(x[1]), std::sqrt(x[2]), std::sqrt(x[3])};
}
inline float narrow(double x) noexcept { return static_cast<float>(x); }
inline FourFloats narrow(Four x) noexcept { return __builtin_convertvector(x, FourFloats); }
template <class T>
T length(T x, T y) noexcept {
  return root(square(x) + square(y));
}

// The standard uncertainty of mass - rho volume.
template <class T, class Rho>
T std_at(const MeasuredOf<T> &load, Rho rho) noexcept {
  return length(load.mass_std, rho * load.volume_std);
}

// All densities at which mass - rho volume lies within so many standard deviations of nothing (Fieller 1954).
template <class T>
RangeOf<T> densities_within(const MeasuredOf<T> &load, double sigmas) noexcept {
  // The roots of a rho^2 - 2 b rho + c, and of the discriminant what its two large terms leave.
  const T v_std = sigmas * load.volume_std, m_std = sigmas * load.mass_std, zero{};
  const T a = square(load.volume) - square(v_std), b = load.mass * load.volume;
  const T c = square(load.mass) - square(m_std);
  const T bow = root(positive(square(load.volume * m_std) + square(load.mass * v_std) - square(v_std * m_std)));
  // The lower root, written so that a may be nothing or less: then nothing bounds the density above.
  return {b > zero ? positive(c / (b + bow)) : zero, a > zero ? positive((b + bow) / a) : zero + HUGE_VAL};
}
