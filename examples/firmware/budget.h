/* A fixed budget of memory: what is needed is there from the start, and nothing more can be had. */
#ifndef BUDGET_H
#define BUDGET_H

#include <stddef.h>

#define BUDGET_HEAP_BYTES 65536   /* for what the C library asks for before the loop begins */
#define BUDGET_STACK_BYTES 262144 /* of main; volest takes VOLEST_STACK_BYTES of it at most */
#define BUDGET_EXIT 71            /* the status of a process that asked for more */

/* From here on malloc ends the process, and the kernel gives it no more than it has: 1, or 0 where it already
 * has more than `most_bytes`; 0 leaves the kernel out (QEMU shows its own memory for that of the process).
 * Instrumented builds have no budget. */
int budget_seal(size_t most_bytes);

/* The address space that the process has, and the most of it that was ever in memory, bytes. */
size_t budget_address_space(void);
size_t budget_resident_peak(void);

#endif
