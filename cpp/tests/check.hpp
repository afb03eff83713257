// The least that a test needs: CHECK counts and tells, checks_result() is what main returns.
#pragma once

#include <cstdio>

namespace volest_test {

inline int checks = 0;
inline int failures = 0;

inline void check(bool passed, const char *expression, const char *file, int line) {
  ++checks;
  if (!passed) {
    ++failures;
    std::fprintf(stderr, "%s:%d: failed: %s\n", file, line, expression);
  }
}

inline int checks_result(const char *name) {
  std::printf("%s: %d checks, %d failures\n", name, checks, failures);
  return failures == 0 && checks > 0 ? 0 : 1;
}

}  // namespace volest_test

#define CHECK(expression) volest_test::check(static_cast<bool>(expression), #expression, __FILE__, __LINE__)
