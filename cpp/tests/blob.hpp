// The truck.volest of a box of a bed, byte by byte as docs/truckfile.md has it.
#pragma once

#include "box.hpp"
#include "truckfile.hpp"

namespace volest_test {

// Bytes on a multiple of 64.
class Blob {
 public:
  unsigned char *data() { return reinterpret_cast<unsigned char *>(pieces_.data()); }
  const unsigned char *data() const { return reinterpret_cast<const unsigned char *>(pieces_.data()); }
  std::size_t size() const { return size_; }
  void append(const void *from, std::size_t count) {
    pieces_.resize((size_ + count) / sizeof(Piece) + 1);
    if (count > 0) std::memcpy(data() + size_, from, count);
    size_ += count;
  }
  template <class T>
  void put(T value) {
    append(&value, sizeof value);
  }
  void pad() {
    while (size_ % 8 != 0) put(std::uint8_t{0});
  }
  template <class T>
  void set(std::size_t at, T value) {
    std::memcpy(data() + at, &value, sizeof value);
  }
  // With a size and a checksum that hold.
  void seal() {
    if (size_ < 24) return;
    set(16, static_cast<std::uint64_t>(size_));
    set(12, crc32(data() + 16, size_ - 16));
  }

 private:
  struct alignas(64) Piece {
    unsigned char bytes[64];
  };
  std::vector<Piece> pieces_;
  std::size_t size_ = 0;
};

inline Blob sensor_section(const std::vector<Pose> &poses) {
  Blob b;
  for (std::size_t i = 0; i < poses.size(); ++i) {
    char id[64] = "sensor-0";
    id[7] = static_cast<char>('0' + i);
    b.append(id, sizeof id);
    b.append(poses[i].R, sizeof poses[i].R);
    for (const double v : {poses[i].t.x, poses[i].t.y, poses[i].t.z, 0.005, 0.0017, 0.01}) b.put(v);
    b.put(std::uint32_t{1});
    b.put(std::uint32_t{0});
  }
  return b;
}

inline Blob bed_section(const Box &box) {
  Blob b;
  const EngineSpec &spec = box.spec;
  const Bed &bed = box.bed;
  for (const int v : {spec.grid.nx, spec.grid.ny, spec.nz, 0}) b.put(std::int32_t{v});
  for (const double v :
       {spec.grid.x0, spec.grid.y0, spec.grid.cell, spec.z0, spec.dz, bed.scale, bed.floor_std})
    b.put(v);
  for (const Plane &w : bed.walls)
    for (const double v : {w.n.x, w.n.y, w.n.z, w.d}) b.put(v);
  b.append(bed.rim, sizeof bed.rim);
  for (const double *four : {bed.wall_std, bed.skin, bed.liner}) b.append(four, 4 * sizeof(double));
  for (int spare = 0; spare < 5; ++spare) b.put(0.0);
  for (int w = 0; w < 8; ++w) b.put(static_cast<std::uint8_t>(w < kWalls && bed.covered[w]));
  b.append(bed.floor, static_cast<std::size_t>(spec.grid.size()) * sizeof(float));
  b.pad();
  b.append(bed.fixtures, static_cast<std::size_t>(spec.grid.size()) * sizeof(std::uint64_t));
  return b;
}

// Of a truck with sensors at these poses; its network knows nothing.
inline Blob blob_of(const Box &box, const std::vector<Pose> &poses) {
  Blob json, hidden, scale, waste;
  json.append("{}", 2);
  for (int i = 0; i < kHiddenWeights; ++i)
    hidden.put(i >= kHiddenFeatures && i < 2 * kHiddenFeatures ? 1.0f : 0.0f);
  for (const double v : {4000.0, 15.0, 0.005, 10.0}) scale.put(v);
  for (const double v : {110.0, 0.3, 420.0, 0.25, 1.0, 1.0}) waste.put(v);
  const std::pair<const char *, Blob> sections[] = {{"TRCK", json},
                                                    {"SENS", sensor_section(poses)},
                                                    {"BEDM", bed_section(box)},
                                                    {"HIDN", hidden},
                                                    {"PROV", json},
                                                    {"SCAL", scale},
                                                    {"WAST", waste}};
  constexpr std::size_t kCount = sizeof sections / sizeof *sections;
  Blob f;
  f.append("\x8BVLST\r\n\x1A", 8);
  f.put(std::uint16_t{1});
  f.put(static_cast<std::uint16_t>(kCount));
  for (int later = 0; later < 3; ++later) f.put(std::uint32_t{0});  // checksum and size
  std::size_t at = 24 + 24 * kCount;
  for (const auto &[tag, section] : sections) {
    f.append(tag, 4);
    f.put(std::uint32_t{0});
    f.put(static_cast<std::uint64_t>(at));
    f.put(static_cast<std::uint64_t>(section.size()));
    at += (section.size() + 7) / 8 * 8;
  }
  for (const auto &[tag, section] : sections) {
    f.append(section.data(), section.size());
    f.pad();
  }
  f.seal();
  return f;
}

}  // namespace volest_test
