#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A block device past every cache, as blkback has it; a plain file can stand for one. */
struct device {
  const char *path;
  int fd;
  uint64_t bytes;
  int cache_fd; /* what the kernel says of its write cache, -1 for a file */
};

struct device open_device(const char *path, bool writable);

/* The kernel asks the device to flush. A cache that is off means that a completed write is a durable one. */
bool has_write_cache(const struct device *device);

/* What blkback asks before it offers discards to a guest. */
bool takes_discards(const struct device *device);

/* 0, or the errno. */
int discard(const struct device *device, uint64_t offset, uint64_t bytes);

/* Memory as O_DIRECT wants it. */
void *direct_memory(uint64_t bytes);
