// Any bytes as a truck.volest: an error, or a truck that a load can be estimated in.
#include "fuzz.hpp"
#include "loads.hpp"

using namespace volest_fuzz;

namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 24;  // what is larger takes too long here

void estimate_in(const Blob &blob, const volest_options &options) {
  std::size_t bytes = 0;
  const volest_status status = volest_required_bytes(blob.data(), blob.size(), nullptr, &bytes);
  expect(status == volest_check_truck(blob.data(), blob.size(), nullptr), "one opinion of a blob");
  if (status != VOLEST_OK || bytes > kMostBytes) return;
  const Memory memory(bytes);
  volest_handle *handle = nullptr;
  expect(volest_create(memory.get(), bytes, blob.data(), blob.size(), &options, &handle) == VOLEST_OK,
         "a handle");
  static const Box box = small_box();
  static const Points points = scan_of(box);
  const volest_cloud cloud = cloud_of(points);
  expect(volest_add_scan(handle, 0, &cloud) == VOLEST_OK, "a scan to be taken");
  volest_set_gross(handle, 5000.0, 0.0);
  volest_result result{};
  result.size = sizeof result;
  expect(volest_estimate(handle, &result) == VOLEST_OK, "an estimate");
  expect_sound(result);
}

// Beds whose every number is within its range, and that no truck has.
void add_odd_beds(std::vector<Bytes> &all) {
  constexpr double kSizes[] = {1e-3, 1.0, 1e4}, kHeights[] = {-1e4, 0.0, 1e4};
  const Vec3 ways[] = {{1, 0, 0}, {0, 1, 0}, {0.6, 0, 0.8}, {0.6, 0.8, 0}, {0, 0.6, -0.8}};
  Random random(5);
  const auto one_of = [&](const auto &from) { return from[random.bits() % (sizeof from / sizeof *from)]; };
  for (int k = 0; k < 60; ++k) {
    Box box({2.0, 1.0, 0.6, 0.02, 0.1, 0.003});
    const auto odd = [&] { return random.bits() % 3 == 0; };
    if (odd()) box.spec.grid.cell = one_of(kSizes);
    if (odd()) box.spec.grid.x0 = one_of(kHeights);
    if (odd()) box.spec.grid.y0 = one_of(kHeights);
    if (odd()) box.spec.z0 = one_of(kHeights);
    if (odd()) box.spec.dz = one_of(kSizes);
    if (odd()) box.spec.nz = 1 + static_cast<int>(random.bits() % 64);
    if (odd()) box.bed.scale = random.between(1e-3, 1.0);
    if (odd()) box.bed.floor_std = one_of(kSizes);
    if (odd()) box.bed.rim[0] = one_of(kHeights);
    if (odd()) box.bed.rim[1] = one_of(kHeights);
    for (int w = 0; w < kWalls; ++w) {
      if (odd()) {
        const double sign = w % 2 == 0 ? -1.0 : 1.0;
        const Vec3 way = one_of(ways);
        box.bed.walls[w] = {{sign * way.x, sign * way.y, way.z}, random.between(-2.0, 2.0)};
      }
      if (odd()) box.bed.wall_std[w] = one_of(kSizes);
      if (odd()) box.bed.skin[w] = one_of(kSizes);
      if (odd()) box.bed.liner[w] = one_of(kSizes);
    }
    for (float &height : box.floor)
      if (k % 7 == 0) height = static_cast<float>(one_of(kHeights));
    for (std::uint64_t &mask : box.fixtures)
      if (k % 5 == 0) mask = ~std::uint64_t{0};
    const Blob blob = blob_of(box, {kMast});
    all.emplace_back(blob.data(), blob.data() + blob.size());
  }
}

}  // namespace

std::vector<Bytes> seeds() {
  const Box box = small_box();
  std::vector<Bytes> all;
  for (const auto &poses :
       {std::vector<Pose>{kMast}, std::vector<Pose>{}, std::vector<Pose>{kMast, identity()}}) {
    const Blob blob = blob_of(box, poses);
    all.emplace_back(blob.data(), blob.data() + blob.size());
  }
  add_odd_beds(all);
  return all;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  Blob blob;
  blob.append(data, size);
  volest_check_truck(blob.data(), blob.size(), nullptr);  // as it is
  blob.seal();                                            // and with a checksum that holds
  for (const std::uint32_t believe_poses : {0u, 1u})
    estimate_in(blob, {sizeof(volest_options), believe_poses, 0, VOLEST_BEST});
  return 0;
}
