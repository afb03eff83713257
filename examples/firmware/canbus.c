#define _POSIX_C_SOURCE 200809L
#include "canbus.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#ifdef __linux__
#include <linux/can.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#endif

/* --- a line --- */

typedef struct reader {
  const char *at, *end;
} reader;

static int takes(reader *r, char wanted) {
  if (r->at == r->end || *r->at != wanted) return 0;
  ++r->at;
  return 1;
}

static size_t spaces(reader *r) {
  size_t n = 0;
  while (takes(r, ' ')) ++n;
  return n;
}

/* Digits as a number; how many there were, 0 for more than `most`. */
static size_t decimal(reader *r, size_t most, double *out) {
  size_t n = 0;
  for (*out = 0.0; r->at < r->end && *r->at >= '0' && *r->at <= '9'; ++r->at, ++n)
    *out = *out * 10.0 + (*r->at - '0');
  return n <= most ? n : 0;
}

static int nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t hexadecimal(reader *r, size_t most, uint32_t *out) {
  size_t n = 0;
  for (*out = 0; r->at < r->end && n < most && nibble(*r->at) >= 0; ++r->at, ++n)
    *out = *out << 4 | (uint32_t)nibble(*r->at);
  return n;
}

static int time_of(reader *r, double *time_s) {
  double whole, part;
  if (!takes(r, '(') || decimal(r, 11, &whole) == 0 || !takes(r, '.') || decimal(r, 6, &part) != 6 ||
      !takes(r, ')'))
    return 0;
  *time_s = whole + part * 1e-6;
  return spaces(r) > 0;
}

can_kind can_parse(const char *line, size_t count, can_message *out) {
  reader r = {line, line + count};
  uint32_t byte;
  size_t digits, name = 0;
  if (!time_of(&r, &out->time_s)) return CAN_NONE;
  for (; r.at < r.end && *r.at > ' ' && *r.at < 127; ++r.at) ++name;
  if (name == 0 || spaces(&r) == 0) return CAN_NONE;
  digits = hexadecimal(&r, 8, &out->identifier);
  if ((digits != 3 && digits != 8) || !takes(&r, '#')) return CAN_NONE;
  out->is_extended = digits == 8;
  if (out->identifier > (out->is_extended ? 0x1FFFFFFFu : 0x7FFu)) return CAN_OTHER; /* an error frame */
  if (takes(&r, '#') || takes(&r, 'R')) return CAN_OTHER;                            /* CAN FD, remote */
  for (out->count = 0; r.at < r.end && nibble(*r.at) >= 0; ++out->count) {
    if (out->count == sizeof out->bytes || hexadecimal(&r, 2, &byte) != 2) return CAN_NONE;
    out->bytes[out->count] = (uint8_t)byte;
  }
  if (r.at < r.end && *r.at != ' ') return CAN_NONE;
  spaces(&r);
  if (r.at < r.end && !takes(&r, 'R') && !takes(&r, 'T')) return CAN_NONE; /* received or sent */
  spaces(&r);
  return r.at == r.end ? CAN_DATA : CAN_NONE;
}

/* --- a log --- */

int can_log_open(can_log *log, const char *path) {
  memset(log, 0, sizeof *log);
  log->file = open(path, O_RDONLY | O_CLOEXEC);
  return log->file >= 0;
}

/* A line without its end: 1; 0 at the end of the file. One that is too long is passed over. */
static int next_line(can_log *log, char *line, size_t *count) {
  *count = 0;
  for (;;) {
    if (log->taken == log->filled) {
      const ssize_t got = read(log->file, log->buffer, sizeof log->buffer);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return *count > 0 && !log->is_skipping;
      log->filled = (size_t)got;
      log->taken = 0;
    }
    const char c = (char)log->buffer[log->taken++];
    if (c == '\n') {
      if (!log->is_skipping) return 1;
      log->is_skipping = 0;
      *count = 0;
    } else if (c != '\r' && !log->is_skipping) {
      if (*count < CAN_MOST_LINE) {
        line[(*count)++] = c;
        continue;
      }
      log->is_skipping = 1;
      ++log->refused;
    }
  }
}

int can_log_next(can_log *log, can_message *out) {
  char line[CAN_MOST_LINE];
  size_t count;
  while (next_line(log, line, &count)) {
    const can_kind kind = can_parse(line, count, out);
    if (kind == CAN_DATA) return 1;
    log->refused += kind == CAN_NONE && count > 0;
    log->others += kind == CAN_OTHER;
  }
  return 0;
}

/* --- an interface --- */

#ifdef __linux__
int can_open(const char *interface) {
  struct sockaddr_can address;
  const int s = socket(PF_CAN, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, CAN_RAW);
  if (s < 0) return -1;
  memset(&address, 0, sizeof address);
  address.can_family = AF_CAN;
  address.can_ifindex = (int)if_nametoindex(interface);
  if (address.can_ifindex > 0 && bind(s, (const struct sockaddr *)&address, sizeof address) == 0) return s;
  close(s);
  return -1;
}

int can_receive(int socket, can_message *out) {
  struct can_frame frame;
  if (read(socket, &frame, sizeof frame) != (ssize_t)sizeof frame) return 0;
  if ((frame.can_id & (CAN_RTR_FLAG | CAN_ERR_FLAG)) != 0 || frame.can_dlc > 8) return 0;
  out->is_extended = (frame.can_id & CAN_EFF_FLAG) != 0;
  out->identifier = frame.can_id & (out->is_extended ? CAN_EFF_MASK : CAN_SFF_MASK);
  out->count = frame.can_dlc;
  memcpy(out->bytes, frame.data, sizeof out->bytes);
  return 1;
}
#else
int can_open(const char *interface) { return (void)interface, -1; }

int can_receive(int socket, can_message *out) { return (void)socket, (void)out, 0; }
#endif
