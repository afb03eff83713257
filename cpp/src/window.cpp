#include "window.hpp"

#include <algorithm>

#include "kernels.hpp"

namespace volest {
namespace {

constexpr double kBinAngle = 0.05235987755982989;  // rad, edge of a bin in the middle of the view: 3 degrees,
constexpr double kBin = 0.026185921569186928;      // and as it is drawn: the tangent of its half
constexpr double kPerUnit = 1.0 / kBin;
constexpr double kShort = 0.4;  // of the way to the nearest cell: what returns from nearer lies on the window
constexpr double kBlind = 0.05, kLive = 0.25;  // of the usual returns in a bin
constexpr double kLeastUsual = 6.0;            // returns in a bin, to tell a blind one by
constexpr int kLeastBins = 4;   // in blocks of two by two; what is smaller may be a dark spot of the load
constexpr double kSlack = 0.7;  // of a block's side: cells at its border may have returns from next to it
// Bins; between live ones no further away a blind bin is one of the window, not of the edge of the view.
constexpr int kReach = 6;

enum Mark : std::uint8_t { kOfBed = 1, kIsLive = 2, kIsBlind = 4, kIsBetween = 8, kIsOfBlock = 16 };

// The cells over the bed.
struct Cells {
  float *x, *y, *z;               // m, bed frame
  std::uint8_t *unseen, *blind;   // 0 or 1
  double *distance, *right, *up;  // m from a sensor, and where its view has them
  std::int32_t *bin;              // of that view
  int count;

  Vec3 way(int k, Vec3 from) const {
    return Vec3{static_cast<double>(x[k]), static_cast<double>(y[k]), static_cast<double>(z[k])} - from;
  }
};

// Where the bins of a view begin, and how many they are.
struct Bins {
  double right, up;
  int ni, nj;

  int of(double a, double b) const { return along(a, right, ni) * nj + along(b, up, nj); }
  // The first cell lies just where its bin begins, wherever rounding puts it.
  static int along(double at, double least, int n) {
    const int bin = static_cast<int>((at - least) * kPerUnit);
    return bin < kReach ? kReach : (bin < n - kReach ? bin : n - 1 - kReach);
  }
};

std::uint8_t is_unseen(std::uint8_t state) { return state == kHidden || state == kBetween; }

float highest(const float *height, int n) {
  constexpr int kLanes = 16;  // side by side they become a vector
  float top[kLanes];
  std::fill_n(top, kLanes, height[0]);
  int i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int k = 0; k < kLanes; ++k) top[k] = height[i + k] > top[k] ? height[i + k] : top[k];
  for (; i < n; ++i) top[0] = height[i] > top[0] ? height[i] : top[0];
  return *std::max_element(top, top + kLanes);
}

void gather(const Grid &g, const HeightMap &map, Cells &cells) {
  cells.count = 0;
  for (int iy = 0, i = 0; iy < g.ny; ++iy) {
    const auto y = static_cast<float>(g.centre_y(iy));
    for (int ix = 0; ix < g.nx; ++ix, ++i) {
      cells.x[cells.count] = static_cast<float>(g.centre_x(ix));
      cells.y[cells.count] = y;
      cells.z[cells.count] = map.height[i];
      cells.unseen[cells.count] = is_unseen(map.state[i]);
      cells.blind[cells.count] = 0;
      cells.count += map.state[i] != kOutside;
    }
  }
}

double nearest_unseen(const Cells &cells, Vec3 sensor) {
  double least = 1e30;
  for (int k = 0; k < cells.count; ++k) {
    const Vec3 way = cells.way(k, sensor);
    const double square = cells.unseen[k] ? dot(way, way) : 1e30;
    least = square < least ? square : least;
  }
  return std::sqrt(least);
}

Vec3 unit(Vec3 v) {
  const double length = std::sqrt(dot(v, v));
  return {v.x / length, v.y / length, v.z / length};
}

// Right, up and forward in the sensor's frame, forward to the middle of the cells; up is as near to its z axis
// as can be.
void look_at(const Cells &cells, const Pose &pose, Vec3 axes[3]) {
  Vec3 sum{};
  for (int k = 0; k < cells.count; ++k) {
    const Vec3 way = cells.way(k, pose.t);
    cells.distance[k] = std::sqrt(dot(way, way));
    cells.right[k] = 1.0 / cells.distance[k];
  }
  for (int k = 0; k < cells.count; ++k) {
    const Vec3 way = cells.way(k, pose.t);
    sum = sum + Vec3{way.x * cells.right[k], way.y * cells.right[k], way.z * cells.right[k]};
  }
  const double *R = pose.R;
  const Vec3 f = unit({R[0] * sum.x + R[3] * sum.y + R[6] * sum.z, R[1] * sum.x + R[4] * sum.y + R[7] * sum.z,
                       R[2] * sum.x + R[5] * sum.y + R[8] * sum.z});
  // Across forward and z, or forward and y.
  axes[0] = unit(std::fabs(f.z) < 0.9 ? Vec3{f.y, -f.x, 0.0} : Vec3{-f.z, 0.0, f.x});
  axes[1] = cross(axes[0], f);
  axes[2] = f;
}

// Where the cells lie in the stereographic view along these axes; what lies behind lands far off. False where
// that takes more bins than there is room for.
bool project(const Cells &cells, const Pose &pose, const Vec3 axes[3], Bins &bins) {
  const Vec3 right = pose.rotate(axes[0]), up = pose.rotate(axes[1]), forward = pose.rotate(axes[2]);
  for (int k = 0; k < cells.count; ++k) {
    const Vec3 way = cells.way(k, pose.t);
    const double reach = cells.distance[k] + dot(forward, way), scale = 1.0 / (reach > 1e-6 ? reach : 1e-6);
    cells.right[k] = dot(right, way) * scale;
    cells.up[k] = dot(up, way) * scale;
  }
  double least[2] = {1e30, 1e30}, most[2] = {-1e30, -1e30};
  for (int k = 0; k < cells.count; ++k) {
    least[0] = cells.right[k] < least[0] ? cells.right[k] : least[0];
    most[0] = cells.right[k] > most[0] ? cells.right[k] : most[0];
    least[1] = cells.up[k] < least[1] ? cells.up[k] : least[1];
    most[1] = cells.up[k] > most[1] ? cells.up[k] : most[1];
  }
  const double i = (most[0] - least[0]) * kPerUnit + 2 * kReach + 1,
               j = (most[1] - least[1]) * kPerUnit + 2 * kReach + 1;
  if (!(i > 0.0 && j > 0.0 && i < ViewRoom::kBins && j < ViewRoom::kBins)) return false;
  bins = {least[0] - kReach * kBin, least[1] - kReach * kBin, static_cast<int>(i), static_cast<int>(j)};
  return bins.ni * bins.nj <= ViewRoom::kBins;
}

// The middle of so many numbers, of two the mean; reorders them.
double median(std::uint32_t *numbers, int n) {
  std::uint32_t *middle = numbers + n / 2;
  std::nth_element(numbers, middle, numbers + n);
  return n % 2 ? *middle : 0.5 * (static_cast<double>(*std::max_element(numbers, middle)) + *middle);
}

// The returns that bins of the bed usually have, if they have any.
double usual_returns(const ViewRoom &room, int n) {
  int hit = 0;
  for (int b = 0; b < n; ++b) {
    room.usual[hit] = room.returns[b];
    hit += (room.marks[b] & kOfBed) && room.returns[b] > 0;
  }
  return hit > 0 ? median(room.usual, hit) : 0.0;
}

// Whether a live bin lies within reach, so many steps apart.
bool is_live_near(const std::uint8_t *mark, int step) {
  for (int k = 1; k <= kReach; ++k)
    if (mark[k * step] & kIsLive) return true;
  return false;
}

// Marks the bins that see nothing between such that do, in blocks of at least two by two; false if there are
// none.
bool mark_blocks(const Bins &bins, const ViewRoom &room) {
  const int n = bins.ni * bins.nj;
  const double usual = usual_returns(room, n);
  if (usual < kLeastUsual) return false;
  int blind = 0;
  for (int b = 0; b < n; ++b) {
    const double returns = room.returns[b];
    const bool is_blind = (room.marks[b] & kOfBed) && returns <= kBlind * usual;
    room.marks[b] =
        static_cast<std::uint8_t>((returns >= kLive * usual ? kIsLive : 0) | (is_blind ? kIsBlind : 0));
    blind += is_blind;
  }
  if (blind < kLeastBins) return false;
  // No bin of the bed is nearer than kReach to the edge.
  for (int b = 0; b < n; ++b) {
    std::uint8_t *mark = room.marks + b;
    if (!(*mark & kIsBlind)) continue;
    if ((is_live_near(mark, 1) && is_live_near(mark, -1)) ||
        (is_live_near(mark, bins.nj) && is_live_near(mark, -bins.nj)))
      *mark |= kIsBetween;
  }
  bool any = false;
  for (int b = 0; b + bins.nj + 1 < n; ++b) {
    std::uint8_t *block[] = {room.marks + b, room.marks + b + 1, room.marks + b + bins.nj,
                             room.marks + b + bins.nj + 1};
    if (!(*block[0] & *block[1] & *block[2] & *block[3] & kIsBetween)) continue;
    for (std::uint8_t *mark : block) *mark |= kIsOfBlock;
    any = true;
  }
  return any;
}

void mark_blind(const Cells &cells, const Sighting &sensor, const Kernels &kernels, const ViewRoom &room) {
  Vec3 axes[3];
  Bins bins;
  look_at(cells, sensor.pose, axes);
  if (!project(cells, sensor.pose, axes, bins)) return;
  BinnedView view{{}, static_cast<float>(kPerUnit), {}, bins.ni, bins.nj};
  for (int a = 0; a < 3; ++a) {
    view.axes[3 * a] = static_cast<float>(axes[a].x);
    view.axes[3 * a + 1] = static_cast<float>(axes[a].y);
    view.axes[3 * a + 2] = static_cast<float>(axes[a].z);
  }
  view.least[0] = static_cast<float>(bins.right * kPerUnit);
  view.least[1] = static_cast<float>(bins.up * kPerUnit);
  const double nearest = *std::min_element(cells.distance, cells.distance + cells.count);
  const auto n = static_cast<std::size_t>(bins.ni * bins.nj);
  std::memset(room.returns, 0, n * sizeof *room.returns);
  std::memset(room.marks, 0, n);
  for (int s = 0; s < sensor.count; ++s)
    kernels.count_returns(sensor.scans[s], view, static_cast<float>(kShort * nearest), room.returns);
  for (int k = 0; k < cells.count; ++k) {
    cells.bin[k] = bins.of(cells.right[k], cells.up[k]);
    room.marks[cells.bin[k]] = kOfBed;
  }
  if (!mark_blocks(bins, room)) return;
  for (int k = 0; k < cells.count; ++k) cells.blind[k] |= (room.marks[cells.bin[k]] & kIsOfBlock) != 0;
}

}  // namespace

bool may_be_blind(const Grid &g, const std::uint8_t *state, double distance, std::uint8_t *begins) noexcept {
  const double cells = 2.0 * kSlack * kBinAngle * distance / g.cell + 0.5;
  if (!(cells < (g.nx < g.ny ? g.nx : g.ny) + 1)) return false;
  const int side = cells < 1.0 ? 1 : static_cast<int>(cells), size = g.size();
  for (int i = 0; i < size; ++i) begins[i] = is_unseen(state[i]);
  // Whether a run of so many begins in a cell: first along y, then of such along x, where what runs on into the
  // next row is not looked at.
  for (const int next : {g.nx, 1}) {
    const int n = next == 1 ? (g.ny - side + 1) * g.nx : size;
    for (int held = 1, step; held < side; held += step) {
      step = held < side - held ? held : side - held;
      for (int i = 0; i + step * next < n; ++i) begins[i] &= begins[i + step * next];
    }
  }
  for (int y = 0; y + side <= g.ny; ++y)
    if (std::memchr(begins + y * g.nx, 1, static_cast<std::size_t>(g.nx - side + 1)) != nullptr) return true;
  return false;
}

double blind_area(const Grid &g, const HeightMap &map, const Sighting *sensors, int count,
                  const Kernels &kernels, const Scratch &scratch, const ViewRoom &room) noexcept {
  if (count == 0) return 0.0;
  // No cell is nearer than the highest is below a sensor.
  double least = sensors[0].pose.t.z;
  for (int s = 1; s < count; ++s) least = std::fmin(least, sensors[s].pose.t.z);
  least -= static_cast<double>(highest(map.height, g.size()));
  if (!may_be_blind(g, map.state, least, scratch.row)) return 0.0;
  const auto n = static_cast<std::size_t>(g.size());
  Cells cells{scratch.rows[0], scratch.rows[1],     scratch.rows[2],         scratch.low, scratch.high,
              scratch.numbers, scratch.numbers + n, scratch.numbers + 2 * n, scratch.at,  0};
  gather(g, map, cells);
  double nearest = 1e30;
  for (int s = 0; s < count; ++s) nearest = std::fmin(nearest, nearest_unseen(cells, sensors[s].pose.t));
  if (!may_be_blind(g, map.state, nearest, scratch.row)) return 0.0;
  for (int s = 0; s < count; ++s) mark_blind(cells, sensors[s], kernels, room);
  int blind = 0;
  for (int k = 0; k < cells.count; ++k) blind += cells.blind[k];
  return blind * (g.cell * g.cell);
}

}  // namespace volest
