#pragma once

#include <linux/aio_abi.h>
#include <stdint.h>

#include "device.h"

/* Requests in flight at the kernel, as many as blkback has of one ring; who sent one knows it again by its fields. */
enum request_kind { WRITE, READ, FLUSH };

struct request {
  struct iocb iocb; /* first: the kernel names a request by its address */
  enum request_kind kind;
  uint64_t number; /* what the sender wants: a record, or what a flush covers */
  void *memory;
  struct request *next;
};

struct requests {
  const struct device *device;
  aio_context_t context;
  struct request *free;
  unsigned in_flight;
  unsigned depth;
};

struct requests make_requests(const struct device *device, unsigned depth, uint64_t bytes_each);

/* One that is free, or NULL. */
struct request *take_request(struct requests *requests);
void give_request(struct requests *requests, struct request *request);

void send_request(struct requests *requests, struct request *request, uint64_t offset, uint64_t bytes);

/*
 * Waits for one that ends, at most 200 ms or until a signal; then NULL. `error` is its errno, 0 if it did all it was
 * to do.
 */
struct request *next_ended(struct requests *requests, int *error);

const char *name_of(enum request_kind kind);
