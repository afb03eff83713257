// Any bytes as a truck.volest: an error, or a truck that a load can be estimated in.
#include "fuzz.hpp"
#include "loads.hpp"

using namespace volest_fuzz;

namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 24;  // what is larger takes too long here

void estimate_in(const Blob &blob) {
  std::size_t bytes = 0;
  const volest_status status = volest_required_bytes(blob.data(), blob.size(), nullptr, &bytes);
  expect(status == volest_check_truck(blob.data(), blob.size(), nullptr), "one opinion of a blob");
  if (status != VOLEST_OK || bytes > kMostBytes) return;
  const Memory memory(bytes);
  volest_handle *handle = nullptr;
  expect(volest_create(memory.get(), bytes, blob.data(), blob.size(), nullptr, &handle) == VOLEST_OK,
         "a handle");
  static const Box box = small_box();
  static const Points points = scan_of(box);
  const volest_cloud cloud{sizeof(volest_cloud),
                           VOLEST_XYZ_F32,
                           points.xyz.data(),
                           static_cast<std::uint64_t>(points.count()),
                           12,
                           nullptr};
  expect(volest_add_scan(handle, 0, &cloud) == VOLEST_OK, "a scan to be taken");
  volest_set_gross(handle, 5000.0, 0.0);
  volest_result result{};
  result.size = sizeof result;
  expect(volest_estimate(handle, &result) == VOLEST_OK, "an estimate");
  expect_sound(result);
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
  return all;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  Blob blob;
  blob.append(data, size);
  volest_check_truck(blob.data(), blob.size(), nullptr);  // as it is
  blob.seal();                                            // and with a checksum that holds
  estimate_in(blob);
  return 0;
}
