#include "weights.h"

#include <math.h>
#include <string.h>

enum { VEHICLE_WEIGHT = 65258, COMBINATION_WEIGHT = 65136, SPEED = 65265, NO_AXLE = 0xF0 };

#define REST_M_S 0.2 /* faster is moving, as in docs/weights.md */
#define HELD_S 5.0   /* as long a speed counts for the present one */
#define LONGEST_ROUND_S 30.0

int weights_init(weights *w, const char *name, unsigned locations) {
  static const char *const kNames[] = {"axles", "powered_vehicle", "gross_combination"};
  int signal = 0;
  while (name != NULL && signal < 3 && strcmp(name, kNames[signal]) != 0) ++signal;
  memset(w, 0, sizeof *w);
  w->signal = (weight_signal)(signal % 3);
  w->locations = locations;
  w->source = -1;
  return signal < 3;
}

/* The parameter group of an identifier, without priority, addresses and destination (SAE J1939-21). */
static uint32_t group_of(uint32_t identifier) {
  const uint32_t group = identifier >> 8 & 0x3FFFFu;
  return (group >> 8 & 0xFFu) >= 0xF0u ? group : group & 0x3FF00u;
}

/* Two bytes as a value; NaN where a code stands in its place. */
static double value(const uint8_t *at, double unit) {
  return at[1] > 0xFA ? (double)NAN : (at[1] * 256 + at[0]) * unit;
}

static uint32_t is_moving(const weights *w, double time_s) {
  return w->has_speed && fabs(time_s - w->speed_time_s) <= HELD_S && w->speed_m_s > REST_M_S;
}

static int tell(const weights *w, double time_s, double kg, weight *out) {
  out->time_s = time_s;
  out->kg = kg;
  out->moving = is_moving(w, time_s);
  return 1;
}

static void begin_round(weights *w, double time_s) {
  memset(w->is_there, 0, sizeof w->is_there);
  w->come = 0;
  w->is_gap = 0;
  w->total_kg = 0.0;
  w->begun_s = time_s;
}

/* A location that comes again before all have come begins a new round: the one that lacks a weight is a gap,
 * and no lighter truck. */
static int take_axle(weights *w, double time_s, uint8_t location, double kg, weight *out) {
  int ended = 0;
  if (w->come == w->locations) begin_round(w, time_s);
  if (w->is_there[location] || (w->come > 0 && !(fabs(time_s - w->begun_s) <= LONGEST_ROUND_S))) {
    ended = tell(w, time_s, (double)NAN, out);
    begin_round(w, time_s);
  }
  if (w->come == 0) w->begun_s = time_s;
  w->is_there[location] = 1;
  w->is_gap |= isnan(kg);
  w->total_kg += kg;
  if (++w->come < w->locations) return ended;
  return tell(w, time_s, w->is_gap ? (double)NAN : w->total_kg, out);
}

static int take_weight(weights *w, const can_message *frame, weight *out) {
  const int source = (int)(frame->identifier & 0xFFu);
  double kg;
  if (w->source < 0) w->source = source;
  if (source != w->source) return ++w->refused, 0;
  if (w->signal == WEIGHT_AXLES) {
    if (frame->bytes[0] >= NO_AXLE) return ++w->refused, 0;
    kg = value(frame->bytes + 1, 0.5);
    w->refused += isnan(kg) ? 1u : 0u;
    return take_axle(w, frame->time_s, frame->bytes[0], kg, out);
  }
  kg = value(frame->bytes + (w->signal == WEIGHT_POWERED_VEHICLE ? 0 : 2), 10.0);
  w->refused += isnan(kg) ? 1u : 0u;
  return tell(w, frame->time_s, kg, out);
}

int weights_take(weights *w, const can_message *frame, weight *out) {
  const uint32_t group = group_of(frame->identifier),
                 wanted = w->signal == WEIGHT_AXLES ? VEHICLE_WEIGHT : COMBINATION_WEIGHT;
  if (!frame->is_extended || (group != wanted && group != SPEED)) return 0;
  if (frame->count < 8) return ++w->refused, 0;
  if (group == SPEED) {
    const double speed_km_h = value(frame->bytes + 1, 1.0 / 256.0);
    if (isnan(speed_km_h)) return 0;
    w->has_speed = 1;
    w->speed_m_s = speed_km_h / 3.6;
    w->speed_time_s = frame->time_s;
    return 0;
  }
  return take_weight(w, frame, out);
}
