#define _DEFAULT_SOURCE
#include "watchdog.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"

static double timeout, told_s; /* when device and systemd were told last */
static int device_file = -1, notify_socket = -1;

/* The timer has run out. Only what is safe in a signal handler: the device is left open, it resets the machine.
 */
static void on_alarm(int signal) {
  static const char kWhy[] = "watchdog: the loop did not come round\n";
  if (write(STDERR_FILENO, kWhy, sizeof kWhy - 1) < 0) _exit(signal + WATCHDOG_EXIT);
  _exit(WATCHDOG_EXIT);
}

static void arm(double seconds) {
  struct itimerval timer;
  memset(&timer, 0, sizeof timer);
  timer.it_value.tv_sec = (time_t)seconds;
  timer.it_value.tv_usec = (suseconds_t)(1e6 * (seconds - (double)(time_t)seconds));
  setitimer(ITIMER_REAL, &timer, NULL); /* counts as CLOCK_MONOTONIC: no clock that is set moves it */
}

static void notify(const char *text) {
  if (notify_socket >= 0 && send(notify_socket, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) return;
}

static void connect_to_systemd(void) {
  struct sockaddr_un address;
  const char *name = getenv("NOTIFY_SOCKET");
  const size_t n = name == NULL ? 0 : strlen(name);
  if (n < 2 || n >= sizeof address.sun_path || (name[0] != '/' && name[0] != '@')) return;
  memset(&address, 0, sizeof address);
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, name, n);
  if (name[0] == '@') address.sun_path[0] = '\0'; /* an abstract name */
  notify_socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (notify_socket < 0) return;
  if (connect(notify_socket, (const struct sockaddr *)&address,
              (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) != 0) {
    close(notify_socket);
    notify_socket = -1;
  }
}

int watchdog_start(double timeout_s, const char *device) {
  struct sigaction action;
  timeout = timeout_s;
  if (device != NULL && (device_file = open(device, O_WRONLY | O_CLOEXEC)) < 0) return 0;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_alarm;
  sigaction(SIGALRM, &action, NULL);
  connect_to_systemd();
  notify("READY=1");
  arm(timeout);
  return 1;
}

void watchdog_kick(void) {
  const double now = clock_s();
  arm(timeout);
  if (now - told_s < 0.25 * timeout) return;
  told_s = now;
  notify("WATCHDOG=1");
  if (device_file >= 0 && write(device_file, "k", 1) != 1) return;
}

void watchdog_stop(void) {
  arm(0.0);
  notify("STOPPING=1");
  if (device_file >= 0 && write(device_file, "V", 1) == 1) close(device_file); /* the magic close of Linux */
  device_file = -1;
}
