// Loads of a commissioned truck: in parts or whole the same bits, and within the budgets of memory and stack.
#include <pthread.h>

#include "../fuzz/loads.hpp"
#include "check.hpp"
#include "load.hpp"

using namespace volest_fuzz;

namespace {

struct Handle {
  Blob blob;
  std::size_t bytes = 0;
  std::unique_ptr<Memory> memory;
  volest_handle *at = nullptr;

  explicit Handle(const Box &box, const std::vector<Pose> &poses = {kMast},
                  std::uint32_t instructions = VOLEST_BEST, std::uint32_t believe_poses = 0)
      : blob(blob_of(box, poses)) {
    const volest_options options{sizeof options, believe_poses, 0, instructions};
    CHECK(volest_required_bytes(blob.data(), blob.size(), &options, &bytes) == VOLEST_OK);
    memory = std::make_unique<Memory>(bytes);
    const volest_status made = volest_create(memory->get(), bytes, blob.data(), blob.size(), &options, &at);
    CHECK(made == VOLEST_OK || instructions != VOLEST_BEST);
  }
  void add(const Points &points) const {
    const volest_cloud cloud = cloud_of(points);
    CHECK(volest_add_scan(at, 0, &cloud) == VOLEST_OK);
  }
  void add_in_parts(const Points &points, std::int64_t size) const {
    CHECK(volest_scan_begin(at, 0) == VOLEST_OK);
    for (std::int64_t i = 0; i < points.count(); i += size) {
      const std::int64_t n = points.count() - i < size ? points.count() - i : size;
      const std::vector<float> part(points.xyz.begin() + 3 * i, points.xyz.begin() + 3 * (i + n));
      CHECK(volest_add_xyz(at, part.data(), static_cast<std::size_t>(n), 12) == VOLEST_OK);
    }
    CHECK(volest_scan_end(at) == VOLEST_OK);
  }
  volest_result estimate() const {
    volest_result result{};
    result.size = sizeof result;
    CHECK(volest_set_gross(at, 4200.0, 0.0) == VOLEST_OK);
    CHECK(volest_estimate(at, &result) == VOLEST_OK);
    return result;
  }
};

// Dust that makes many columns hold several surfaces, so that a second pass is due.
Points with_dust(const Points &points) {
  Points out = points;
  Random random(9);
  for (int i = 0; i < 3000; ++i) {
    const Vec3 p = inverse(kMast) * Vec3{random.between(-0.9, 0.9), random.between(-0.4, 0.4), 0.9};
    out.add(p);
  }
  return out;
}

bool is_same(volest_result a, volest_result b) {
  a.unchecked = b.unchecked = 0;
  return std::memcmp(&a, &b, sizeof a) == 0;
}

void parts_give_the_bits_of_the_whole() {
  const Box box = small_box();
  const Points plain = scan_of(box);
  for (const Points &points : {plain, with_dust(plain)}) {
    const Handle whole(box);
    whole.add(points);
    const volest_result expected = whole.estimate();
    CHECK(expected.status != VOLEST_LOAD_REJECTED && expected.unchecked == 0);
    CHECK(expected.volume_m3.value > 0.3 && (expected.has & VOLEST_HAS_MASS) != 0);
    for (const std::int64_t size : {1, 7, 256, 100000}) {
      const Handle parts(box);
      parts.add_in_parts(points, size);
      const volest_result found = parts.estimate();
      CHECK(found.unchecked == VOLEST_UNCHECKED_WINDOW);
      CHECK(is_same(found, expected));
      CHECK(is_same(parts.estimate(), expected));
    }
    for (std::uint32_t isa = VOLEST_PORTABLE; isa <= VOLEST_NEON; ++isa) {
      const Handle other(box, {kMast}, isa);
      if (other.at == nullptr) continue;
      other.add(points);
      CHECK(is_same(other.estimate(), expected));
    }
  }
}

void a_load_leaves_nothing_to_the_next() {
  const Box box = small_box();
  const Points points = scan_of(box);
  const Handle fresh(box), used(box);
  const Points dusty = with_dust(points);
  used.add(dusty);
  used.estimate();
  used.add_in_parts(dusty, 100);
  used.estimate();
  CHECK(volest_scan_begin(used.at, 0) == VOLEST_OK);
  CHECK(volest_clear(used.at) == VOLEST_OK);
  fresh.add(points);
  used.add(points);
  CHECK(is_same(fresh.estimate(), used.estimate()));
}

void points_that_are_gone_are_told() {
  const Box box = small_box();
  const Points points = with_dust(scan_of(box));
  const Handle handle(box);
  handle.add_in_parts(points, 500);
  handle.add_in_parts(points, 500);
  const volest_result found = handle.estimate();
  CHECK(found.status != VOLEST_LOAD_REJECTED);
  CHECK((found.unchecked & VOLEST_UNCHECKED_SURFACE) != 0 && (found.unchecked & VOLEST_UNCHECKED_CHANGE) != 0);
}

void a_bed_of_next_to_no_depth_has_no_infinite_fill() {
  Box box({2.0, 1.0, 0.6, 0.02, 0.1, 0.003});
  box.bed.rim[0] = 1e-316;
  const Points points = scan_of(box);  // whole scans are looked at again
  const Handle handle(box, {kMast}, VOLEST_BEST, 1);
  handle.add(points);
  const volest_result found = handle.estimate();
  CHECK(found.volume_m3.value > 0.3 && found.fill_ratio == 0.0);
  expect_sound(found);
}

// A bed of 20 m3 at 5 cm cells.
void the_memory_of_a_large_bed_is_within_its_budget() {
  const Box box({6.0, 2.4, 1.4, 0.0, 0.05, 0.002});
  const Handle handle(box, {kMast});
  CHECK(handle.bytes <= 4000000);
  CHECK(handle.bytes > 2000000);
}

// How deep a call goes into the stack of a thread that does nothing else.
template <class Call>
std::size_t depth_of(Call call) {
  constexpr std::size_t kBytes = std::size_t{1} << 18;
  constexpr unsigned char kPaint = 0xC7;
  const Memory stack(kBytes);
  std::memset(stack.get(), kPaint, kBytes);
  pthread_attr_t attributes;
  pthread_t thread;
  const auto run = [](void *it) -> void * {
    (*static_cast<Call *>(it))();
    return nullptr;
  };
  CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstack(&attributes, stack.get(), kBytes) == 0);
  CHECK(pthread_create(&thread, &attributes, run, &call) == 0 && pthread_join(thread, nullptr) == 0);
  pthread_attr_destroy(&attributes);
  const auto *bytes = static_cast<const unsigned char *>(stack.get());
  std::size_t untouched = 0;
  while (untouched < kBytes && bytes[untouched] == kPaint) ++untouched;
  return kBytes - untouched;
}

std::size_t stack_of(std::uint32_t instructions, const Box &box, const Points &points) {
  const Handle handle(box, {kMast, identity()}, instructions);
  if (handle.at == nullptr) return 0;
  const volest_cloud cloud = cloud_of(points);
  volest_result result{};
  result.size = sizeof result;
  volest_handle *other = nullptr;
  const Memory memory(handle.bytes);
  std::size_t most = 0;
  depth_of([] {});  // the first thread that ends may load what threads need for it
  const std::size_t nothing = depth_of([] {});
  const auto measured = [&](auto call) {
    const std::size_t found = depth_of(call) - nothing;
    most = found > most ? found : most;
  };
  measured([&] {
    volest_create(memory.get(), handle.bytes, handle.blob.data(), handle.blob.size(), nullptr, &other);
  });
  measured([&] { volest_add_scan(handle.at, 0, &cloud); });
  measured([&] { volest_set_gross(handle.at, 4200.0, 0.0); });
  measured([&] { volest_estimate(handle.at, &result); });
  measured([&] { volest_clear(handle.at); });
  measured([&] { volest_scan_begin(handle.at, 0); });
  measured([&] { volest_add_xyz(handle.at, points.xyz.data(), static_cast<std::size_t>(points.count()), 12); });
  measured([&] { volest_scan_end(handle.at); });
  measured([&] { volest_estimate(handle.at, &result); });
  return most;
}

void the_stack_is_within_its_budget() {
#if defined(__SANITIZE_ADDRESS__)
  constexpr bool kIsInstrumented = true;
#else
  constexpr bool kIsInstrumented = false;
#endif
  if (kIsInstrumented) return;
  const Box box = small_box();
  const Points points = scan_of(box);
  Points turned = points;  // of which all that is searched for is searched for
  for (std::size_t i = 1; i < turned.xyz.size(); i += 3) turned.xyz[i] = -turned.xyz[i];
  for (std::uint32_t isa = VOLEST_PORTABLE; isa <= VOLEST_NEON; ++isa)
    for (const Points &cloud : {points, with_dust(points), turned}) {
      const std::size_t found = stack_of(isa, box, cloud);
      std::printf("instructions %u: %zu bytes of stack\n", isa, found);
      CHECK(found <= VOLEST_STACK_BYTES);
    }
}

}  // namespace

int main() {
  parts_give_the_bits_of_the_whole();
  a_load_leaves_nothing_to_the_next();
  points_that_are_gone_are_told();
  a_bed_of_next_to_no_depth_has_no_infinite_fill();
  the_memory_of_a_large_bed_is_within_its_budget();
  the_stack_is_within_its_budget();
  return checks_result("load");
}
