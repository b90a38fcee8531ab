#pragma once

#include <stdint.h>

#include "device.h"
#include "ring.h"

/* What a run of records is told; all of it is on the command line as name=value. */
struct run_options {
  uint64_t run;
  uint64_t record;
  uint64_t slots;
  uint64_t span;     /* 0: the whole disk */
  uint64_t discards; /* every so many-th record has its place discarded before it is written; 0: none */
  /* Of a writer. */
  uint64_t first;    /* the number it begins with */
  uint64_t count;    /* 0: until it is told to stop */
  uint64_t depth;    /* requests in flight */
  uint64_t flush;    /* a flush goes out whenever so many records have been written since the last */
  uint64_t reads;    /* after every so many-th record an earlier one is read back; 0: none */
  /* Of a verifier. */
  uint64_t flushed;  /* every record to this one has to be there, unless a later one has its place */
  uint64_t sent;     /* no later record was ever sent; 0: nobody knows */
};

int write_records(const struct device *device, const struct run_options *options);
int verify_records(const struct device *device, const struct run_options *options);
int put_bytes(const struct device *device, uint64_t offset);
int get_bytes(const struct device *device, uint64_t offset, uint64_t bytes);
