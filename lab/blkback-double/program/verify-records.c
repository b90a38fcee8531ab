#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "record.h"

/*
 * Reads the whole disk. A place that the ring has must hold the last record of its slot that was flushed, or a later
 * one that was sent; each sector by itself, for a power cut may tear what was never flushed. Whatever else the disk
 * has must be no record of this run.
 */
struct verifier {
  const struct run_options *options;
  struct ring ring;
  uint64_t *slots; /* the slot of each block plus one, 0 for none */
  uint64_t there;  /* places with the record that had to be there */
  uint64_t later;  /* places with one that was never flushed, whole or in part */
  uint64_t faults;
};

enum { FAULTS_TOLD = 20, CHUNK = 1 << 20 };

static void tell(struct verifier *v, const char *what, uint64_t number, uint64_t place, const struct finding *found) {
  if (++v->faults > FAULTS_TOLD) return;
  char there[96] = "of no record";
  if (found->kind == WHOLE) snprintf(there, sizeof there, "of record %lu", found->number);
  if (found->kind == MISPLACED)
    snprintf(there, sizeof there, "of record %lu, made for %lu", found->number, found->belongs);
  if (found->kind == DAMAGED) snprintf(there, sizeof there, "of record %lu and damaged", found->number);
  printf("{\"fault\":\"%s\",\"record\":%lu,\"place\":%lu,\"there\":\"a sector %s\"}\n", what, number, place, there);
}

/* `flushed` is 0 where nothing had to be there yet. */
static bool may_be_there(const struct verifier *v, uint64_t slot, uint64_t flushed, const struct finding *found) {
  uint64_t last = v->options->sent > 0 ? v->options->sent : UINT64_MAX;
  if (found->kind == WHOLE && found->number == flushed) return true;
  if (found->kind == WHOLE)
    return found->number > flushed && found->number <= last && slot_of(&v->ring, found->number) == slot;
  if (found->kind != STRANGE) return false;
  uint64_t next = flushed == 0 ? slot + 1 : flushed + v->ring.slots, discards = v->options->discards;
  return flushed == 0 || (discards > 0 && next % discards == 0 && next <= last);
}

static void verify_slot(struct verifier *v, uint64_t slot, uint64_t place, const char *bytes) {
  uint64_t flushed = last_in_slot(&v->ring, slot, v->options->flushed);
  uint64_t as_flushed = 0, faults = 0;
  struct finding worst = {0};
  for (uint64_t at = 0; at < v->ring.record; at += SECTOR) {
    struct finding found = find_sector(bytes + at, v->ring.run, place + at);
    if (found.kind == WHOLE && found.number == flushed) as_flushed++;
    if (may_be_there(v, slot, flushed, &found)) continue;
    if (faults++ == 0) worst = found;
  }
  uint64_t sectors = v->ring.record / SECTOR;
  if (faults > 0) tell(v, flushed == 0 ? "from nowhere" : faults < sectors ? "torn" : "lost", flushed, place, &worst);
  else if (flushed > 0 && as_flushed == sectors) v->there++;
  else if (flushed > 0) v->later++;
}

static void verify_outside(struct verifier *v, uint64_t place, const char *bytes, uint64_t length) {
  for (uint64_t at = 0; at < length; at += SECTOR) {
    struct finding found = find_sector(bytes + at, v->ring.run, place + at);
    if (found.kind == STRANGE) continue;
    tell(v, "from nowhere", found.number, place + at, &found);
    return;
  }
}

static void verify_chunk(struct verifier *v, uint64_t from, const char *bytes, uint64_t length) {
  uint64_t record = v->ring.record, blocks = v->ring.span / record;
  for (uint64_t at = 0; at < length; at += record) {
    uint64_t place = from + at, block = place / record;
    uint64_t slot = block < blocks ? v->slots[block] : 0;
    if (slot > 0) verify_slot(v, slot - 1, place, bytes + at);
    else verify_outside(v, place, bytes + at, length - at < record ? length - at : record);
  }
}

int verify_records(const struct device *device, const struct run_options *o) {
  struct verifier v = {.options = o};
  v.ring = lay_ring(o->run, o->record, o->slots, o->span > 0 ? o->span : device->bytes);
  if (v.ring.span > device->bytes) errx(1, "%s has %lu bytes, the run %lu", device->path, device->bytes, v.ring.span);
  v.slots = calloc(v.ring.span / v.ring.record, sizeof *v.slots);
  if (v.slots == NULL) err(1, "no memory");
  for (uint64_t slot = 0; slot < v.ring.slots; slot++)
    v.slots[place_of_slot(&v.ring, slot) / v.ring.record] = slot + 1;
  uint64_t chunk = v.ring.record > CHUNK ? v.ring.record : CHUNK / v.ring.record * v.ring.record;
  char *bytes = direct_memory(chunk);
  for (uint64_t from = 0; from < device->bytes; from += chunk) {
    uint64_t length = device->bytes - from < chunk ? device->bytes - from : chunk;
    if (pread(device->fd, bytes, length, from) != (ssize_t)length)
      errx(1, "%s: cannot read %lu bytes at %lu: %s", device->path, length, from, strerror(errno));
    verify_chunk(&v, from, bytes, length);
  }
  printf("{\"there\":%lu,\"later\":%lu,\"faults\":%lu,\"ended\":true}\n", v.there, v.later, v.faults);
  return v.faults == 0 ? 0 : 1;
}
