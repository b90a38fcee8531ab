#include "ring.h"

#include <err.h>

#include "record.h"

static uint64_t common_divisor(uint64_t a, uint64_t b) {
  return b == 0 ? a : common_divisor(b, a % b);
}

struct ring lay_ring(uint64_t run, uint64_t record, uint64_t slots, uint64_t span) {
  if (record == 0 || record % SECTOR != 0) errx(2, "a record of %lu bytes is not whole sectors", record);
  uint64_t blocks = span / record;
  if (slots == 0) slots = blocks;
  if (blocks < 2 || slots < 2 || slots > blocks)
    errx(2, "no %lu records of %lu bytes in %lu bytes", slots, record, span);
  /* Without a common divisor the steps come by every block before they come by one again. */
  uint64_t step = blocks * 618 / 1000;
  while (step == 0 || common_divisor(step, blocks) != 1) step++;
  return (struct ring){.run = run, .record = record, .slots = slots, .span = span, .step = step};
}

uint64_t slot_of(const struct ring *ring, uint64_t number) {
  return (number - 1) % ring->slots;
}

uint64_t place_of_slot(const struct ring *ring, uint64_t slot) {
  return slot * ring->step % (ring->span / ring->record) * ring->record;
}

uint64_t last_in_slot(const struct ring *ring, uint64_t slot, uint64_t number) {
  return number <= slot ? 0 : (number - 1 - slot) / ring->slots * ring->slots + slot + 1;
}
