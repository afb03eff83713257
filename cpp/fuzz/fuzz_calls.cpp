// Any calls in any order with any points: a status each, and results without NaN.
#include "fuzz.hpp"
#include "loads.hpp"

using namespace volest_fuzz;

namespace {

// Takes numbers and points from the input until there are none.
struct Reader {
  const std::uint8_t *at, *end;

  std::uint8_t byte() { return at < end ? *at++ : std::uint8_t{0}; }
  template <class T>
  std::vector<T> some(std::size_t count) {
    std::vector<T> out(count);
    const auto left = static_cast<std::size_t>(end - at), bytes = std::min(left, count * sizeof(T));
    if (bytes > 0) std::memcpy(out.data(), at, bytes);
    at += bytes;
    return out;
  }
};

struct Truck {
  Box box = small_box();
  Blob blob = blob_of(box, {kMast, identity()});
  std::size_t bytes = 0;

  Truck() {
    expect(volest_required_bytes(blob.data(), blob.size(), nullptr, &bytes) == VOLEST_OK, "a sound truck");
  }
};

void play(Reader in) {
  static const Truck truck;
  const Memory memory(truck.bytes);
  volest_handle *handle = nullptr;
  const volest_options options{sizeof options, in.byte() % 4u == 0u, in.byte() % 4u == 0u, VOLEST_BEST};
  expect(volest_create(memory.get(), truck.bytes, truck.blob.data(), truck.blob.size(), &options, &handle) ==
             VOLEST_OK,
         "a handle");
  std::vector<std::vector<float>> kept;  // whole scans stay
  for (int calls = 0; in.at < in.end && calls < 64; ++calls) {
    const std::uint8_t call = in.byte();
    const std::size_t count = (std::size_t{in.byte()} << 4) + in.byte() % 16u;
    switch (call % 11) {
      case 0:
        volest_scan_begin(handle, in.byte() % 3u);
        break;
      case 1:
        volest_scan_end(handle);
        break;
      case 2:
      case 3: {
        const std::vector<float> points = in.some<float>(3 * count);
        volest_add_xyz(handle, points.data(), count, 12);
        break;
      }
      case 4: {
        const std::vector<std::int16_t> points = in.some<std::int16_t>(4 * count);
        volest_add_xyz_mm(handle, points.data(), count, 8);
        break;
      }
      case 5: {
        const std::vector<float> ranges = in.some<float>(count), directions = in.some<float>(3 * count);
        volest_add_ranges_f32(handle, ranges.data(), directions.data(), count);
        break;
      }
      case 6: {
        const std::vector<std::uint16_t> ranges = in.some<std::uint16_t>(count);
        const std::vector<float> directions = in.some<float>(3 * count);
        volest_add_ranges_u16(handle, ranges.data(), directions.data(), count);
        break;
      }
      case 7: {
        kept.push_back(in.some<float>(3 * count));
        const volest_cloud cloud{sizeof cloud, VOLEST_XYZ_F32, kept.back().data(), count, 12, nullptr};
        volest_add_scan(handle, in.byte() % 3u, &cloud);
        break;
      }
      case 8: {
        const std::vector<double> weight = in.some<double>(2);
        volest_set_gross(handle, weight[0], weight[1]);
        break;
      }
      case 10: {
        const std::vector<double> weights = in.some<double>(2 * (count % 64));
        for (std::size_t i = 0; i + 1 < weights.size(); i += 2)
          volest_add_weight(handle, weights[i], weights[i + 1], in.byte() % 2u);
        break;
      }
      default: {
        volest_result result{};
        result.size = sizeof result;
        expect(volest_estimate(handle, &result) == VOLEST_OK, "an estimate");
        expect_sound(result);
        if (call % 44 == 42) volest_clear(handle);
      }
    }
  }
}

}  // namespace

std::vector<Bytes> seeds() {
  const Box box = small_box();
  const Points points = scan_of(box);
  Bytes whole = {1, 1, 7, 255, 15}, parts = {1, 1, 0, 0, 0, 0};
  const auto *from = reinterpret_cast<const std::uint8_t *>(points.xyz.data());
  whole.insert(whole.end(), from, from + 4095 * 12);
  whole.insert(whole.end(), {0, 9, 0, 0});
  for (int k = 0; k < 5; ++k) {
    parts.insert(parts.end(), {2, 40, 0});
    parts.insert(parts.end(), from + k * 7680, from + (k + 1) * 7680);
  }
  parts.insert(parts.end(), {1, 0, 0, 9, 0, 0});
  return {whole, parts};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  play({data, data + size});
  return 0;
}
