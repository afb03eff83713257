/* CAN frames: out of lines that candump -l wrote, or from an interface of the kernel (SocketCAN). */
#ifndef CANBUS_H
#define CANBUS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CAN_MOST_LINE 256

typedef struct can_message {
  double time_s;
  uint32_t identifier;
  int is_extended; /* 29 bits */
  size_t count;
  uint8_t bytes[8];
} can_message;

typedef struct can_log {
  int file;
  int is_skipping;          /* the rest of a line that is too long */
  uint64_t refused, others; /* lines that are none; remote, error and FD frames */
  size_t filled, taken;
  uint8_t buffer[4096];
} can_log;

typedef enum can_kind { CAN_NONE = 0, CAN_DATA = 1, CAN_OTHER = 2 } can_kind;

/* What a line says, "(1700000000.000000) can0 18FEEA0B#1FB80BFFFFFFFFFF"; the line need not end in a zero. */
can_kind can_parse(const char *line, size_t count, can_message *out);

/* 1, or 0 where the log cannot be opened. */
int can_log_open(can_log *log, const char *path);

/* The next frame with data: 1; 0 at the end. */
int can_log_next(can_log *log, can_message *out);

/* A socket on an interface that never waits; -1 where there is none. */
int can_open(const char *interface);

/* A frame that came, but for its time: 1; 0 where there is none, or another than one with data. */
int can_receive(int socket, can_message *out);

#ifdef __cplusplus
}
#endif

#endif
