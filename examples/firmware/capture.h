/* UDP datagrams out of a capture of packets (pcap). Nothing of the file is trusted; memory is that of the
 * struct. */
#ifndef CAPTURE_H
#define CAPTURE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CAPTURE_MOST_BYTES 65536 /* of a record, and of a datagram in fragments */

typedef struct datagram {
  double time_s; /* since 1970, as it was recorded */
  const uint8_t *bytes;
  size_t count;
} datagram;

typedef struct capture {
  int file;
  int is_swapped, is_nano; /* byte order and unit of time of the machine that recorded */
  uint32_t link;           /* what is under IP, by the link types of tcpdump.org */
  uint16_t port;           /* the destination port that is wanted; 0: any */
  uint64_t refused;        /* frames that are no whole UDP over IPv4 */
  size_t filled, taken;    /* of the read buffer */
  uint32_t source;         /* of the datagram that is put together */
  uint16_t id;
  size_t joined; /* bytes of it that came, in order; 0: none */
  uint8_t buffer[CAPTURE_MOST_BYTES], record[CAPTURE_MOST_BYTES], whole[CAPTURE_MOST_BYTES];
} capture;

/* Opens a capture: NULL, or why not. */
const char *capture_open(capture *c, const char *path, uint16_t port);

/* The next datagram, whose bytes stay until the next call: 1; 0 at the end of the file; -1 where it is damaged.
 */
int capture_next(capture *c, datagram *out);

#ifdef __cplusplus
}
#endif

#endif
