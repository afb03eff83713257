/* The gross mass of a truck out of the J1939 frames of its bus (SAE J1939-71). */
#ifndef WEIGHTS_H
#define WEIGHTS_H

#include "canbus.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Which weight is read; volest/data/j1939.dbc has the same. */
typedef enum weight_signal {
  WEIGHT_AXLES = 0,            /* PGN 65258: SPN 582 of each location SPN 928, summed when all have come */
  WEIGHT_POWERED_VEHICLE = 1,  /* PGN 65136: SPN 1585, the truck without a trailer */
  WEIGHT_GROSS_COMBINATION = 2 /* PGN 65136: SPN 1760, the truck with it */
} weight_signal;

typedef struct weights {
  weight_signal signal;
  unsigned locations; /* that have a weight each: axles, or tyres where the bus tells those */
  uint64_t
      refused; /* frames that are cut off, tell a code in place of a weight, or come from a second sender */
  int source;  /* the address of the first that told a weight; -1: nobody has */
  double speed_m_s, speed_time_s;
  int has_speed;
  unsigned come; /* locations of this round */
  uint8_t is_there[256];
  int is_gap; /* one of this round had no weight */
  double total_kg, begun_s;
} weights;

/* One reading of the scale, as volest_add_weight takes it. */
typedef struct weight {
  double time_s, kg; /* NaN: a round in which a weight was missing */
  uint32_t moving;
} weight;

/* `name`: "axles", "powered_vehicle", "gross_combination", or NULL for the first; 1, or 0 for no such weight.
 */
int weights_init(weights *w, const char *name, unsigned locations);

/* Takes a frame: 1 where it completes a reading. */
int weights_take(weights *w, const can_message *frame, weight *out);

#ifdef __cplusplus
}
#endif

#endif
