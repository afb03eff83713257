#define _POSIX_C_SOURCE 200809L
#include "capture.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { FILE_HEADER = 24, RECORD_HEADER = 16, UDP_HEADER = 8, UDP = 17, IPV4 = 0x0800 };

static uint32_t big16(const uint8_t *at) { return (uint32_t)at[0] << 8 | at[1]; }

static uint32_t big32(const uint8_t *at) { return big16(at) << 16 | big16(at + 2); }

static uint32_t word(const capture *c, const uint8_t *at) {
  return c->is_swapped ? big32(at)
                       : (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

/* So many bytes of the file: how many there were. */
static size_t take(capture *c, uint8_t *out, size_t count) {
  size_t done = 0;
  while (done < count) {
    size_t n = c->filled - c->taken;
    if (n == 0) {
      const ssize_t got = read(c->file, c->buffer, sizeof c->buffer);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      c->filled = (size_t)got;
      c->taken = 0;
      continue;
    }
    if (n > count - done) n = count - done;
    memcpy(out + done, c->buffer + c->taken, n);
    c->taken += n;
    done += n;
  }
  return done;
}

const char *capture_open(capture *c, const char *path, uint16_t port) {
  uint8_t header[FILE_HEADER];
  uint32_t magic;
  c->filled = c->taken = c->joined = 0;
  c->refused = 0;
  c->port = port;
  c->is_swapped = 0;
  c->file = open(path, O_RDONLY | O_CLOEXEC);
  if (c->file < 0) return "cannot be opened";
  if (take(c, header, sizeof header) != sizeof header) return "shorter than a pcap header";
  magic = word(c, header);
  c->is_swapped = magic == 0xD4C3B2A1u || magic == 0x4D3CB2A1u;
  magic = word(c, header);
  c->is_nano = magic == 0xA1B23C4Du;
  if (!c->is_nano && magic != 0xA1B2C3D4u) return "no pcap header";
  c->link = word(c, header + 20) & 0xFFFFu;
  if (c->link != 0 && c->link != 1 && c->link != 101 && c->link != 113 && c->link != 276)
    return "a link type other than loopback, Ethernet, raw IP and Linux cooked";
  return NULL;
}

/* Where the IPv4 packet of a frame begins; `count` and more where there is none. */
static size_t ip_start(const capture *c, const uint8_t *frame, size_t count) {
  size_t at = 12;
  switch (c->link) {
    case 0:
      return 4;
    case 101:
      return 0;
    case 113:
      return count >= 16 && big16(frame + 14) == IPV4 ? 16 : count;
    case 276:
      return count >= 20 && big16(frame) == IPV4 ? 20 : count;
    default:
      while (at + 2 <= count && (big16(frame + at) == 0x8100 || big16(frame + at) == 0x88A8))
        at += 4; /* VLAN */
      return at + 2 <= count && big16(frame + at) == IPV4 ? at + 2 : count;
  }
}

/* Puts fragments together that come in order (RFC 791): 1 with the last one. */
static int join(capture *c, const uint8_t *ip, const uint8_t *payload, size_t count) {
  const uint32_t source = big32(ip + 12), flags = big16(ip + 6);
  const size_t offset = (size_t)(flags & 0x1FFFu) * 8;
  const uint16_t id = (uint16_t)big16(ip + 4);
  const int follows = offset == 0 || (c->joined == offset && c->source == source && c->id == id);
  if (!follows || offset + count > sizeof c->whole) {
    c->joined = 0;
    ++c->refused;
    return 0;
  }
  memcpy(c->whole + offset, payload, count);
  c->joined = offset + count;
  c->source = source;
  c->id = id;
  return (flags & 0x2000u) == 0;
}

/* The UDP datagram of a frame: 1, or 0 where it holds none that is whole and wanted. */
static int unpack(capture *c, const uint8_t *frame, size_t count, datagram *out) {
  const size_t start = ip_start(c, frame, count);
  const uint8_t *ip = frame + start, *udp;
  size_t head, total;
  if (start + 20 > count) return ++c->refused, 0;
  head = (size_t)(ip[0] & 15u) * 4;
  total = big16(ip + 2);
  if (ip[0] >> 4 != 4 || head < 20 || total < head || total > count - start || ip[9] != UDP)
    return ++c->refused, 0;
  udp = ip + head;
  total -= head;
  if ((big16(ip + 6) & 0x3FFFu) != 0) {
    if (!join(c, ip, udp, total)) return 0;
    udp = c->whole;
    total = c->joined;
    c->joined = 0;
  }
  if (total < UDP_HEADER || big16(udp + 4) != total) return ++c->refused, 0;
  if (c->port != 0 && big16(udp + 2) != c->port) return 0;
  out->bytes = udp + UDP_HEADER;
  out->count = total - UDP_HEADER;
  return 1;
}

int capture_next(capture *c, datagram *out) {
  uint8_t header[RECORD_HEADER];
  for (;;) {
    const size_t got = take(c, header, sizeof header);
    const uint32_t kept = word(c, header + 8);
    if (got == 0) return 0;
    if (got != sizeof header || kept > sizeof c->record || take(c, c->record, kept) != kept) return -1;
    out->time_s = word(c, header) + word(c, header + 4) * (c->is_nano ? 1e-9 : 1e-6);
    if (unpack(c, c->record, kept, out)) return 1;
  }
}
