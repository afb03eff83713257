/* A truck's computer: plays a lidar and a CAN bus, live or recorded, and prints each second how much is in the
 * bed. */
#define _DEFAULT_SOURCE
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "budget.h"
#include "canbus.h"
#include "capture.h"
#include "clock.h"
#include "load.h"
#include "options.h"
#include "udp.h"
#include "watchdog.h"

#define PERIOD_S 1.0 /* from one estimate to the next */
#define GRACE_S 0.5  /* how long a load that is not full is waited for */
#define MOST_SLEEP_S 0.05
#define MOST_AT_ONCE 64 /* datagrams before the rest of the loop has its turn */
#define MOST_BEAMS_TEXT 65536

enum { OK = 0, UNFORESEEN = 1, USAGE = 2 };

static options told;
static capture source;
static int udp_socket = -1, can_socket = -1, has_log;
static can_log bus;
static velodyne puck;
static ouster sensor;
static weights scale;
static load bed;
static packet_points points;
static uint8_t received[CAPTURE_MOST_BYTES];
static datagram packet;     /* the capture's next */
static can_message message; /* the log's next */
static int has_packet, has_message, is_damaged;
static double origin_s, started_s, shift_s, next_report_s, worst_loop_s;
static unsigned long long packets, packets_refused, messages, reports;
static volatile sig_atomic_t is_stopped;

static void on_stop(int number) { is_stopped = number; }

static int fail(int status, const char *what, const char *why) {
  fprintf(stderr, "firmware: %s: %s\n", what, why);
  return status;
}

/* Whole, whatever a pipe takes at once; a reader that is gone ends the work. */
static void print(const char *line, size_t count) {
  for (size_t done = 0; done < count;) {
    const ssize_t n = write(STDOUT_FILENO, line + done, count - done);
    if (n <= 0) {
      is_stopped = 1;
      return;
    }
    done += (size_t)n;
  }
}

/* --- start --- */

static int open_sensor(void) {
  static char text[MOST_BEAMS_TEXT];
  const char *why;
  ssize_t got;
  int file;
  velodyne_init(&puck);
  if (told.ouster == NULL) return OK;
  if ((file = open(told.ouster, O_RDONLY | O_CLOEXEC)) < 0) return fail(USAGE, told.ouster, "cannot be opened");
  got = read(file, text, sizeof text - 1);
  close(file);
  text[got < 0 ? 0 : got] = '\0';
  why = ouster_init(&sensor, text);
  return why == NULL ? OK : fail(USAGE, told.ouster, why);
}

static int open_sources(void) {
  const char *why;
  if (told.pcap != NULL && (why = capture_open(&source, told.pcap, (uint16_t)told.port)) != NULL)
    return fail(USAGE, told.pcap, why);
  if (told.udp != NULL && (udp_socket = udp_open(told.udp)) < 0)
    return fail(USAGE, told.udp, "no port to listen at");
  has_log = told.can_log != NULL;
  if (has_log && !can_log_open(&bus, told.can_log)) return fail(USAGE, told.can_log, "cannot be opened");
  if (told.can != NULL && (can_socket = can_open(told.can)) < 0)
    return fail(USAGE, told.can, "no CAN interface");
  return OK;
}

static void next_packet(void) {
  const int more = told.pcap == NULL ? 0 : capture_next(&source, &packet);
  has_packet = more == 1;
  is_damaged |= more < 0;
}

static void next_message(void) {
  has_message = has_log && can_log_next(&bus, &message);
  message.time_s += shift_s;
}

/* Sources are asked for the first time, so that the clock can be set to them. */
static void set_clock(void) {
  next_packet();
  next_message();
  origin_s = has_packet ? packet.time_s : 0.0;
  if (told.udp != NULL && has_message) { /* a log beside a live sensor begins now */
    shift_s = -message.time_s;
    message.time_s = 0.0;
  }
  started_s = clock_s();
  next_report_s = origin_s + PERIOD_S;
}

/* --- the loop --- */

/* The time of the recording, or since the start. */
static double now(void) {
  if (told.pcap == NULL) return clock_s() - started_s;
  if (told.speed > 0.0) return origin_s + (clock_s() - started_s) * told.speed;
  return has_packet ? packet.time_s : (double)INFINITY;
}

static void take_packet(const uint8_t *bytes, size_t count) {
  const int is_sound = told.ouster != NULL ? ouster_read(&sensor, bytes, count, &points)
                                           : velodyne_read(&puck, bytes, count, &points);
  ++packets;
  if (is_sound)
    load_add_packet(&bed, &points);
  else
    ++packets_refused;
}

static void take_message(const can_message *m) {
  weight reading;
  ++messages;
  if (weights_take(&scale, m, &reading)) load_add_weight(&bed, &reading);
}

static void report(double time_s) {
  static char line[LOAD_MOST_LINE];
  print(line, load_estimate(&bed, time_s, line));
  ++reports;
  load_clear(&bed, time_s);
}

static void report_if_due(double time_s) {
  if (time_s < next_report_s + (load_is_full(&bed) ? 0.0 : GRACE_S)) return;
  report(time_s);
  next_report_s += PERIOD_S;
  if (next_report_s <= time_s) next_report_s = time_s + PERIOD_S; /* the sources paused */
}

/* What is due of capture and log, the earlier first: 1 where there was something. */
static int play_recorded(double time_s) {
  const int is_message =
      has_message && message.time_s <= time_s && (!has_packet || message.time_s <= packet.time_s);
  if (is_message) {
    take_message(&message);
    next_message();
  } else if (has_packet && packet.time_s <= time_s) {
    report_if_due(packet.time_s);
    take_packet(packet.bytes, packet.count);
    next_packet();
  } else {
    return 0;
  }
  return 1;
}

static int play_live(double time_s) {
  can_message m;
  int n = 0;
  for (; udp_socket >= 0 && n < MOST_AT_ONCE; ++n) {
    const size_t count = udp_receive(udp_socket, received, sizeof received);
    if (count == 0) break;
    take_packet(received, count);
  }
  for (int k = 0; can_socket >= 0 && k < MOST_AT_ONCE && can_receive(can_socket, &m); ++k, ++n) {
    m.time_s = time_s;
    take_message(&m);
  }
  return n > 0;
}

static void sleep_until_due(double time_s) {
  struct pollfd live[2] = {{udp_socket, POLLIN, 0}, {can_socket, POLLIN, 0}};
  double due_s = next_report_s, wait_s;
  if (has_packet && packet.time_s < due_s) due_s = packet.time_s;
  if (has_message && message.time_s < due_s) due_s = message.time_s;
  wait_s = (due_s - time_s) / (told.pcap != NULL && told.speed > 0.0 ? told.speed : 1.0);
  if (!(wait_s < MOST_SLEEP_S)) wait_s = MOST_SLEEP_S;
  poll(live, 2, wait_s > 0.001 ? (int)(1e3 * wait_s) : 1);
}

static int is_over(double time_s) {
  if (is_stopped || (told.seconds > 0.0 && time_s - origin_s >= told.seconds)) return 1;
  return told.pcap != NULL && !has_packet;
}

static void loop(void) {
  double time_s = now();
  while (!is_over(time_s)) {
    const double since_s = clock_s();
    int is_busy;
    watchdog_kick();
    is_busy = play_recorded(time_s) + play_live(time_s);
    if (told.pcap == NULL || told.speed > 0.0) report_if_due(time_s);
    if (clock_s() - since_s > worst_loop_s) worst_loop_s = clock_s() - since_s;
    if (is_busy == 0) sleep_until_due(time_s);
    time_s = now();
  }
  if (bed.points > 0) report(has_packet || told.pcap == NULL ? time_s : next_report_s);
}

static void summarise(void) {
  char line[LOAD_MOST_LINE];
  const int n = snprintf(
      line, sizeof line,
      "{\"summary\":{\"reports\":%llu,\"packets\":%llu,\"packets_refused\":%llu,\"datagrams_refused\":%llu,"
      "\"is_damaged\":%s,\"can_frames\":%llu,\"can_refused\":%llu,\"can_others\":%llu,\"weights_refused\":%llu,"
      "\"calls_refused\":%llu,\"worst_us\":{\"packet\":%.0f,\"scan\":%.0f,\"estimate\":%.0f,\"loop\":%.0f},"
      "\"address_space_bytes\":%zu,\"resident_peak_bytes\":%zu}}\n",
      reports, packets, packets_refused, (unsigned long long)source.refused, is_damaged ? "true" : "false",
      messages, (unsigned long long)bus.refused, (unsigned long long)bus.others,
      (unsigned long long)scale.refused, (unsigned long long)bed.refused, 1e6 * bed.worst_packet_s,
      1e6 * bed.worst_scan_s, 1e6 * bed.worst_estimate_s, 1e6 * worst_loop_s, budget_address_space(),
      budget_resident_peak());
  if (n > 0) print(line, (size_t)n);
}

int main(int argc, char **argv) {
  const char *why;
  int status;
  if (!options_read(&told, argc, argv)) return USAGE;
  if ((why = load_open(&bed, told.truck, told.sensor)) != NULL) return fail(USAGE, told.truck, why);
  bed.wanted_turns = (unsigned)told.turns;
  bed.weigh_s = told.weigh_s;
  if (!weights_init(&scale, told.weight, (unsigned)told.axles))
    return fail(USAGE, told.weight, "no such weight");
  if ((status = open_sensor()) != OK || (status = open_sources()) != OK) return status;
  signal(SIGTERM, on_stop);
  signal(SIGINT, on_stop);
  signal(SIGPIPE, SIG_IGN);
  if (!watchdog_start(told.watchdog_s, told.watchdog_device))
    return fail(USAGE, told.watchdog_device, "no watchdog to be opened");
  if (!budget_seal((size_t)(told.memory_mb * 1e6)))
    return fail(UNFORESEEN, "--memory-mb", "the process takes more");
  set_clock();
  load_clear(&bed, origin_s);
  loop();
  watchdog_stop();
  summarise();
  return is_damaged ? UNFORESEEN : OK;
}
