#include "requests.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct requests make_requests(const struct device *device, unsigned depth, uint64_t bytes_each) {
  struct requests requests = {.device = device, .depth = depth};
  if (syscall(SYS_io_setup, depth, &requests.context) != 0) err(1, "io_setup");
  for (unsigned i = 0; i < depth; i++) {
    struct request *request = calloc(1, sizeof *request);
    if (request == NULL) err(1, "no memory");
    request->memory = direct_memory(bytes_each);
    give_request(&requests, request);
  }
  return requests;
}

struct request *take_request(struct requests *requests) {
  struct request *request = requests->free;
  if (request != NULL) requests->free = request->next;
  return request;
}

void give_request(struct requests *requests, struct request *request) {
  request->next = requests->free;
  requests->free = request;
}

void send_request(struct requests *requests, struct request *request, uint64_t offset, uint64_t bytes) {
  static const int OPERATIONS[] = {[WRITE] = IOCB_CMD_PWRITE, [READ] = IOCB_CMD_PREAD, [FLUSH] = IOCB_CMD_FDSYNC};
  request->iocb = (struct iocb){
      .aio_lio_opcode = OPERATIONS[request->kind],
      .aio_fildes = requests->device->fd,
      .aio_data = (uintptr_t)request,
  };
  if (request->kind != FLUSH) {
    request->iocb.aio_buf = (uintptr_t)request->memory;
    request->iocb.aio_offset = offset;
    request->iocb.aio_nbytes = bytes;
  }
  struct iocb *list[] = {&request->iocb};
  if (syscall(SYS_io_submit, requests->context, 1, list) != 1)
    err(1, "%s: %s at %lu", requests->device->path, name_of(request->kind), offset);
  requests->in_flight++;
}

struct request *next_ended(struct requests *requests, int *error) {
  struct io_event event;
  struct timespec most = {.tv_nsec = 200 * 1000 * 1000};
  long ended = syscall(SYS_io_getevents, requests->context, 1, 1, &event, &most);
  if (ended < 0 && errno != EINTR) err(1, "io_getevents");
  if (ended != 1) return NULL;
  struct request *request = (struct request *)(uintptr_t)event.data;
  requests->in_flight--;
  long long result = (long long)event.res;
  /* A request that was cut short did not do what was asked: blkback fails it, too. */
  *error = result < 0 ? (int)-result : (uint64_t)result != request->iocb.aio_nbytes ? EIO : 0;
  return request;
}

const char *name_of(enum request_kind kind) {
  static const char *const NAMES[] = {[WRITE] = "write", [READ] = "read", [FLUSH] = "flush"};
  return NAMES[kind];
}
