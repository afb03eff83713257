/* Loads in a volest handle: turns of a sensor and weights in, packet by packet and reading by reading; an
 * estimate out as a line of JSON. */
#ifndef LOAD_H
#define LOAD_H

#include <volest/volest.h>

#include "packets.h"
#include "weights.h"

#define LOAD_MOST_BLOB (1u << 20)      /* of a truck.volest */
#define LOAD_MOST_WORKSPACE (4u << 20) /* of a handle: a bed of 20 m3 at 5 cm cells takes 3,966,592 bytes */
#define LOAD_MOST_LINE 4096

typedef struct load {
  volest_handle *handle;
  uint32_t sensor;
  unsigned wanted_turns, turns;         /* of a load; those that have ended */
  uint64_t turn, first_turn;            /* numbers of the running one and of the load's first, counted from 0 */
  int is_running, is_open;              /* a turn has begun; its scan is open in the handle */
  uint64_t points, refused;             /* of this load; calls that volest refused */
  double weigh_s;                       /* how old a reading may be */
  weight readings[VOLEST_MOST_WEIGHTS]; /* a ring: volest_clear forgets weights with the scans */
  size_t reading_count, next_reading;
  double worst_packet_s, worst_scan_s, worst_estimate_s; /* how long calls took at the most */
} load;

/* Reads a truck.volest and makes the handle in memory that is there from the start: NULL, or why not. */
const char *load_open(load *l, const char *path, const char *sensor);

/* Forgets the load, but for the weights that are not too old. */
void load_clear(load *l, double now_s);

void load_add_packet(load *l, const packet_points *packet);
void load_add_weight(load *l, const weight *reading);

/* Whether all turns that are wanted have come. */
int load_is_full(const load *l);

/* The estimate as a line of JSON in `line`; how many bytes it has. A turn that no other went before is ended
 * first, however little of it came. */
size_t load_estimate(load *l, double time_s, char line[LOAD_MOST_LINE]);

#endif
