#include <algorithm>
#include <string>
#include <vector>

#include "check.hpp"
#include "lzf.hpp"

using volest::lzf_decompress;
using volest::LzfStatus;

namespace {

using Bytes = std::vector<std::uint8_t>;

// Unpacks into a buffer with a guard on either side, and sees to it that the guards stay as they were.
LzfStatus unpack(const Bytes &input, std::size_t size, std::string *text = nullptr) {
  constexpr std::size_t guard = 300;
  Bytes buffer(size + 2 * guard, 0xA5);
  const LzfStatus status = lzf_decompress(input.data(), input.size(), buffer.data() + guard, size);
  const auto untouched = [](std::uint8_t byte) { return byte == 0xA5; };
  CHECK(std::all_of(buffer.begin(), buffer.begin() + guard, untouched));
  CHECK(std::all_of(buffer.end() - guard, buffer.end(), untouched));
  if (text != nullptr) {
    text->assign(buffer.begin() + guard, buffer.end() - guard);
  }
  return status;
}

void literals_are_copied() {
  std::string text;
  CHECK(unpack({2, 'a', 'b', 'c'}, 3, &text) == LzfStatus::ok);
  CHECK(text == "abc");
  CHECK(unpack({}, 0) == LzfStatus::ok);
}

void references_repeat_what_went_before() {
  std::string text;
  // "abc", then 3 bytes from 3 back, then 4 from 1 back: the last two overlap what they write.
  CHECK(unpack({2, 'a', 'b', 'c', 0x20, 2, 0x40, 0}, 10, &text) == LzfStatus::ok);
  CHECK(text == "abcabccccc");
  CHECK(unpack({0, 'x', 0xE0, 255, 0}, 265, &text) == LzfStatus::ok);
  CHECK(text == std::string(265, 'x'));
}

void the_farthest_reference_reaches() {
  Bytes input;
  for (int run = 0; run < 256; ++run) {
    input.push_back(31);
    input.insert(input.end(), 32, static_cast<std::uint8_t>(run));
  }
  std::string text;
  input.insert(input.end(), {0x3F, 0xFF});  // 3 bytes from 8192 back
  CHECK(unpack(input, 8195, &text) == LzfStatus::ok);
  CHECK(text.substr(8192) == std::string(3, '\0'));
}

void what_is_wrong_is_told() {
  CHECK(unpack({2, 'a'}, 3) == LzfStatus::input_cut);
  CHECK(unpack({0, 'a', 0x20}, 4) == LzfStatus::input_cut);
  CHECK(unpack({0, 'a', 0xE0, 5}, 15) == LzfStatus::input_cut);
  CHECK(unpack({0x20, 0}, 3) == LzfStatus::bad_reference);
  CHECK(unpack({0, 'a', 0x20, 1}, 4) == LzfStatus::bad_reference);
  CHECK(unpack({2, 'a', 'b', 'c'}, 2) == LzfStatus::output_full);
  CHECK(unpack({0, 'a', 0x20, 0}, 3) == LzfStatus::output_full);
  CHECK(unpack({2, 'a', 'b', 'c'}, 4) == LzfStatus::output_short);
}

// Any bytes at all stay inside the buffers; run under the address sanitizer this proves it.
void noise_stays_inside() {
  std::uint32_t state = 1;
  const auto next = [&state] {
    state = state * 1664525U + 1013904223U;
    return state >> 24;
  };
  int sound = 0;
  for (int trial = 0; trial < 5000; ++trial) {
    Bytes input(next() % 64U);
    std::generate(input.begin(), input.end(), [&next] { return static_cast<std::uint8_t>(next()); });
    sound += unpack(input, next()) == LzfStatus::ok ? 1 : 0;
  }
  CHECK(sound < 5000);
}

}  // namespace

int main() {
  literals_are_copied();
  references_repeat_what_went_before();
  the_farthest_reference_reaches();
  what_is_wrong_is_told();
  noise_stays_inside();
  return volest_test::checks_result("lzf");
}
