/* Formats and constants: VLP-16 User Manual 63-9243 Rev. D, chapter 9; VLP-32C User Manual 63-9325, chapter 9.
 */
#include <math.h>
#include <string.h>

#include "packets.h"

enum {
  PACKET = 1206,
  BLOCKS = 12,
  BLOCK = 100,
  LASERS = 32,
  TURN = 36000,
  DUAL = 0x39,
  VLP16 = 0x22,
  VLP32C = 0x28
};

#define LEAST_M 0.1f /* nearer returns come from the window */

/* Elevations [degrees] in the order of firing, and how much further left a laser looks [hundredths of a
 * degree]. */
static const double kRise16[16] = {-15, 1, -13, 3, -11, 5, -9, 7, -7, 9, -5, 11, -3, 13, -1, 15};
static const double kRise32[32] = {-25,    -1,    -1.667, -15.639, -11.31, 0,     -0.667, -8.843,
                                   -7.254, 0.333, -0.333, -6.148,  -5.333, 1.333, 0.667,  -4,
                                   -4.667, 1.667, 1,      -3.667,  -3.333, 3.333, 2.333,  -2.667,
                                   -3,     7,     4.667,  -2.333,  -2,     15,    10.333, -1.333};
static const int kAside32[32] = {140,  -420, 140,  -140, 140,  -140, 420,  -140, 140,  -420, 140,
                                 -140, 420,  -140, 420,  -140, 140,  -420, 140,  -420, 420,  -140,
                                 140,  -140, 140,  -140, 140,  -420, 420,  -140, 140,  -140};
static const double kFocus_m[2] = {0.04191, 0.0424}; /* where all beams would meet, before the axis */

/* When a laser fires within its block, as a part of the block: a firing takes 55.296 us, a step 2.304 us. */
static double part_of_block(int model, int laser) {
  if (model == 1) return (laser / 2) * 2.304 / 55.296;
  return ((laser / 16) * 55.296 + (laser % 16) * 2.304) / 110.592;
}

void velodyne_init(velodyne *v) {
  const double radian = acos(-1.0) / 180.0;
  memset(v, 0, sizeof *v);
  for (int i = 0; i < TURN; ++i) {
    v->cosine[i] = (float)cos(i * 0.01 * radian);
    v->sine[i] = (float)sin(i * 0.01 * radian);
  }
  for (int model = 0; model < 2; ++model)
    for (int i = 0; i < LASERS; ++i) {
      const double rise = radian * (model == 1 ? kRise32[i] : kRise16[i % 16]);
      v->rise_cosine[model][i] = (float)cos(rise);
      v->rise_sine[model][i] = (float)sin(rise);
      v->drop_m[model][i] = (float)(kFocus_m[model] * tan(rise));
    }
}

static uint32_t little16(const uint8_t *at) { return (uint32_t)at[1] << 8 | at[0]; }

static int is_sound(const uint8_t *bytes, size_t count) {
  if (count != PACKET || (bytes[1205] != VLP16 && bytes[1205] != VLP32C)) return 0;
  if (bytes[1204] < 0x37 || bytes[1204] > DUAL) return 0;
  for (int i = 0; i < BLOCKS; ++i)
    if (bytes[BLOCK * i] != 0xFF || bytes[BLOCK * i + 1] != 0xEE || little16(bytes + BLOCK * i + 2) >= TURN)
      return 0;
  return 1;
}

static void add(const velodyne *v, int model, int laser, uint32_t azimuth, float range_m, packet_points *out) {
  const float across = range_m * v->rise_cosine[model][laser];
  float *at = out->xyz + 3 * out->count;
  if (!(range_m >= LEAST_M)) return;
  at[0] = across * v->cosine[azimuth];
  at[1] = -across * v->sine[azimuth];
  at[2] = range_m * v->rise_sine[model][laser] - v->drop_m[model][laser];
  ++out->count;
}

/* A block, and in dual mode the one behind it, which looks the same way: what both tell is told once. */
static void read_block(const velodyne *v, int model, const uint8_t *block, int is_dual, double step,
                       packet_points *out) {
  const uint32_t azimuth = little16(block + 2);
  for (int laser = 0; laser < LASERS; ++laser) {
    const uint8_t *at = block + 4 + 3 * laser;
    const uint32_t last = little16(at), strongest = is_dual ? little16(at + BLOCK) : last;
    const double fired = floor(azimuth + step * part_of_block(model, laser) + 0.5);
    const uint32_t way = (uint32_t)((int)fired + (model == 1 ? kAside32[laser] : 0) + TURN) % TURN;
    const float unit_m = model == 1 ? 0.004f : 0.002f;
    add(v, model, laser, way, (float)strongest * unit_m, out);
    if (last != strongest) add(v, model, laser, way, (float)last * unit_m, out);
  }
}

int velodyne_read(velodyne *v, const uint8_t *bytes, size_t count, packet_points *out) {
  int is_dual, each, model;
  uint32_t first, last;
  double step;
  if (!is_sound(bytes, count)) return 0;
  is_dual = bytes[1204] == DUAL;
  each = is_dual ? 2 : 1;
  model = bytes[1205] == VLP32C;
  first = little16(bytes + 2);
  last = little16(bytes + BLOCK * (BLOCKS - each) + 2);
  step = (double)((last + TURN - first) % TURN) / (BLOCKS / each - 1);
  out->count = 0;
  for (int i = 0; i < BLOCKS; i += each) read_block(v, model, bytes + BLOCK * i, is_dual, step, out);
  out->starts_turn = !v->is_begun || v->turned == TURN;
  if (v->turned == TURN) v->turned = 0;
  if (v->is_begun) v->turned += (last + TURN - v->last_azimuth) % TURN;
  if (v->turned > TURN) v->turned = TURN;
  out->ends_turn = v->turned == TURN;
  v->is_begun = 1;
  v->last_azimuth = last;
  return 1;
}
