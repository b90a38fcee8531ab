#pragma once

#include <stdint.h>

/*
 * Where the records of a run lie: `slots` slots, filled round and round, so that each record takes the place of the one
 * `slots` before it. Neighbours in time lie far apart, for each place is the one before plus about 0.618 of the disk: a
 * few records are in as many blocks of a VHD.
 */
struct ring {
  uint64_t run;
  uint64_t record; /* bytes */
  uint64_t slots;
  uint64_t span;   /* bytes of the disk that the ring is laid over */
  uint64_t step;
};

/* Fails with a message if the numbers make no ring; `slots` 0 is as many as there is room for. */
struct ring lay_ring(uint64_t run, uint64_t record, uint64_t slots, uint64_t span);

uint64_t slot_of(const struct ring *ring, uint64_t number);
uint64_t place_of_slot(const struct ring *ring, uint64_t slot);

/* The last record of this slot that is not past `number`; 0 if there is none. */
uint64_t last_in_slot(const struct ring *ring, uint64_t slot, uint64_t number);
