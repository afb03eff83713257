/* Sends the datagrams of a capture to a port of this machine, at its pace: play CAPTURE ADDRESS:PORT [SPEED
 * [PORT]] SPEED 0 is as fast as it goes; PORT is the one in the capture that is wanted. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>

#include "capture.h"
#include "clock.h"
#include "udp.h"

static capture source;

static int fail(const char *what, const char *why) {
  fprintf(stderr, "play: %s: %s\n", what, why);
  return 2;
}

static void sleep_s(double seconds) {
  struct timespec t;
  if (!(seconds > 0.0)) return;
  t.tv_sec = (time_t)seconds;
  t.tv_nsec = (long)(1e9 * (seconds - (double)t.tv_sec));
  nanosleep(&t, NULL);
}

int main(int argc, char **argv) {
  const double speed = argc > 3 ? atof(argv[3]) : 1.0, started_s = clock_s();
  double first_s = 0.0;
  datagram packet;
  unsigned long sent = 0;
  const char *why;
  int more, socket = udp_open("0.0.0.0:0");
  if (argc < 3 || socket < 0) return fail("usage", "play CAPTURE ADDRESS:PORT [SPEED [PORT]]");
  if ((why = capture_open(&source, argv[1], argc > 4 ? (uint16_t)atoi(argv[4]) : 0)) != NULL)
    return fail(argv[1], why);
  while ((more = capture_next(&source, &packet)) == 1) {
    if (sent == 0) first_s = packet.time_s;
    if (speed > 0.0) sleep_s((packet.time_s - first_s) / speed - (clock_s() - started_s));
    if (!udp_send(socket, argv[2], packet.bytes, packet.count)) return fail(argv[2], "cannot be sent to");
    ++sent;
  }
  printf("%lu\n", sent);
  return more == 0 ? 0 : fail(argv[1], "damaged");
}
