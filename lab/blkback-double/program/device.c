#include "device.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int open_queue_file(const struct device *device, const char *name) {
  struct stat facts;
  if (fstat(device->fd, &facts) != 0 || !S_ISBLK(facts.st_mode)) return -1;
  char path[128];
  snprintf(path, sizeof path, "/sys/dev/block/%u:%u/queue/%s", major(facts.st_rdev), minor(facts.st_rdev), name);
  return open(path, O_RDONLY | O_CLOEXEC);
}

struct device open_device(const char *path, bool writable) {
  struct device device = {.path = path, .fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_DIRECT | O_CLOEXEC)};
  if (device.fd < 0) err(1, "%s", path);
  off_t end = lseek(device.fd, 0, SEEK_END);
  if (end < 0) err(1, "%s: its size", path);
  device.bytes = end;
  device.cache_fd = open_queue_file(&device, "write_cache");
  return device;
}

bool has_write_cache(const struct device *device) {
  if (device->cache_fd < 0) return true;
  char said[32] = "";
  return pread(device->cache_fd, said, sizeof said - 1, 0) > 0 && strstr(said, "back") != NULL;
}

bool takes_discards(const struct device *device) {
  int fd = open_queue_file(device, "discard_max_bytes");
  if (fd < 0) return device->cache_fd < 0;
  char said[32] = "";
  bool takes = read(fd, said, sizeof said - 1) > 0 && atoll(said) > 0;
  close(fd);
  return takes;
}

int discard(const struct device *device, uint64_t offset, uint64_t bytes) {
  uint64_t range[2] = {offset, bytes};
  if (ioctl(device->fd, BLKDISCARD, range) == 0) return 0;
  if (errno != ENOTTY) return errno;
  return fallocate(device->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, bytes) == 0 ? 0 : errno;
}

void *direct_memory(uint64_t bytes) {
  void *memory = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  if (memory == NULL) err(1, "no memory");
  return memory;
}
