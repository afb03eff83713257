#define _DEFAULT_SOURCE
#include "budget.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define IS_INSTRUMENTED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_INSTRUMENTED 1
#endif
#endif
#ifndef IS_INSTRUMENTED
#define IS_INSTRUMENTED 0
#endif

static int is_sealed;

#if !IS_INSTRUMENTED
/* The C library's own allocator is replaced (glibc manual, "Replacing malloc"): a heap that only grows, and
 * ends. */
static union {
  uint64_t alignment[2];
  unsigned char bytes[BUDGET_HEAP_BYTES];
} heap;
static size_t heap_used;

enum { HEAD = 16 }; /* before each block its size */

static void refuse(void) {
  static const char kWhy[] = "budget: memory was asked for after the start\n";
  if (write(STDERR_FILENO, kWhy, sizeof kWhy - 1) < 0) _exit(BUDGET_EXIT + 1);
  _exit(BUDGET_EXIT);
}

static void *block(size_t alignment, size_t bytes) {
  const size_t align = alignment < HEAD ? HEAD : alignment;
  const size_t at =
      ((uintptr_t)heap.bytes + heap_used + HEAD + align - 1) / align * align - (uintptr_t)heap.bytes;
  if (is_sealed) refuse();
  if (at > sizeof heap.bytes || bytes > sizeof heap.bytes - at) {
    errno = ENOMEM;
    return NULL;
  }
  memcpy(heap.bytes + at - HEAD, &bytes, sizeof bytes);
  heap_used = at + bytes;
  return heap.bytes + at;
}

void *malloc(size_t bytes) { return block(HEAD, bytes); }

void free(void *at) { (void)at; }

void *calloc(size_t count, size_t each) {
  if (each != 0 && count > (size_t)-1 / each) return NULL;
  return block(HEAD, count * each); /* never used before: zero */
}

void *realloc(void *at, size_t bytes) {
  void *moved = block(HEAD, bytes);
  size_t before = 0;
  if (moved == NULL || at == NULL) return moved;
  memcpy(&before, (unsigned char *)at - HEAD, sizeof before);
  return memcpy(moved, at, before < bytes ? before : bytes);
}

void *memalign(size_t alignment, size_t bytes) { return block(alignment, bytes); }

void *aligned_alloc(size_t alignment, size_t bytes) { return block(alignment, bytes); }

int posix_memalign(void **at, size_t alignment, size_t bytes) {
  *at = block(alignment, bytes);
  return *at == NULL ? ENOMEM : 0;
}
#endif

/* A number of /proc/self/status [kB], which tells of this program alone, and not of what it was before exec. */
static size_t status_bytes(const char *name) {
  char text[4096];
  const char *at;
  size_t kb = 0;
  const int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  const ssize_t got = file < 0 ? 0 : read(file, text, sizeof text - 1);
  if (file >= 0) close(file);
  text[got < 0 ? 0 : got] = '\0';
  if ((at = strstr(text, name)) == NULL) return 0;
  for (at += strlen(name); *at == ' ' || *at == '\t'; ++at) {
  }
  for (; *at >= '0' && *at <= '9'; ++at) kb = kb * 10 + (size_t)(*at - '0');
  return 1024 * kb;
}

size_t budget_address_space(void) { return status_bytes("VmSize:"); }

size_t budget_resident_peak(void) { return status_bytes("VmHWM:"); }

int budget_seal(size_t most_bytes) {
  const struct rlimit stack = {BUDGET_STACK_BYTES, BUDGET_STACK_BYTES};
  const rlim_t all = budget_address_space() + BUDGET_STACK_BYTES;
  const struct rlimit space = {all, all};
  if (!IS_INSTRUMENTED && most_bytes > 0) {
    if (all > most_bytes) return 0;
    if (setrlimit(RLIMIT_STACK, &stack) != 0 || setrlimit(RLIMIT_AS, &space) != 0) return 0;
  }
  is_sealed = 1;
  return 1;
}
