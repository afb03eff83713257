/* What the command line tells. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdio.h>

typedef struct options {
  const char *truck, *sensor;  /* truck.volest, and the sensor's id in it */
  const char *pcap, *udp;      /* where packets come from: a capture, or ADDRESS:PORT */
  const char *ouster;          /* what beams.py wrote; else it is a Velodyne */
  const char *can_log, *can;   /* where weights come from: a candump log, or an interface */
  const char *weight;          /* which weight of the bus is read */
  const char *watchdog_device; /* /dev/watchdog, say */
  double port;                 /* in a capture; 0: any */
  double axles;                /* weights that make up the truck */
  double speed;                /* of a replay; 0: as fast as it goes */
  double turns;                /* of a load */
  double weigh_s;              /* how old a weight may be */
  double seconds;              /* how long to run; 0: until the capture ends, or a signal comes */
  double watchdog_s, memory_mb;
} options;

/* 1, or 0 with what is wrong and the usage on standard error. */
int options_read(options *o, int argc, char **argv);

#endif
