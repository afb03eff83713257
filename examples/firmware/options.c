#include "options.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct option {
  const char *name;
  size_t at; /* in options */
  int is_number;
  double least, most, usual;
  const char *what;
} option;

#define TEXT(name, field, what) {name, offsetof(options, field), 0, 0.0, 0.0, 0.0, what}
#define NUMBER(name, field, least, most, usual, what) \
  {name, offsetof(options, field), 1, least, most, usual, what}

static const option kOptions[] = {
    TEXT("--pcap", pcap, "capture of the sensor's packets"),
    TEXT("--udp", udp, "ADDRESS:PORT that the sensor sends to"),
    TEXT("--ouster", ouster, "what beams.py wrote of an Ouster; else a Velodyne VLP-16 or VLP-32C"),
    TEXT("--can-log", can_log, "log of candump -l"),
    TEXT("--can", can, "interface of SocketCAN"),
    TEXT("--watchdog-device", watchdog_device, "watchdog of the kernel that is fed, too"),
    NUMBER("--port", port, 0.0, 65535.0, 0.0, "port of the packets in the capture; 0: any"),
    NUMBER("--axles", axles, 1.0, 240.0, 2.0, "how many weights make up the truck"),
    TEXT("--weight", weight, "axles (so it is untold), powered_vehicle or gross_combination, of J1939"),
    NUMBER("--speed", speed, 0.0, 1e6, 1.0, "of a replay; 0: as fast as it goes"),
    NUMBER("--turns", turns, 1.0, 64.0, 1.0, "turns of the sensor a load"),
    NUMBER("--weigh-s", weigh_s, 0.0, 1e6, 30.0, "how old a weight may be, s"),
    NUMBER("--seconds", seconds, 0.0, 1e9, 0.0, "how long to run, s; 0: to the capture's end, or a signal"),
    NUMBER("--watchdog-s", watchdog_s, 0.1, 3600.0, 2.0, "how soon the loop must come round, s"),
    NUMBER("--memory-mb", memory_mb, 0.0, 4096.0, 16.0,
           "address space that the process may have, MB; 0: not bounded"),
};
enum { COUNT = sizeof kOptions / sizeof *kOptions };

static int fail(const char *what, const char *why) {
  fprintf(stderr, "firmware: %s: %s\nfirmware TRUCK.volest SENSOR [OPTION VALUE]...\n", what, why);
  for (int i = 0; i < COUNT; ++i) fprintf(stderr, "  %-18s %s\n", kOptions[i].name, kOptions[i].what);
  return 0;
}

static int set(options *o, const option *known, const char *value) {
  unsigned char *at = (unsigned char *)o + known->at;
  char *end;
  double number;
  if (!known->is_number) {
    memcpy(at, &value, sizeof value);
    return 1;
  }
  number = strtod(value, &end);
  if (end == value || *end != '\0' || !(number >= known->least && number <= known->most)) return 0;
  memcpy(at, &number, sizeof number);
  return 1;
}

int options_read(options *o, int argc, char **argv) {
  memset(o, 0, sizeof *o);
  for (int i = 0; i < COUNT; ++i)
    if (kOptions[i].is_number) memcpy((unsigned char *)o + kOptions[i].at, &kOptions[i].usual, sizeof(double));
  if (argc < 3) return fail("usage", "a truck and a sensor are missing");
  o->truck = argv[1];
  o->sensor = argv[2];
  for (int i = 3; i < argc; i += 2) {
    const option *known = NULL;
    for (int k = 0; k < COUNT; ++k)
      if (strcmp(argv[i], kOptions[k].name) == 0) known = kOptions + k;
    if (known == NULL) return fail(argv[i], "no such option");
    if (i + 1 == argc || !set(o, known, argv[i + 1]))
      return fail(argv[i], "its value is missing or out of range");
  }
  if ((o->pcap == NULL) == (o->udp == NULL)) return fail("--pcap, --udp", "one of them is expected");
  if (o->can_log != NULL && o->can != NULL) return fail("--can-log, --can", "one of them is expected at most");
  return 1;
}
