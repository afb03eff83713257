#define _POSIX_C_SOURCE 200809L
#include "load.h"

#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

/* All the memory that volest gets. */
static union {
  uint64_t alignment;
  unsigned char bytes[LOAD_MOST_BLOB];
} blob;
static unsigned char workspace[LOAD_MOST_WORKSPACE + VOLEST_ALIGNMENT];

static void took(double since_s, double *worst_s) {
  const double s = clock_s() - since_s;
  if (s > *worst_s) *worst_s = s;
}

static void check(load *l, volest_status status) { l->refused += status != VOLEST_OK; }

static size_t read_blob(const char *path) {
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  size_t count = 0;
  ssize_t got = 1;
  if (file < 0) return 0;
  while (count < sizeof blob.bytes && (got = read(file, blob.bytes + count, sizeof blob.bytes - count)) > 0)
    count += (size_t)got;
  close(file);
  return got < 0 ? 0 : count;
}

const char *load_open(load *l, const char *path, const char *sensor) {
  const size_t count = read_blob(path);
  const size_t off = (VOLEST_ALIGNMENT - (uintptr_t)workspace % VOLEST_ALIGNMENT) % VOLEST_ALIGNMENT;
  size_t bytes = 0;
  volest_status status;
  if (count == 0) return "cannot be read";
  status = volest_required_bytes(blob.bytes, count, NULL, &bytes);
  if (status != VOLEST_OK) return volest_status_text((int)status);
  if (bytes > LOAD_MOST_WORKSPACE) return "the bed takes more memory than there is: LOAD_MOST_WORKSPACE";
  memset(workspace, 0, sizeof workspace); /* so that each page is there */
  status = volest_create(workspace + off, bytes, blob.bytes, count, NULL, &l->handle);
  if (status == VOLEST_OK) status = volest_find_sensor(l->handle, sensor, &l->sensor);
  return status == VOLEST_OK ? NULL : volest_status_text((int)status);
}

void load_clear(load *l, double time_s) {
  check(l, volest_clear(l->handle));
  l->turns = 0;
  l->points = 0;
  l->is_open = 0; /* the rest of a turn that runs is passed over */
  for (size_t i = l->reading_count; i > 0; --i) {
    const weight *w = l->readings + (l->next_reading + VOLEST_MOST_WEIGHTS - i) % VOLEST_MOST_WEIGHTS;
    if (fabs(time_s - w->time_s) <= l->weigh_s)
      check(l, volest_add_weight(l->handle, w->time_s, w->kg, w->moving));
  }
}

void load_add_weight(load *l, const weight *reading) {
  l->readings[l->next_reading] = *reading;
  l->next_reading = (l->next_reading + 1) % VOLEST_MOST_WEIGHTS;
  if (l->reading_count < VOLEST_MOST_WEIGHTS) ++l->reading_count;
  check(l, volest_add_weight(l->handle, reading->time_s, reading->kg, reading->moving));
}

int load_is_full(const load *l) { return l->turns >= l->wanted_turns; }

static void end_scan(load *l) {
  const double since_s = clock_s();
  if (!l->is_open) return;
  check(l, volest_scan_end(l->handle));
  took(since_s, &l->worst_scan_s);
  l->is_open = 0;
  ++l->turns;
}

static void begin_scan(load *l) {
  if (load_is_full(l)) return;
  if (l->turns == 0) l->first_turn = l->turn;
  check(l, volest_scan_begin(l->handle, l->sensor));
  l->is_open = 1;
}

void load_add_packet(load *l, const packet_points *packet) {
  const double since_s = clock_s();
  if (packet->starts_turn) {
    end_scan(l);
    l->turn += l->is_running ? 1u : 0u;
    l->is_running = 1;
    begin_scan(l);
  }
  if (!l->is_open) return;
  check(l, volest_add_xyz(l->handle, packet->xyz, packet->count, 3 * sizeof *packet->xyz));
  l->points += packet->count;
  if (!packet->starts_turn) took(since_s, &l->worst_packet_s);
  if (packet->ends_turn) end_scan(l);
}

/* --- a line of JSON --- */

typedef struct text {
  char *at;
  size_t used;
} text;

static void put(text *t, const char *format, ...) {
  va_list arguments;
  int n;
  va_start(arguments, format);
  n = vsnprintf(t->at + t->used, LOAD_MOST_LINE - t->used, format, arguments);
  va_end(arguments);
  if (n > 0) t->used += (size_t)n;
  if (t->used >= LOAD_MOST_LINE) t->used = LOAD_MOST_LINE - 1;
}

static void put_number(text *t, const char *before, double number) {
  if (isfinite(number))
    put(t, "%s%.17g", before, number);
  else
    put(t, "%snull", before);
}

static void put_quantity(text *t, const char *name, const volest_quantity *q, int is_known) {
  put(t, ",\"%s\":", name);
  if (!is_known) {
    put(t, "null");
    return;
  }
  put_number(t, "{\"value\":", q->value);
  put_number(t, ",\"std\":", q->std);
  put_number(t, ",\"lower95\":", q->lower95);
  put_number(t, ",\"upper95\":", q->upper95);
  put(t, "}");
}

static void put_flags(text *t, uint32_t flags) {
  const char *before = "";
  put(t, ",\"flags\":[");
  for (unsigned k = 0; k < 32; ++k) {
    if ((flags >> k & 1u) == 0) continue;
    put(t, "%s\"%s\"", before, volest_flag_name((uint32_t)1 << k));
    before = ",";
  }
  put(t, "]");
}

static size_t put_result(const load *l, const volest_result *r, double time_s, char *line) {
  static const char *const kStatus[] = {"ok", "degraded", "rejected"};
  static const char *const kClass[] = {"null", "\"dry\"", "\"mixed\"", "\"wet\""};
  text t = {line, 0};
  put(&t, "{\"time_s\":%.3f,\"turn\":%llu,\"turns\":%u,\"points\":%llu,\"status\":\"%s\"", time_s,
      (unsigned long long)l->first_turn, l->turns, (unsigned long long)l->points, kStatus[r->status % 3]);
  put_flags(&t, r->flags);
  put(&t, ",\"unchecked\":%u", (unsigned)r->unchecked);
  put_quantity(&t, "volume_m3", &r->volume_m3, (r->has & VOLEST_HAS_VOLUME) != 0);
  put_quantity(&t, "net_mass_kg", &r->net_mass_kg, (r->has & VOLEST_HAS_MASS) != 0);
  put_quantity(&t, "bulk_density_kg_m3", &r->bulk_density_kg_m3, (r->has & VOLEST_HAS_DENSITY) != 0);
  put_quantity(&t, "wet_mass_fraction", &r->wet_mass_fraction, (r->has & VOLEST_HAS_WETNESS) != 0);
  put(&t, ",\"waste_class\":%s}\n", kClass[r->waste_class % 4]);
  return t.used;
}

size_t load_estimate(load *l, double time_s, char line[LOAD_MOST_LINE]) {
  volest_result result;
  double since_s;
  if (l->turns == 0) end_scan(l);
  memset(&result, 0, sizeof result);
  result.size = sizeof result;
  since_s = clock_s();
  check(l, volest_estimate(l->handle, &result));
  took(since_s, &l->worst_estimate_s);
  return put_result(l, &result, time_s, line);
}
