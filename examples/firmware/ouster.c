/* Formats and geometry: Ouster Sensor Documentation, "Lidar Data Format" and "Coordinate Frames". */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "packets.h"

typedef struct profile {
  const char *name;
  uint32_t header, column_header, pixel, column_footer, footer; /* bytes */
  uint32_t range_mask, mm_per_range;
} profile;

static const profile kProfiles[] = {
    {"LEGACY", 0, 16, 12, 4, 0, 0xFFFFF, 1},
    {"RNG19_RFL8_SIG16_NIR16", 32, 12, 12, 0, 32, 0x7FFFF, 1},
    {"RNG15_RFL8_NIR8", 32, 12, 4, 0, 32, 0x7FFF, 8},
};

static uint32_t little16(const uint8_t *at) { return (uint32_t)at[1] << 8 | at[0]; }

static uint32_t little32(const uint8_t *at) { return little16(at + 2) << 16 | little16(at); }

/* --- the sensor's description --- */

/* The text behind a word at the start of a line, NULL where the line begins otherwise. */
static const char *after(const char *line, const char *word) {
  const size_t n = strlen(word);
  return strncmp(line, word, n) == 0 && line[n] == ' ' ? line + n + 1 : NULL;
}

/* Just so many numbers up to the end of the line, none beyond `most`: 1 or 0. */
static int numbers(const char *at, size_t count, double most, double *out) {
  for (size_t i = 0; i < count; ++i) {
    char *end;
    if (*at == '\n' || *at == '\0') return 0;
    out[i] = strtod(at, &end);
    if (end == at || !(fabs(out[i]) <= most)) return 0;
    at = end;
  }
  return *at == '\n' || *at == '\0';
}

static int whole(const char *at, uint32_t least, uint32_t most, uint32_t *out) {
  double number;
  if (!numbers(at, 1, most, &number) || number < least || number != floor(number)) return 0;
  *out = (uint32_t)number;
  return 1;
}

static int set_profile(ouster *o, const char *name) {
  for (size_t i = 0; i < sizeof kProfiles / sizeof *kProfiles; ++i) {
    const profile *p = kProfiles + i;
    const size_t n = strlen(p->name);
    if (strncmp(name, p->name, n) != 0 || (name[n] != '\n' && name[n] != '\0')) continue;
    o->header = p->header;
    o->column_header = p->column_header;
    o->pixel = p->pixel;
    o->column_footer = p->column_footer;
    o->footer = p->footer;
    o->range_mask = p->range_mask;
    o->mm_per_range = p->mm_per_range;
    return 1;
  }
  return 0;
}

static int add_beam(ouster *o, const char *at) {
  const double radian = acos(-1.0) / 180.0;
  double angles[2];
  if (o->beams == OUSTER_MOST_BEAMS || !numbers(at, 2, 360.0, angles)) return 0;
  o->rise_cosine[o->beams] = cos(angles[0] * radian);
  o->rise_sine[o->beams] = sin(angles[0] * radian);
  o->aside_cosine[o->beams] = cos(-angles[1] * radian);
  o->aside_sine[o->beams] = sin(-angles[1] * radian);
  ++o->beams;
  return 1;
}

static int take_line(ouster *o, const char *line) {
  const char *at;
  if ((at = after(line, "profile")) != NULL) return set_profile(o, at);
  if ((at = after(line, "columns")) != NULL) return whole(at, 1, OUSTER_MOST_COLUMNS, &o->columns);
  if ((at = after(line, "columns_per_packet")) != NULL) return whole(at, 1, 64, &o->columns_per_packet);
  if ((at = after(line, "first_column")) != NULL)
    return whole(at, 0, OUSTER_MOST_COLUMNS - 1, &o->first_column);
  if ((at = after(line, "arm_mm")) != NULL) return numbers(at, 2, 1000.0, o->arm_mm);
  if ((at = after(line, "to_sensor_mm")) != NULL) return numbers(at, 12, 1000.0, o->to_sensor);
  if ((at = after(line, "beam_deg")) != NULL) return add_beam(o, at);
  return line[0] == '#' || line[0] == '\n';
}

const char *ouster_init(ouster *o, const char *text) {
  memset(o, 0, sizeof *o);
  for (const char *line = text; *line != '\0';) {
    const char *end = strchr(line, '\n');
    if (!take_line(o, line)) return "a line that is not as beams.py writes it";
    if (end == NULL) break;
    line = end + 1;
  }
  if (o->pixel == 0 || o->columns == 0 || o->columns_per_packet == 0 || o->beams == 0 || o->to_sensor[0] == 0.0)
    return "a line is missing: profile, columns, columns_per_packet, to_sensor_mm or beam_deg";
  if (o->first_column >= o->columns) return "first_column is beyond the last";
  if (o->beams * o->columns_per_packet > PACKET_MOST_POINTS)
    return "more points a packet than there is room for";
  return NULL;
}

/* --- a packet --- */

static void read_column(const ouster *o, const uint8_t *column, uint32_t number, packet_points *out) {
  const double encoder = 2.0 * acos(-1.0) * (1.0 - (double)number / (double)o->columns);
  const double cosine = cos(encoder), sine = sin(encoder), *m = o->to_sensor;
  const double arm = sqrt(o->arm_mm[0] * o->arm_mm[0] + o->arm_mm[1] * o->arm_mm[1]);
  for (uint32_t beam = 0; beam < o->beams; ++beam) {
    const uint8_t *at = column + o->column_header + o->pixel * beam;
    const uint32_t word = o->pixel == 4 ? little16(at) : little32(at);
    const uint32_t range_mm = (word & o->range_mask) * o->mm_per_range;
    const double across = (range_mm - arm) * o->rise_cosine[beam];
    const double along = cosine * o->aside_cosine[beam] - sine * o->aside_sine[beam];
    const double aside = sine * o->aside_cosine[beam] + cosine * o->aside_sine[beam];
    const double x = across * along + o->arm_mm[0] * cosine, y = across * aside + o->arm_mm[0] * sine;
    const double z = (range_mm - arm) * o->rise_sine[beam] + o->arm_mm[1];
    float *xyz = out->xyz + 3 * out->count;
    if (range_mm == 0) continue;
    for (int i = 0; i < 3; ++i)
      xyz[i] = (float)(1e-3 * (m[4 * i] * x + m[4 * i + 1] * y + m[4 * i + 2] * z + m[4 * i + 3]));
    ++out->count;
  }
}

int ouster_read(ouster *o, const uint8_t *bytes, size_t count, packet_points *out) {
  const uint32_t column_bytes = o->column_header + o->pixel * o->beams + o->column_footer;
  const uint8_t *columns;
  uint32_t turn, first;
  int is_new;
  if (count != o->header + (size_t)column_bytes * o->columns_per_packet + o->footer) return 0;
  columns = bytes + o->header;
  for (uint32_t i = 0; i < o->columns_per_packet; ++i)
    if (little16(columns + column_bytes * i + 8) >= o->columns) return 0;
  turn = o->header == 0 ? little16(columns + 10) : little16(bytes + 2);
  first = little16(columns + 8);
  is_new = !o->is_begun || turn != o->turn;
  if (is_new) o->is_whole = o->is_begun || first <= o->first_column;
  o->is_begun = 1;
  o->turn = turn;
  out->count = 0;
  out->ends_turn = 0;
  out->starts_turn = is_new && o->is_whole;
  for (uint32_t i = 0; i < o->columns_per_packet && o->is_whole; ++i) {
    const uint8_t *column = columns + column_bytes * i;
    const int is_sound = o->column_footer != 0 ? little32(column + column_bytes - 4) == 0xFFFFFFFFu
                                               : (little16(column + 10) & 1u) != 0;
    if (is_sound) read_column(o, column, little16(column + 8), out);
  }
  return 1;
}
