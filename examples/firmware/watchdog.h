/* Ends the process when its loop does not come round in time, so that whoever started it starts it again. */
#ifndef WATCHDOG_H
#define WATCHDOG_H

#define WATCHDOG_EXIT 70 /* the status of a process that hung */

/* Arms the timer. `device`: a watchdog of the kernel (/dev/watchdog) that is fed too, or NULL; systemd is told
 * where NOTIFY_SOCKET names it. 1, or 0 where the device cannot be opened. */
int watchdog_start(double timeout_s, const char *device);

/* The loop has come round. */
void watchdog_kick(void);

/* The work is done: nothing is to be watched any more. */
void watchdog_stop(void);

#endif
