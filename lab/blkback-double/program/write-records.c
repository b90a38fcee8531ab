#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "record.h"
#include "requests.h"

/*
 * Like a guest that never waits for one request before it sends the next: many writes in flight, a flush among them
 * now and then, records read back. Two requests that overlap are never in flight at once, for their order is nobody's
 * duty. What is flushed is written to stdout, a line of JSON each time, so that it is known elsewhere than on the
 * device.
 */
struct writer {
  const struct run_options *options;
  struct ring ring;
  struct requests requests;
  bool had_cache;
  uint64_t next;     /* the record to be sent next */
  uint64_t written;  /* every record to this one has ended well */
  uint64_t flushing; /* what the flush in flight covers, 0 without one */
  uint64_t flushed;
  uint64_t failures;
  struct slot {
    uint64_t finished; /* the record that has ended well there last */
    bool busy;         /* a request for it is in flight */
  } * slots;
};

static volatile sig_atomic_t told_to_stop;

static void on_signal(int signal) {
  (void)signal;
  told_to_stop = 1;
}

static struct slot *slot_for(struct writer *w, uint64_t number) {
  return &w->slots[slot_of(&w->ring, number)];
}

static uint64_t place_for(struct writer *w, uint64_t number) {
  return place_of_slot(&w->ring, slot_of(&w->ring, number));
}

static void failed(struct writer *w, const char *what, uint64_t number, const char *why) {
  w->failures++;
  uint64_t place = place_for(w, number);
  printf("{\"failed\":\"%s\",\"record\":%lu,\"place\":%lu,\"error\":\"%s\"}\n", what, number, place, why);
}

static bool wants_to_stop(const struct writer *w) {
  const struct run_options *o = w->options;
  return told_to_stop || w->failures > 0 || (o->count > 0 && w->next == o->first + o->count);
}

/*
 * One record of every slot at most is neither flushed nor out of the way: so a place has two records to choose from
 * after a power cut.
 */
static bool may_write(struct writer *w) {
  return !wants_to_stop(w) && !slot_for(w, w->next)->busy && w->next - w->flushed <= w->ring.slots;
}

static void send_write(struct writer *w, struct request *request) {
  uint64_t number = w->next++, place = place_for(w, number);
  if (w->options->discards > 0 && number % w->options->discards == 0) {
    int error = discard(w->requests.device, place, w->ring.record);
    if (error != 0) failed(w, "discard", number, strerror(error));
  }
  request->kind = WRITE;
  request->number = number;
  make_record(request->memory, w->ring.record, w->ring.run, number, place);
  slot_for(w, number)->busy = true;
  send_request(&w->requests, request, place, w->ring.record);
}

static void send_flush(struct writer *w, struct request *request) {
  w->flushing = w->written;
  request->kind = FLUSH;
  request->number = w->flushing;
  send_request(&w->requests, request, 0, 0);
}

/* The record to be read is one that nobody writes over meanwhile. */
static void send_read(struct writer *w, uint64_t after) {
  uint64_t back = after * 7919 % w->ring.slots;
  if (back + w->options->first > after) return;
  uint64_t number = after - back;
  struct slot *slot = slot_for(w, number);
  struct request *request = slot->busy || slot->finished != number ? NULL : take_request(&w->requests);
  if (request == NULL) return;
  request->kind = READ;
  request->number = number;
  slot->busy = true;
  send_request(&w->requests, request, place_for(w, number), w->ring.record);
}

static void check_read(struct writer *w, const struct request *request) {
  uint64_t place = place_for(w, request->number);
  for (uint64_t at = 0; at < w->ring.record; at += SECTOR) {
    struct finding found = find_sector((char *)request->memory + at, w->ring.run, place + at);
    if (found.kind == WHOLE && found.number == request->number) continue;
    char why[128];
    if (found.kind == STRANGE) snprintf(why, sizeof why, "its sector %lu is of no record", at / SECTOR);
    else
      snprintf(why, sizeof why, "its sector %lu is of record %lu%s", at / SECTOR, found.number,
               found.kind == DAMAGED ? " and damaged" : found.kind == MISPLACED ? ", made for another place" : "");
    failed(w, "read", request->number, why);
    return;
  }
}

static void ended(struct writer *w, struct request *request, int error) {
  uint64_t number = request->number;
  if (error != 0) {
    failed(w, name_of(request->kind), number, strerror(error));
  } else if (request->kind == READ) {
    check_read(w, request);
  } else if (request->kind == WRITE) {
    slot_for(w, number)->finished = number;
    while (slot_for(w, w->written + 1)->finished == w->written + 1) w->written++;
  } else if (has_write_cache(w->requests.device) != w->had_cache) {
    failed(w, "flush", number, "the device's write cache is no longer what it was");
  } else {
    w->flushed = number;
    printf("{\"flushed\":%lu,\"sent\":%lu}\n", w->flushed, w->next - 1);
  }
  if (request->kind == FLUSH) w->flushing = 0;
  else slot_for(w, number)->busy = false;
  bool reads = request->kind == WRITE && error == 0 && w->options->reads > 0 && number % w->options->reads == 0;
  give_request(&w->requests, request);
  if (reads) send_read(w, number);
}

static bool wants_flush(const struct writer *w) {
  uint64_t unflushed = w->written - w->flushed;
  bool last = wants_to_stop(w) && w->failures == 0 && w->written == w->next - 1;
  return w->flushing == 0 && w->failures == 0 && unflushed > 0 && (unflushed >= w->options->flush || last);
}

static void send_all(struct writer *w) {
  for (;;) {
    bool flush = wants_flush(w);
    if (!flush && !may_write(w)) return;
    struct request *request = take_request(&w->requests);
    if (request == NULL) return;
    if (flush) send_flush(w, request);
    else send_write(w, request);
  }
}

int write_records(const struct device *device, const struct run_options *o) {
  struct writer w = {.options = o, .next = o->first, .written = o->first - 1, .flushed = o->first - 1};
  w.ring = lay_ring(o->run, o->record, o->slots, o->span > 0 ? o->span : device->bytes);
  if (o->flush > w.ring.slots) errx(2, "a flush after %lu records never comes with %lu slots", o->flush, w.ring.slots);
  w.requests = make_requests(device, o->depth, o->record);
  w.had_cache = has_write_cache(device);
  w.slots = calloc(w.ring.slots, sizeof *w.slots);
  if (w.slots == NULL) err(1, "no memory");
  setvbuf(stdout, NULL, _IOLBF, 0);
  sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_signal}, NULL);
  printf("{\"span\":%lu,\"slots\":%lu,\"cache\":%s,\"discards\":%s}\n", w.ring.span, w.ring.slots,
         w.had_cache ? "true" : "false", takes_discards(device) ? "true" : "false");
  for (send_all(&w); w.requests.in_flight > 0; send_all(&w)) {
    int error;
    struct request *request = next_ended(&w.requests, &error);
    if (request != NULL) ended(&w, request, error);
  }
  printf("{\"flushed\":%lu,\"sent\":%lu,\"ended\":true}\n", w.flushed, w.next - 1);
  return w.failures == 0 ? 0 : 1;
}
