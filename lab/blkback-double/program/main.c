#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"

/*
 * A disk's user as xen-blkback is one (linux drivers/block/xen-blkback/blkback.c): a process beside the product on the
 * same host, which has the block device itself open, past every cache, with many requests in flight, flushes and
 * discards.
 *
 *   write DEVICE NAME=VALUE...     numbered records, until SIGTERM or count; see commands.h
 *   verify DEVICE NAME=VALUE...    whether they are there
 *   put DEVICE OFFSET              stdin to the device, flushed
 *   get DEVICE OFFSET BYTES        to stdout
 *   discard DEVICE OFFSET BYTES
 */
static uint64_t number(const char *text) {
  char *end;
  uint64_t value = strtoull(text, &end, 0);
  if (*text == '\0' || *end != '\0') errx(2, "%s is no number", text);
  return value;
}

static struct run_options run_options(char **words) {
  struct run_options o = {.record = 4096, .first = 1, .depth = 32, .flush = 16, .reads = 4};
  struct {
    const char *name;
    uint64_t *value;
  } known[] = {
      {"run", &o.run},     {"record", &o.record}, {"slots", &o.slots}, {"span", &o.span},
      {"first", &o.first}, {"count", &o.count},   {"depth", &o.depth}, {"flush", &o.flush},
      {"reads", &o.reads}, {"flushed", &o.flushed}, {"sent", &o.sent}, {"discards", &o.discards},
  };
  for (; *words != NULL; words++) {
    char *equals = strchr(*words, '=');
    size_t i = 0, all = sizeof known / sizeof *known;
    while (i < all && (equals == NULL || strlen(known[i].name) != (size_t)(equals - *words) ||
                       strncmp(known[i].name, *words, equals - *words) != 0)) i++;
    if (i == all) errx(2, "%s is no option", *words);
    *known[i].value = number(equals + 1);
  }
  if (o.first == 0 || o.depth == 0 || o.flush == 0) errx(2, "first, depth and flush begin at 1");
  return o;
}

int main(int count, char **words) {
  if (count < 3) errx(2, "write|verify|put|get|discard DEVICE ...");
  const char *command = words[1];
  bool is_write = strcmp(command, "write") == 0, is_put = strcmp(command, "put") == 0;
  bool is_discard = strcmp(command, "discard") == 0;
  struct device device = open_device(words[2], is_write || is_put || is_discard);
  if (is_write || strcmp(command, "verify") == 0) {
    struct run_options options = run_options(words + 3);
    return is_write ? write_records(&device, &options) : verify_records(&device, &options);
  }
  if (is_put && count == 4) return put_bytes(&device, number(words[3]));
  if (count != 5) errx(2, "%s takes no %d words", command, count - 2);
  if (strcmp(command, "get") == 0) return get_bytes(&device, number(words[3]), number(words[4]));
  if (!is_discard) errx(2, "%s is no command", command);
  int error = discard(&device, number(words[3]), number(words[4]));
  if (error != 0) errx(1, "%s: discard: %s", device.path, strerror(error));
  return 0;
}
