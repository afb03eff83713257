/* Datagrams as they come to a port. */
#ifndef UDP_H
#define UDP_H

#include <stddef.h>
#include <stdint.h>

/* A socket at "127.0.0.1:2368" that never waits, or -1. */
int udp_open(const char *place);

/* Sends a datagram to such a place: 1 or 0. */
int udp_send(int socket, const char *place, const uint8_t *bytes, size_t count);

/* The bytes of a datagram, cut off at `most`; 0 where there is none. */
size_t udp_receive(int socket, uint8_t *bytes, size_t most);

#endif
