// The C door: what callers hand in is checked here, and nothing is computed.
#include "volest/volest.h"

#include <new>

#include "load.hpp"

#if !defined(VOLEST_VERSION)  // the build knows it
#define VOLEST_VERSION "unknown"
#endif

using namespace volest;

// In the caller's memory, followed by the engine's.
struct volest_handle {
  const volest_handle *self;  // tells a handle from what is none
  Load load;

  volest_handle(const TruckFile &file, const LoadOptions &options, void *memory, const Kernels &kernels)
      : self(this), load(file, options, memory, kernels) {}
};

namespace {

constexpr std::size_t kHandleBytes =
    (sizeof(volest_handle) + VOLEST_ALIGNMENT - 1) / VOLEST_ALIGNMENT * VOLEST_ALIGNMENT;
constexpr std::uint64_t kMostStride = 65535;
constexpr double kMostGross = 200000.0, kMostGrossStd = 200000.0;  // kg

static_assert(alignof(volest_handle) <= VOLEST_ALIGNMENT, "handles lie as the header tells");
static_assert(static_cast<int>(VOLEST_FLAG_LOAD_MOVED) == kLoadMoved && VOLEST_FLAG_OCCLUDED == 1 &&
                  static_cast<int>(VOLEST_FLAG_NO_POINTS) == kNoPoints &&
                  static_cast<int>(VOLEST_FLAG_WEIGHT_VOLUME_MISMATCH) == kMassMismatch,
              "flags are pinned");
static_assert(static_cast<int>(VOLEST_WEIGHT_WIDE) == kWeightWide && VOLEST_WEIGHT_MISSING == 1 &&
                  VOLEST_MOST_WEIGHTS == Weighing::kKept,
              "and what is told of a weight");
static_assert(static_cast<int>(VOLEST_UNCHECKED_CHANGE) == kUncheckedChange, "and so is what is left out");
static_assert(VOLEST_MOST_SCANS == kMostScans && VOLEST_MOST_POINTS == kCellCapacity,
              "and what a load may have");
static_assert(VOLEST_ERROR_BLOB_VALUE == 100 + static_cast<int>(TruckFileError::kValue), "and errors");

template <class T>
bool is_aligned(const T *p, std::size_t align = alignof(T)) {
  return reinterpret_cast<std::uintptr_t>(p) % align == 0;
}

volest_status open_truck(const void *blob, std::size_t bytes, TruckFile &file, TruckFileStatus &status) {
  if (blob == nullptr) return VOLEST_ERROR_NULL;
  status = read_truck_file(static_cast<const unsigned char *>(blob), bytes, file);
  Calibration calibration;
  if (status.error == TruckFileError::kNone && !calibration_of(file, calibration)) {
    const auto at =
        reinterpret_cast<const unsigned char *>(file.calibration) - static_cast<const unsigned char *>(blob);
    status = {TruckFileError::kValue, "CALI", static_cast<std::size_t>(at)};
  }
  if (status.error == TruckFileError::kNone) return VOLEST_OK;
  return static_cast<volest_status>(100 + static_cast<int>(status.error));
}

// What is asked for, NULL for nothing; fields of later versions must ask for nothing.
volest_status read_options(const volest_options *given, volest_options &out) {
  out = {};
  if (given == nullptr) return VOLEST_OK;
  if (given->size < sizeof out || given->size > 4096) return VOLEST_ERROR_STRUCT;
  for (std::size_t i = sizeof out; i < given->size; ++i)
    if (reinterpret_cast<const unsigned char *>(given)[i] != 0) return VOLEST_ERROR_STRUCT;
  out = *given;
  if (out.believe_poses > 1 || out.keep_membrane > 1 || out.instructions > VOLEST_NEON)
    return VOLEST_ERROR_VALUE;
  return VOLEST_OK;
}

const Kernels *kernels_of(const volest_options &options) {
  constexpr Isa kIsas[] = {Isa::kPortable, Isa::kAvx2, Isa::kAvx512, Isa::kNeon};
  return options.instructions == VOLEST_BEST ? &best_kernels() : kernels_for(kIsas[options.instructions - 1]);
}

volest_status check(const volest_handle *handle) {
  if (handle == nullptr) return VOLEST_ERROR_NULL;
  return is_aligned(handle, VOLEST_ALIGNMENT) && handle->self == handle ? VOLEST_OK : VOLEST_ERROR_HANDLE;
}

struct Layout {
  Cloud::Format format;
  std::size_t point, align;  // bytes
  bool ranges;
};

bool layout_of(std::uint32_t format, Layout &out) {
  switch (format) {
    case VOLEST_XYZ_F32:
      out = {Cloud::Format::kMetres, 12, 1, false};
      return true;
    case VOLEST_XYZ_MM_I16:
      out = {Cloud::Format::kMillimetres, 6, 1, false};
      return true;
    case VOLEST_RANGE_U16:
      out = {Cloud::Format::kRange16, 2, 2, true};
      return true;
    case VOLEST_RANGE_U32:
      out = {Cloud::Format::kRange32, 4, 4, true};
      return true;
    case VOLEST_RANGE_F32:
      out = {Cloud::Format::kRangeFloat, 4, 4, true};
      return true;
    default:
      return false;
  }
}

volest_status read_cloud(const volest_cloud &given, Cloud &out) {
  Layout layout{};
  if (!layout_of(given.format, layout)) return VOLEST_ERROR_FORMAT;
  if (given.count > VOLEST_MOST_POINTS) return VOLEST_ERROR_TOO_MANY;
  if (given.count > 0 && (given.points == nullptr || (layout.ranges && given.directions == nullptr)))
    return VOLEST_ERROR_NULL;
  if (!is_aligned(static_cast<const char *>(given.points), layout.align) || !is_aligned(given.directions))
    return VOLEST_ERROR_ALIGNMENT;
  const bool is_stride = layout.ranges
                             ? given.stride_bytes == 0 || given.stride_bytes == layout.point
                             : given.stride_bytes >= layout.point && given.stride_bytes <= kMostStride;
  if (!is_stride) return VOLEST_ERROR_STRIDE;
  out = {static_cast<const char *>(given.points), static_cast<std::int64_t>(given.count),
         static_cast<std::ptrdiff_t>(layout.ranges ? layout.point : given.stride_bytes), layout.format,
         layout.ranges ? given.directions : nullptr};
  return VOLEST_OK;
}

volest_status has_room(const Load &load, const Cloud &cloud) {
  return cloud.count > VOLEST_MOST_POINTS - load.points() ? VOLEST_ERROR_TOO_MANY : VOLEST_OK;
}

volest_status add_part(volest_handle *handle, std::uint32_t format, const void *points, const float *directions,
                       std::size_t count, std::size_t stride) {
  volest_status status = check(handle);
  if (status != VOLEST_OK) return status;
  if (!handle->load.is_open()) return VOLEST_ERROR_ORDER;
  Cloud cloud{};
  const volest_cloud given{sizeof given, format, points, count, stride, directions};
  if ((status = read_cloud(given, cloud)) != VOLEST_OK) return status;
  if ((status = has_room(handle->load, cloud)) != VOLEST_OK) return status;
  handle->load.add_part(cloud);
  return VOLEST_OK;
}

volest_quantity quantity(const Quantity &q) { return {q.value, q.std, q.lower95, q.upper95}; }

std::uint32_t waste_class_of(WasteClass named) {
  constexpr std::uint32_t kClasses[] = {VOLEST_WASTE_UNDECIDED, VOLEST_WASTE_DRY, VOLEST_WASTE_MIXED,
                                        VOLEST_WASTE_WET};
  return kClasses[static_cast<int>(named) + 1];
}

void tell_volume(const Assessment &a, volest_result &out) {
  out.has |= VOLEST_HAS_VOLUME;
  out.volume_m3 = quantity(a.volume);
  out.volume_budget_m3 = {a.budget.hidden, a.budget.pose, a.budget.reference, a.budget.range, a.budget.surface};
  out.struck_capacity_m3 = a.integral.struck_capacity;
  out.heaped_volume_m3 = a.integral.heaped;
  out.fill_ratio = a.fill;
  out.seen_fraction = a.seen;
  out.rejected_fraction = a.sight.rejected;
  if (!a.has_centroid) return;
  out.has |= VOLEST_HAS_CENTROID;
  for (int i = 0; i < 3; ++i) out.centroid_m[i] = a.centroid[i];
}

void tell_weight(const Fused &f, volest_result &out) {
  out.has |= VOLEST_HAS_MASS;
  out.net_mass_kg = quantity(f.net_mass);
  if (f.has_density) {
    out.has |= VOLEST_HAS_DENSITY;
    out.bulk_density_kg_m3 = quantity(f.density);
  }
  if (!f.has_wetness) return;
  out.has |= VOLEST_HAS_WETNESS;
  const Wetness &w = f.wetness;
  out.wet_mass_fraction = quantity(w.fraction);
  out.probability_dry = w.dry;
  out.probability_mixed = w.mixed;
  out.probability_wet = w.wet;
  out.waste_class = waste_class_of(w.waste_class);
}

// Fills as much of a struct as its caller knows; fields of later versions are 0.
template <class T>
volest_status hand_out(const T &made, T *out) {
  const std::uint32_t size = out->size;
  if (size < sizeof(T) || size > 65536) return VOLEST_ERROR_STRUCT;
  std::memset(out, 0, size);
  std::memcpy(out, &made, sizeof made);
  out->size = size;
  return VOLEST_OK;
}

}  // namespace

extern "C" {

const char *volest_version(void) { return VOLEST_VERSION; }

const char *volest_status_text(int status) {
  constexpr const char *kTexts[] = {
      "ok",
      "expected a pointer, found NULL",
      "expected memory that is aligned as the header tells",
      "expected as much memory as volest_required_bytes tells",
      "expected a struct with its size set, and nothing set that this version does not know",
      "expected a handle that was made where it lies",
      "expected a sensor of this truck",
      "expected a known format of points",
      "expected a stride of at least one point and at most 65535 bytes",
      "expected a finite number within its range",
      "expected volest_scan_begin before packets and volest_scan_end after them",
      "expected at most 64 scans and 16777215 points in one load",
      "expected a truck.volest that tells of a scale"};
  if (status >= 0 && status < static_cast<int>(sizeof kTexts / sizeof *kTexts)) return kTexts[status];
  if (status >= VOLEST_ERROR_BLOB_ALIGNMENT && status <= VOLEST_ERROR_BLOB_VALUE)
    return truck_file_text(static_cast<TruckFileError>(status - 100));
  return "unknown";
}

const char *volest_flag_name(std::uint32_t flag) {
  for (int i = 0; i < kLoadFlags; ++i)
    if (flag == 1u << i) return flag_name(i);
  return "unknown";
}

volest_status volest_check_truck(const void *blob, std::size_t bytes, volest_fault *fault) {
  if (fault != nullptr && (fault->size < sizeof *fault || fault->size > 65536)) return VOLEST_ERROR_STRUCT;
  TruckFile file;
  TruckFileStatus found{};
  const volest_status status = open_truck(blob, bytes, file, found);
  if (status == VOLEST_OK || status == VOLEST_ERROR_NULL || fault == nullptr) return status;
  volest_fault told{};
  std::memcpy(told.section, found.section, sizeof found.section);
  told.byte = found.at;
  hand_out(told, fault);
  return status;
}

volest_status volest_required_bytes(const void *blob, std::size_t blob_bytes, const volest_options *options,
                                    std::size_t *bytes) {
  if (bytes == nullptr) return VOLEST_ERROR_NULL;
  volest_options asked;
  TruckFile file;
  TruckFileStatus found{};
  volest_status status = read_options(options, asked);
  if (status == VOLEST_OK) status = open_truck(blob, blob_bytes, file, found);
  if (status == VOLEST_OK) *bytes = kHandleBytes + Load::engine_bytes(file);
  return status;
}

volest_status volest_create(void *memory, std::size_t bytes, const void *blob, std::size_t blob_bytes,
                            const volest_options *options, volest_handle **handle) {
  if (memory == nullptr || handle == nullptr) return VOLEST_ERROR_NULL;
  if (!is_aligned(static_cast<char *>(memory), VOLEST_ALIGNMENT)) return VOLEST_ERROR_ALIGNMENT;
  volest_options asked;
  TruckFile file;
  TruckFileStatus found{};
  volest_status status = read_options(options, asked);
  if (status == VOLEST_OK) status = open_truck(blob, blob_bytes, file, found);
  if (status != VOLEST_OK) return status;
  if (bytes < kHandleBytes + Load::engine_bytes(file)) return VOLEST_ERROR_MEMORY;
  const Kernels *kernels = kernels_of(asked);
  if (kernels == nullptr) return VOLEST_ERROR_VALUE;
  const LoadOptions how{asked.believe_poses == 0, asked.keep_membrane == 0};
  *handle = new (memory) volest_handle(file, how, static_cast<char *>(memory) + kHandleBytes, *kernels);
  return VOLEST_OK;
}

volest_status volest_sensor_count(const volest_handle *handle, std::uint32_t *count) {
  const volest_status status = check(handle);
  if (status != VOLEST_OK) return status;
  if (count == nullptr) return VOLEST_ERROR_NULL;
  *count = static_cast<std::uint32_t>(handle->load.sensor_count());
  return VOLEST_OK;
}

volest_status volest_find_sensor(const volest_handle *handle, const char *id, std::uint32_t *sensor) {
  const volest_status status = check(handle);
  if (status != VOLEST_OK) return status;
  if (id == nullptr || sensor == nullptr) return VOLEST_ERROR_NULL;
  const int found = handle->load.find_sensor(id);
  if (found < 0) return VOLEST_ERROR_SENSOR;
  *sensor = static_cast<std::uint32_t>(found);
  return VOLEST_OK;
}

volest_status volest_clear(volest_handle *handle) {
  const volest_status status = check(handle);
  if (status == VOLEST_OK) handle->load.clear();
  return status;
}

volest_status volest_add_scan(volest_handle *handle, std::uint32_t sensor, const volest_cloud *cloud) {
  volest_status status = check(handle);
  if (status != VOLEST_OK) return status;
  if (cloud == nullptr) return VOLEST_ERROR_NULL;
  if (cloud->size < sizeof *cloud) return VOLEST_ERROR_STRUCT;
  Load &load = handle->load;
  if (load.is_open()) return VOLEST_ERROR_ORDER;
  if (!load.has_sensor(sensor)) return VOLEST_ERROR_SENSOR;
  Cloud scan{};
  if ((status = read_cloud(*cloud, scan)) != VOLEST_OK) return status;
  if (!load.has_room()) return VOLEST_ERROR_TOO_MANY;
  if ((status = has_room(load, scan)) != VOLEST_OK) return status;
  load.add(static_cast<int>(sensor), scan);
  return VOLEST_OK;
}

volest_status volest_scan_begin(volest_handle *handle, std::uint32_t sensor) {
  const volest_status status = check(handle);
  if (status != VOLEST_OK) return status;
  Load &load = handle->load;
  if (load.is_open()) return VOLEST_ERROR_ORDER;
  if (!load.has_sensor(sensor)) return VOLEST_ERROR_SENSOR;
  if (!load.has_room()) return VOLEST_ERROR_TOO_MANY;
  load.begin(static_cast<int>(sensor));
  return VOLEST_OK;
}

volest_status volest_scan_end(volest_handle *handle) {
  const volest_status status = check(handle);
  if (status != VOLEST_OK) return status;
  if (!handle->load.is_open()) return VOLEST_ERROR_ORDER;
  handle->load.end();
  return VOLEST_OK;
}

volest_status volest_add_xyz(volest_handle *handle, const float *points, std::size_t count,
                             std::size_t stride) {
  return add_part(handle, VOLEST_XYZ_F32, points, nullptr, count, stride);
}

volest_status volest_add_xyz_mm(volest_handle *handle, const std::int16_t *points, std::size_t count,
                                std::size_t stride) {
  return add_part(handle, VOLEST_XYZ_MM_I16, points, nullptr, count, stride);
}

volest_status volest_add_ranges_u16(volest_handle *handle, const std::uint16_t *ranges, const float *directions,
                                    std::size_t count) {
  return add_part(handle, VOLEST_RANGE_U16, ranges, directions, count, 0);
}

volest_status volest_add_ranges_u32(volest_handle *handle, const std::uint32_t *ranges, const float *directions,
                                    std::size_t count) {
  return add_part(handle, VOLEST_RANGE_U32, ranges, directions, count, 0);
}

volest_status volest_add_ranges_f32(volest_handle *handle, const float *ranges, const float *directions,
                                    std::size_t count) {
  return add_part(handle, VOLEST_RANGE_F32, ranges, directions, count, 0);
}

volest_status volest_set_gross(volest_handle *handle, double kg, double std_kg) {
  const volest_status status = check(handle);
  if (status != VOLEST_OK) return status;
  if (!handle->load.has_scale()) return VOLEST_ERROR_SCALE;
  if (!(kg > 0.0 && kg < kMostGross && std_kg >= 0.0 && std_kg < kMostGrossStd)) return VOLEST_ERROR_VALUE;
  handle->load.set_gross(kg, std_kg);
  return VOLEST_OK;
}

volest_status volest_add_weight(volest_handle *handle, double time_s, double kg, std::uint32_t moving) {
  const volest_status status = check(handle);
  if (status != VOLEST_OK) return status;
  if (!handle->load.has_scale()) return VOLEST_ERROR_SCALE;
  if (moving > 1) return VOLEST_ERROR_VALUE;
  handle->load.add_weight(time_s, kg, moving == 1);
  return VOLEST_OK;
}

volest_status volest_estimate(volest_handle *handle, volest_result *result) {
  const volest_status status = check(handle);
  if (status != VOLEST_OK) return status;
  if (result == nullptr) return VOLEST_ERROR_NULL;
  if (result->size < sizeof *result || result->size > 65536) return VOLEST_ERROR_STRUCT;
  const Estimate e = handle->load.estimate();
  volest_result told{};
  told.status = static_cast<std::uint32_t>(e.status);
  told.flags = e.flags;
  told.unchecked = e.unchecked;
  told.weight_reasons = e.weight;
  if (e.status != LoadStatus::kRejected) tell_volume(e.volume, told);
  if (e.has_mass) tell_weight(e.fused, told);
  return hand_out(told, result);
}

}  // extern "C"
