#include "engine.hpp"

namespace volest {
namespace {

// Hands out aligned pieces of the caller's memory; with no memory it only counts.
struct Arena {
  char *base;
  std::size_t used = 0;

  template <class T>
  T *take(std::size_t n) {
    constexpr std::size_t align = 16;
    T *piece = base ? reinterpret_cast<T *>(base + used) : nullptr;
    used += (n * sizeof(T) + align - 1) / align * align;
    return piece;
  }
};

void lay_out(Arena &arena, const EngineSpec &spec, Voxels &voxels, HeightMap &map, Vec3 *&scratch) {
  const auto cells = static_cast<std::size_t>(spec.grid.size());
  voxels.column = arena.take<std::uint64_t>(cells * static_cast<std::size_t>(spec.nz));
  voxels.mask = arena.take<std::uint64_t>(cells);
  map.height = arena.take<float>(cells);
  map.spread = arena.take<float>(cells);
  map.count = arena.take<std::uint32_t>(cells);
  map.air.bound = arena.take<float>(cells);
  map.air.landing = arena.take<float>(cells);
  map.air.fall = arena.take<float>(cells);
  map.distance = arena.take<float>(cells);
  map.state = arena.take<std::uint8_t>(cells);
  scratch = arena.take<Vec3>(kRegistrationCapacity);
}

}  // namespace

std::size_t Engine::required_bytes(const EngineSpec &spec) noexcept {
  Arena arena{nullptr};
  Voxels voxels{};
  HeightMap map{};
  Vec3 *scratch = nullptr;
  lay_out(arena, spec, voxels, map, scratch);
  return arena.used;
}

Engine::Engine(const EngineSpec &spec, const Bed &bed, void *memory) noexcept : spec_(spec), bed_(bed) {
  Arena arena{static_cast<char *>(memory)};
  voxels_.z0 = spec.z0;
  voxels_.dz = spec.dz;
  voxels_.nz = spec.nz;
  lay_out(arena, spec, voxels_, map_, scratch_);
  std::memset(memory, 0, arena.used);
  clear();
}

void Engine::clear() noexcept {
  const auto cells = static_cast<std::size_t>(spec_.grid.size());
  std::memset(voxels_.column, 0, cells * static_cast<std::size_t>(spec_.nz) * sizeof *voxels_.column);
  std::memset(voxels_.mask, 0, cells * sizeof *voxels_.mask);
  const float free_above = static_cast<float>(spec_.z0 + spec_.nz * spec_.dz);
  for (std::size_t i = 0; i < cells; ++i) map_.air.bound[i] = free_above;
  std::memset(map_.air.landing, 0, cells * sizeof(float));
  std::memset(map_.air.fall, 0, cells * sizeof(float));
  std::memset(map_.state, kOutside, cells);  // until it is finished it holds nothing
  sensor_count_ = 0;
}

PassCounts Engine::add(const Cloud &cloud, const Pose &pose, bool rays) noexcept {
  if (rays && sensor_count_ < kMostSensors) sensors_[sensor_count_++] = pose.t;
  return rasterise(bed_, cloud, pose, rays, voxels_, map_.air);
}

SurfaceCounts Engine::finish(SurfacePrior prior) noexcept {
  const SurfaceCounts counts = select_surface(bed_, voxels_, map_);
  complete_surface(bed_, sensors_, sensor_count_, spec_.z0 + spec_.nz * spec_.dz, prior, map_);
  return counts;
}

}  // namespace volest
