/* The points of a capture, turn by turn, as the firmware has them: points CAPTURE PORT [SENSOR.beams] >
 * turns.bin For each turn its number of points (uint64_t) and x y z of each [m] (float). Without a .beams it is
 * a Velodyne's. */
#include <stdio.h>
#include <stdlib.h>

#include "capture.h"
#include "packets.h"

#define MOST_POINTS 1000000 /* of a turn */

static capture source;
static velodyne puck;
static ouster sensor;
static packet_points found;
static float turn[3 * MOST_POINTS];
static char text[65536];

static int fail(const char *what, const char *why) {
  fprintf(stderr, "points: %s: %s\n", what, why);
  return 2;
}

static void put(size_t *count) {
  const uint64_t told = *count;
  if (*count == 0) return;
  fwrite(&told, sizeof told, 1, stdout);
  fwrite(turn, 3 * sizeof *turn, *count, stdout);
  *count = 0;
}

static int play(int is_ouster) {
  datagram packet;
  size_t count = 0;
  int more;
  while ((more = capture_next(&source, &packet)) == 1) {
    if (!(is_ouster ? ouster_read(&sensor, packet.bytes, packet.count, &found)
                    : velodyne_read(&puck, packet.bytes, packet.count, &found)))
      continue;
    if (found.starts_turn) put(&count);
    for (size_t i = 0; i < 3 * found.count && count + found.count <= MOST_POINTS; ++i)
      turn[3 * count + i] = found.xyz[i];
    if (count + found.count <= MOST_POINTS) count += found.count;
    if (found.ends_turn) put(&count);
  }
  put(&count);
  return more;
}

int main(int argc, char **argv) {
  const char *why;
  FILE *file;
  if (argc < 3) return fail("usage", "points CAPTURE PORT [SENSOR.beams]");
  if ((why = capture_open(&source, argv[1], (uint16_t)atoi(argv[2]))) != NULL) return fail(argv[1], why);
  velodyne_init(&puck);
  if (argc > 3) {
    if ((file = fopen(argv[3], "r")) == NULL) return fail(argv[3], "cannot be opened");
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    if ((why = ouster_init(&sensor, text)) != NULL) return fail(argv[3], why);
  }
  return play(argc > 3) == 0 ? 0 : fail(argv[1], "damaged");
}
