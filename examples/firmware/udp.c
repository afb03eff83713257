#define _DEFAULT_SOURCE
#include "udp.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  KERNEL_BYTES = 1 << 20
}; /* that wait in the kernel while an estimate is made: half a second of packets */

static int parse(const char *place, struct sockaddr_in *out) {
  char host[64], *end;
  const char *colon = strrchr(place, ':');
  long port;
  if (colon == NULL || (size_t)(colon - place) >= sizeof host) return 0;
  memcpy(host, place, (size_t)(colon - place));
  host[colon - place] = '\0';
  port = strtol(colon + 1, &end, 10);
  if (end == colon + 1 || *end != '\0' || port < 0 || port > 65535) return 0;
  memset(out, 0, sizeof *out);
  out->sin_family = AF_INET;
  out->sin_port = htons((uint16_t)port);
  return inet_pton(AF_INET, host, &out->sin_addr) == 1;
}

int udp_open(const char *place) {
  struct sockaddr_in address;
  const int bytes = KERNEL_BYTES;
  int s;
  if (!parse(place, &address)) return -1;
  s = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (s < 0) return -1;
  setsockopt(s, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  if (bind(s, (const struct sockaddr *)&address, sizeof address) == 0) return s;
  close(s);
  return -1;
}

int udp_send(int s, const char *place, const uint8_t *bytes, size_t count) {
  struct sockaddr_in address;
  return parse(place, &address) &&
         sendto(s, bytes, count, 0, (const struct sockaddr *)&address, sizeof address) == (ssize_t)count;
}

size_t udp_receive(int s, uint8_t *bytes, size_t most) {
  const ssize_t got = recv(s, bytes, most, MSG_TRUNC);
  return got < 0 ? 0 : (size_t)got > most ? most : (size_t)got;
}
