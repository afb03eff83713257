#include "engine.hpp"

namespace volest {
namespace {

constexpr double kFarthestSensor = 1e4;  // m; what is farther away tells nothing of the air over the bed

// Hands out aligned pieces of the caller's memory; with no memory it only counts.
struct Arena {
  char *base;
  std::size_t used = 0, most = 0;

  template <class T>
  T *take(std::size_t n) {
    constexpr std::size_t align = 64;
    T *piece = base ? reinterpret_cast<T *>(base + used) : nullptr;
    used += (n * sizeof(T) + align - 1) / align * align;
    most = used > most ? used : most;
    return piece;
  }
  // With so many more on either side, to be read and ignored.
  template <class T>
  T *take(std::size_t n, std::size_t beside) {
    T *piece = take<T>(n + 2 * beside);
    return piece ? piece + beside : nullptr;
  }
};

struct Pieces {
  CellTable table{};
  Columns columns{};
  Cell *fresh = nullptr;
  HeightMap map{};
  Scratch scratch{};
  Sifted sifted{};
  Candidates candidates{};
  ViewRoom view{};
  Edge edge{};
};

// Cells of all grids of the cascade, each between empty ones.
std::size_t grids_of(const Grid &g) {
  return 2 * static_cast<std::size_t>(g.size()) + 8 * static_cast<std::size_t>(g.nx + g.ny) + 1024;
}

void lay_out(Arena &arena, int capacity, Stream &s) {
  s.capacity = capacity;
  for (float **axis : {&s.x, &s.y, &s.z})
    *axis = arena.take<float>(static_cast<std::size_t>(capacity) + kStreamRoom);
}

// What lives as long as the engine, or as a load.
void lay_out_lasting(Arena &arena, const EngineSpec &spec, Pieces &p) {
  const Grid &g = spec.grid;
  const auto cells = static_cast<std::size_t>(g.size()), row = static_cast<std::size_t>(g.nx) + 16;
  p.columns = {spec.z0, spec.dz, spec.nz, arena.take<Cell>(cells, 16)};
  p.fresh = arena.take<Cell>(cells, 16);
  p.map.height = arena.take<float>(cells, row);
  p.map.variance = arena.take<float>(cells, 16);
  p.map.count = arena.take<std::uint32_t>(cells, 16);
  p.map.air = {arena.take<float>(cells, 16), arena.take<float>(cells, 16), arena.take<float>(cells, 16)};
  p.map.distance = arena.take<float>(cells, row);
  p.map.state = arena.take<std::uint8_t>(cells, 64);
  p.table.kind = arena.take<CellKind>(cells, 64);
  p.table.opening = arena.take<float>(cells, 16);
  p.table.top = arena.take<float>(cells, 16);
  p.table.area = arena.take<float>(cells, 16);
  p.table.inner = arena.take<float>(cells, 16);
  p.table.open = arena.take<float>(cells, row);
  p.table.floor = arena.take<float>(cells, 16);
  p.table.border = arena.take<std::int32_t>(cells);
  p.table.places = arena.take<Places>(static_cast<std::size_t>(CellTable::capacity(g)));
  p.edge.pairs = arena.take<EdgePair>(static_cast<std::size_t>(Edge::capacity(g)));
  p.edge.middle = arena.take<std::int32_t>(cells);
  lay_out(arena, Sifted::amid_capacity(g), p.sifted.amid);
  lay_out(arena, Sifted::outline_capacity(g), p.sifted.outline);
  Scratch &s = p.scratch;
  s.runs = {arena.take<std::uint8_t>(cells), arena.take<std::uint8_t>(cells)};
  // What lies between the grids of the cascade stays 0.
  for (float **sheet : {&s.level, &s.thin, &s.known, &s.open}) *sheet = arena.take<float>(grids_of(g));
}

void lay_out_registration(Arena &arena, Candidates &c) {
  for (float **axis : {&c.x, &c.y, &c.z}) *axis = arena.take<float>(2 * kCandidateCapacity + kCandidatePad);
  for (float **axis : {&c.loose[0], &c.loose[1], &c.loose[2], &c.over, &c.wall})
    *axis = arena.take<float>(kLooseCapacity);
  c.hash = arena.take<std::uint32_t>(kLooseCapacity);
}

void lay_out_sweep(Arena &arena, const Grid &g, Scratch &s) {
  const auto cells = static_cast<std::size_t>(g.size());
  for (std::uint32_t **fan : {&s.fan.key, &s.fan.sides})
    *fan = arena.take<std::uint32_t>(static_cast<std::size_t>(Fan::kWays) *
                                     static_cast<std::size_t>(Fan::rings(g)));
  for (std::int32_t **piece : {&s.way, &s.ray, &s.span, &s.ring}) *piece = arena.take<std::int32_t>(cells, 16);
  s.far = arena.take<float>(cells, 16);
}

void lay_out_selection(Arena &arena, const Grid &g, Scratch &s) {
  const auto cells = static_cast<std::size_t>(g.size()), row = static_cast<std::size_t>(g.nx) + 16;
  for (std::uint8_t **bytes : {&s.near_low, &s.near_high, &s.company, &s.mixed, &s.near_mixed})
    *bytes = arena.take<std::uint8_t>(cells + 4 * row);
}

void lay_out_membrane(Arena &arena, const Grid &g, Scratch &s) {
  s.share = arena.take<float>(grids_of(g));
  s.above = arena.take<std::int32_t>(grids_of(g));
  s.fields.stride = Chequer::stride_of(g);
  s.fields.apart = s.fields.stride * (g.ny + 2) + 16;
  for (float **sorted :
       {s.fields.level, s.fields.thin, s.fields.share, s.fields.floor, s.fields.bound, s.fields.height}) {
    sorted[0] = arena.take<float>(2 * static_cast<std::size_t>(s.fields.apart),
                                  static_cast<std::size_t>(s.fields.stride));
    sorted[1] = sorted[0] ? sorted[0] + s.fields.apart : nullptr;
  }
  s.blocks = arena.take<Block>(static_cast<std::size_t>(s.fields.apart));
}

void lay_out_judgement(Arena &arena, const Grid &g, Scratch &s, ViewRoom &v) {
  s.numbers = arena.take<double>(4 * static_cast<std::size_t>(g.size()));
  for (std::uint32_t **bins : {&v.returns, &v.usual}) *bins = arena.take<std::uint32_t>(ViewRoom::kBins);
  v.marks = arena.take<std::uint8_t>(ViewRoom::kBins);
}

// Stages that follow each other share memory: each begins where what several of them use ends.
void lay_out(Arena &arena, const EngineSpec &spec, Pieces &p) {
  const Grid &g = spec.grid;
  const auto cells = static_cast<std::size_t>(g.size()), row = static_cast<std::size_t>(g.nx) + 16;
  lay_out_lasting(arena, spec, p);
  const std::size_t shared = arena.used;
  lay_out_registration(arena, p.candidates);
  arena.used = shared;
  Scratch &s = p.scratch;
  s.place = arena.take<std::int32_t>(cells, 16);
  s.at = arena.take<std::int32_t>(grids_of(g));
  for (std::uint8_t **bytes : {&s.low, &s.high, &s.row}) *bytes = arena.take<std::uint8_t>(cells + 4 * row);
  const std::size_t stage = arena.used;
  lay_out_sweep(arena, g, s);
  arena.used = stage;
  lay_out_selection(arena, g, s);
  arena.used = stage;
  for (int k = 0; k < 3; ++k) s.rows[k] = arena.take<float>(cells, 32);
  const std::size_t last = arena.used;
  for (int k = 3; k < 10; ++k) s.rows[k] = arena.take<float>(cells, 32);
  arena.used = last;
  lay_out_membrane(arena, g, s);
  arena.used = last;
  lay_out_judgement(arena, g, s, p.view);
}

void clear_cells(Cell *cells, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) cells[i] = {0, 0, 0, Cell::kNoLow, 0};
}

}  // namespace

std::size_t Engine::required_bytes(const EngineSpec &spec) noexcept {
  Arena arena{nullptr};
  Pieces pieces;
  lay_out(arena, spec, pieces);
  return arena.most;
}

Engine::Engine(const EngineSpec &spec, const Bed &bed, void *memory, const Kernels &kernels) noexcept
    : spec_(spec), bed_(bed), kernels_(&kernels) {
  Arena arena{static_cast<char *>(memory)};
  Pieces pieces;
  lay_out(arena, spec, pieces);
  std::memset(memory, 0, arena.most);
  table_ = pieces.table;
  columns_ = pieces.columns;
  fresh_ = pieces.fresh;
  map_ = pieces.map;
  scratch_ = pieces.scratch;
  sifted_ = pieces.sifted;
  candidates_ = pieces.candidates;
  view_ = pieces.view;
  edge_ = pieces.edge;
  fill_table(bed_, table_);
  fill_edge(bed_, edge_);
  clear_cells(fresh_, static_cast<std::size_t>(spec_.grid.size()));
  clear();
}

void Engine::clear() noexcept {
  const auto cells = static_cast<std::size_t>(spec_.grid.size());
  clear_cells(columns_.cell, cells);
  std::memset(map_.state, kOutside, cells);  // until it is finished it holds nothing
  drop();
  sensor_count_ = 0;
  is_empty_ = true;
}

// The bit of a sensor at this place; none when there are too many of them or nothing is known of its rays.
std::uint32_t Engine::bit_of(Vec3 sensor) noexcept {
  const double farthest = std::fmax(std::fabs(sensor.x), std::fmax(std::fabs(sensor.y), std::fabs(sensor.z)));
  if (!(farthest < kFarthestSensor)) return 0;
  for (int s = 0; s < sensor_count_; ++s)
    if (sensors_[s].x == sensor.x && sensors_[s].y == sensor.y && sensors_[s].z == sensor.z) return 1u << s;
  if (sensor_count_ == kMostSensors) return 0;
  sensors_[sensor_count_] = sensor;
  return 1u << sensor_count_++;
}

Zone Engine::zone(double margin, double about) const noexcept {
  const Grid &g = bed_.grid;
  const double slant = g.cell * (std::fabs(bed_.rim[1]) * g.nx + std::fabs(bed_.rim[2]) * g.ny);
  const double low = std::fmin(columns_.z0, -bed_.rim[0] - slant),
               high = std::fmax(columns_.ceiling(), bed_.rim[0] + slant + margin);
  return zone_of(bed_, low, high, margin, about);
}

void Engine::sift(const Cloud &cloud, const Pose &prior, double margin, double about) noexcept {
  sifted_.clear();
  kernels_->sift(cloud, zone(margin, about), prior, margin, sifted_);
}

void Engine::begin_scan(const Pose &prior, double reach_m) noexcept {
  sifted_.clear();
  part_zone_ = zone(reach_m, reach_m > 0.0 ? outline_about(bed_, reach_m) : 0.0);
  part_prior_ = prior;
  part_margin_ = reach_m;
}

void Engine::add_part(const Cloud &part) noexcept {
  kernels_->sift(part, part_zone_, part_prior_, part_margin_, sifted_);
}

void Engine::look_along(const float *directions, std::int64_t count, const Pose &prior, double reach_m,
                        RayReach &reach) const noexcept {
  reach.prior = prior;
  reach.margin = reach_m;
  look_along_rays(directions, count, zone(reach_m, 0.0), prior, reach.range);
}

Registration Engine::find_bed(const Cloud &cloud, const Pose &prior, const RegistrationPrior &std, bool rays,
                              double reach_m, const double *starts, int start_count) noexcept {
  sift(cloud, prior, reach_m, outline_about(bed_, reach_m));
  return find_sifted(prior, std, rays, reach_m, starts, start_count);
}

Registration Engine::find_sifted(const Pose &prior, const RegistrationPrior &std, bool rays, double reach_m,
                                 const double *starts, int start_count) noexcept {
  static constexpr double kPrior[6] = {};
  return register_scan(*kernels_, bed_, sifted_.outline, prior, std, starts == nullptr ? kPrior : starts,
                       start_count, rays, reach_m, candidates_);
}

PassCounts Engine::pass(const Cloud &cloud, const Pose &pose, bool rays) noexcept {
  sift(cloud, pose, 0.0, 0.0);
  return pass_sifted(pose, rays);
}

PassCounts Engine::pass_found(const Registration &found, bool rays) noexcept {
  return pass_sifted(found.pose, rays);
}

PassCounts Engine::pass_sifted(const Pose &pose, bool rays) noexcept {
  drop();
  fresh_sensor_ = pose.t;
  fresh_rays_ = rays;
  is_fresh_ = true;
  return rasterise(pose, rays, nullptr);
}

// Adds what was sifted to the fresh cells.
PassCounts Engine::rasterise(const Pose &pose, bool rays, const Runs *runs) noexcept {
  return kernels_->rasterise(bed_, sifted_, pose, rays, table_.has_fixtures, runs,
                             {columns_.z0, columns_.dz, columns_.nz, fresh_});
}

void Engine::resolve(const Cloud &cloud, const Pose &pose, bool rays) noexcept {
  sift(cloud, pose, 0.0, 0.0);
  resolve_sifted(pose, rays);
}

void Engine::resolve_sifted(const Pose &pose, bool rays) noexcept {
  is_fresh_ = is_resolved_ = true;
  rasterise(pose, rays, &scratch_.runs);
}

void Engine::drop() noexcept {
  if (is_fresh_) clear_cells(fresh_, static_cast<std::size_t>(spec_.grid.size()));
  is_fresh_ = is_resolved_ = false;
}

void Engine::keep() noexcept {
  if (!is_fresh_ || is_resolved_) return;
  is_fresh_ = false;
  const std::uint32_t bit = fresh_rays_ ? bit_of(fresh_sensor_) : 0;
  if (is_empty_) {
    is_empty_ = false;
    Cell *cleared = columns_.cell;
    columns_.cell = fresh_;
    fresh_ = cleared;
    for (int i = 0; i < spec_.grid.size(); ++i) columns_.cell[i].seen_by = bit;
    return;
  }
  for (int i = 0; i < spec_.grid.size(); ++i) {
    Cell &from = fresh_[i], &to = columns_.cell[i];
    if (from.mask == 0 && from.low == Cell::kNoLow) continue;
    if (to.mask == 0 && to.low == Cell::kNoLow) to.seen_by = 0;
    to.sum += from.sum;
    to.squares += from.squares;
    to.mask |= from.mask;
    to.low = from.low < to.low ? from.low : to.low;
    to.seen_by |= bit;
    from = {0, 0, 0, Cell::kNoLow, 0};
  }
}

Registration Engine::told(const Pose &pose, const RegistrationPrior &std) noexcept {
  Registration out{};
  out.pose = pose;
  for (int i = 0; i < 3; ++i) {
    out.covariance[7 * i] = std.std_translation[i] * std.std_translation[i];
    out.covariance[7 * (i + 3)] = std.std_rotation[i] * std.std_rotation[i];
  }
  out.evidence = out.agreement = out.tops = 1.0;
  return out;
}

SurfaceCounts Engine::finish(SurfacePrior prior) noexcept {
  const auto cells = static_cast<std::size_t>(spec_.grid.size());
  const auto free_above = static_cast<float>(columns_.ceiling());
  for (std::size_t i = 0; i < cells; ++i) map_.air.bound[i] = free_above;
  std::memset(map_.air.landing, 0, cells * sizeof(float));
  std::memset(map_.air.fall, 0, cells * sizeof(float));
  for (int s = 0; s < sensor_count_; ++s)
    kernels_->sweep_rays(bed_, table_, columns_, sensors_[s], 1u << s, scratch_, map_.air);
  const SurfaceCounts counts =
      kernels_->select_surface(bed_, table_, columns_, is_resolved_ ? fresh_ : nullptr, scratch_, map_);
  kernels_->complete_surface(bed_, table_, sensors_, sensor_count_, prior, scratch_, map_);
  return counts;
}

}  // namespace volest
