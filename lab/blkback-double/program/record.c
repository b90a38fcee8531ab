#include "record.h"

#include <string.h>

static const uint64_t MAGIC = 0x64726f6365722131; /* "1!record" */

/* Sebastiano Vigna's splitmix64, public domain: prng.di.unimi.it. */
static uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

static void make_sector(struct sector *s, uint64_t run, uint64_t number, uint64_t place) {
  *s = (struct sector){.magic = MAGIC, .run = run, .number = number, .place = place};
  uint64_t state = mix(mix(mix(run) ^ number) ^ place);
  for (unsigned i = 0; i < sizeof s->noise / sizeof *s->noise; i++) s->noise[i] = mix(state += 0x9e3779b97f4a7c15);
}

void make_record(void *into, uint64_t bytes, uint64_t run, uint64_t number, uint64_t place) {
  for (uint64_t at = 0; at < bytes; at += SECTOR)
    make_sector((struct sector *)((char *)into + at), run, number, place + at);
}

struct finding find_sector(const void *sector, uint64_t run, uint64_t place) {
  const struct sector *s = sector;
  if (s->magic != MAGIC || s->run != run) return (struct finding){.kind = STRANGE};
  struct sector whole;
  make_sector(&whole, run, s->number, s->place);
  enum kind kind = memcmp(&whole, s, SECTOR) != 0 ? DAMAGED : s->place != place ? MISPLACED : WHOLE;
  return (struct finding){.kind = kind, .number = s->number, .belongs = s->place};
}
