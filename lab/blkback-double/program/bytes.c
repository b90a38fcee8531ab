#include <err.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "record.h"
#include "requests.h"

/* blkback's longest request without indirect segments: eleven pages. */
enum { REQUEST = 11 * 4096, IN_FLIGHT = 32, CHUNK = 1 << 20 };

static void end_one(struct requests *requests) {
  int error;
  struct request *request = next_ended(requests, &error);
  if (request == NULL) return;
  if (error != 0) errx(1, "%s: write at %lu: %s", requests->device->path, request->number, strerror(error));
  give_request(requests, request);
}

/* What stdin has, written from `offset` on with many requests in flight, and flushed. */
int put_bytes(const struct device *device, uint64_t offset) {
  struct requests requests = make_requests(device, IN_FLIGHT, REQUEST);
  for (;;) {
    struct request *request = take_request(&requests);
    if (request == NULL) {
      end_one(&requests);
      continue;
    }
    uint64_t length = fread(request->memory, 1, REQUEST, stdin);
    if (length == 0) break;
    if (length % SECTOR != 0) errx(2, "stdin is no whole sectors");
    request->kind = WRITE;
    request->number = offset;
    send_request(&requests, request, offset, length);
    offset += length;
  }
  if (ferror(stdin)) err(1, "stdin");
  while (requests.in_flight > 0) end_one(&requests);
  if (fdatasync(device->fd) != 0) err(1, "%s: flush", device->path);
  return 0;
}

/* `bytes` from `offset` on, to stdout. */
int get_bytes(const struct device *device, uint64_t offset, uint64_t bytes) {
  char *memory = direct_memory(CHUNK);
  for (uint64_t done = 0, length; done < bytes; done += length) {
    length = bytes - done < CHUNK ? bytes - done : CHUNK;
    ssize_t got = pread(device->fd, memory, length, offset + done);
    if (got < 0) err(1, "%s: read at %lu", device->path, offset + done);
    if ((uint64_t)got != length) errx(1, "%s ends at %lu", device->path, offset + done + got);
    if (fwrite(memory, 1, length, stdout) != length) err(1, "stdout");
  }
  return fflush(stdout) == 0 ? 0 : 1;
}
