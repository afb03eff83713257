/* Packets of spinning lidars to points in the sensor's frame (x y z in m, as volest_add_xyz takes them).
 *
 * Velodyne VLP-16 and VLP-32C in all return modes; Ouster in the profiles LEGACY, RNG19_RFL8_SIG16_NIR16 and
 * RNG15_RFL8_NIR8. A packet is refused whole or taken whole, whatever is in it. */
#ifndef PACKETS_H
#define PACKETS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PACKET_MOST_POINTS 4096
#define OUSTER_MOST_BEAMS 128
#define OUSTER_MOST_COLUMNS 4096

/* What one packet says. */
typedef struct packet_points {
  int starts_turn; /* these points are the first of a turn */
  int ends_turn;   /* they are its last */
  size_t count;
  float xyz[3 * PACKET_MOST_POINTS];
} packet_points;

typedef struct velodyne {
  float cosine[36000], sine[36000];                          /* by hundredths of a degree */
  float rise_cosine[2][32], rise_sine[2][32], drop_m[2][32]; /* VLP-16, VLP-32C */
  uint32_t last_azimuth, turned; /* hundredths of a degree; 36000: the turn has ended */
  int is_begun;
} velodyne;

typedef struct ouster {
  uint32_t beams, columns, columns_per_packet, first_column;    /* of a turn; the first that is not masked */
  uint32_t header, column_header, pixel, column_footer, footer; /* bytes, by the profile */
  uint32_t range_mask, mm_per_range;
  double arm_mm[2];     /* from the lidar's origin to where beams begin: outwards, up */
  double to_sensor[12]; /* rows of rotation and shift [mm] */
  double rise_cosine[OUSTER_MOST_BEAMS], rise_sine[OUSTER_MOST_BEAMS];
  double aside_cosine[OUSTER_MOST_BEAMS], aside_sine[OUSTER_MOST_BEAMS];
  uint32_t turn; /* the sensor's own number of it */
  int is_begun, is_whole;
} ouster;

void velodyne_init(velodyne *v);

/* 1, or 0 for what is no data packet of these sensors. */
int velodyne_read(velodyne *v, const uint8_t *bytes, size_t count, packet_points *out);

/* Takes what `beams.py` writes of a sensor's metadata; NULL, or what is wrong in it. */
const char *ouster_init(ouster *o, const char *text);

/* 1, or 0 for a packet of another length than the sensor's, or with columns that it does not have. Of a turn
 * that was running when the first packet came there are no points. */
int ouster_read(ouster *o, const uint8_t *bytes, size_t count, packet_points *out);

#ifdef __cplusplus
}
#endif

#endif
