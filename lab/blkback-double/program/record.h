#pragma once

#include <stdint.h>

/*
 * A record is some whole sectors. Each says whose and which it is, where it belongs, and what follows is noise that
 * these four make: so any bit that is not as it was written shows, and each sector of a torn record tells where it
 * comes from.
 */
enum { SECTOR = 512 };

struct sector {
  uint64_t magic;
  uint64_t run;
  uint64_t number;
  uint64_t place; /* bytes from the start of the disk */
  uint64_t noise[60];
};

enum kind { STRANGE, WHOLE, MISPLACED, DAMAGED };

struct finding {
  enum kind kind;    /* STRANGE: no sector of this run */
  uint64_t number;   /* of the record it says it is part of; 0 if STRANGE */
  uint64_t belongs;  /* the place it says it is made for */
};

void make_record(void *into, uint64_t bytes, uint64_t run, uint64_t number, uint64_t place);

/* What one sector is that was read at `place`. */
struct finding find_sector(const void *sector, uint64_t run, uint64_t place);
