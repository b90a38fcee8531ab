#include <asm/prctl.h>
#include <elf.h>
#include <err.h>
#include <errno.h>
#include <immintrin.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Traces a child by way of ptrace() as it is linked, the lab's library before it or not, and compares each answer with
 * that of the bare system call. Says "same WHAT" or "other WHAT: ..." for each; the exit code is the number of the
 * others.
 */
enum { XSTATE_BV_AT = 512, XMM1_AT = 160 + 16, LEGACY_AND_HEADER = 576, TILE_DATA = 18 };

static const uint64_t BEFORE[2] = {0x1111222233334444, 0x5555666677778888};
static const uint64_t AFTER[2] = {0xaaaabbbbccccdddd, 0xeeeeffff00001111};
static volatile long word = 0x0123456789abcdef, minus_one = -1, poked = 0;
static unsigned char whole[2][16384] __attribute__((aligned(64)));
static int others;

static void say(int same, const char *what, const char *why) {
  if (same) printf("same %s\n", what);
  else printf("other %s: %s\n", what, why);
  others += !same;
}

static long bare(long request, pid_t pid, void *address, void *data) {
  return syscall(SYS_ptrace, request, pid, address, data);
}

/* With a tile in use, where the processor has tiles: what a short set must not leave behind half. */
static int uses_tile(void) {
  if (syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) != 0) return 0;
  static unsigned char config[64] __attribute__((aligned(64))) = {[0] = 1, [16] = 64, [48] = 16};
  static unsigned char tile[1024];
  memset(tile, 0x5a, sizeof tile);
  __asm__ volatile("ldtilecfg %0" ::"m"(config));
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm0" ::"r"(tile), "r"((long)64) : "memory");
  return 1;
}

/* Stops with BEFORE in xmm1; ends with 0 if AFTER is there when it goes on, and what was poked. */
static void be_traced(void) {
  uint64_t got[2];
  if (bare(PTRACE_TRACEME, 0, NULL, NULL) != 0) _exit(90);
  uses_tile();
  __asm__ volatile(
      "movdqu %1, %%xmm1\n\t"
      "syscall\n\t"
      "movdqu %%xmm1, %0"
      : "=m"(got)
      : "m"(BEFORE), "a"(SYS_kill), "D"(getpid()), "S"(SIGSTOP)
      : "rcx", "r11", "xmm1", "memory");
  _exit(memcmp(got, AFTER, sizeof got) != 0 ? 91 : poked != 77 ? 92 : 0);
}

static void compare_get(pid_t pid, size_t length) {
  struct iovec ours = {whole[0], length}, theirs = {whole[1], length};
  memset(whole, 0, sizeof whole);
  long here = ptrace(PTRACE_GETREGSET, pid, (void *)NT_X86_XSTATE, &ours);
  long there = bare(PTRACE_GETREGSET, pid, (void *)NT_X86_XSTATE, &theirs);
  char what[64];
  snprintf(what, sizeof what, "get of %zu", length);
  say(here == there && ours.iov_len == theirs.iov_len && memcmp(whole[0], whole[1], sizeof whole[0]) == 0, what,
      "not what the bare call says");
}

static size_t get_whole(pid_t pid, unsigned char *into) {
  struct iovec all = {into, sizeof whole[0]};
  if (bare(PTRACE_GETREGSET, pid, (void *)NT_X86_XSTATE, &all) != 0) err(99, "bare get");
  return all.iov_len;
}

/* What a set of the first bytes has to come to: those bytes, no tiles, and of the rest what was there. */
static void compare_set(pid_t pid, size_t length) {
  size_t all = get_whole(pid, whole[0]);
  memcpy(whole[0] + XMM1_AT, AFTER, sizeof AFTER);
  struct iovec given = {whole[0], length};
  char what[64];
  snprintf(what, sizeof what, "set of %zu", length);
  if (ptrace(PTRACE_SETREGSET, pid, (void *)NT_X86_XSTATE, &given) != 0) return say(0, what, strerror(errno));
  get_whole(pid, whole[1]);
  uint64_t in_use;
  memcpy(&in_use, whole[0] + XSTATE_BV_AT, sizeof in_use);
  in_use &= ~(UINT64_C(3) << 17);
  memcpy(whole[0] + XSTATE_BV_AT, &in_use, sizeof in_use);
  size_t compared = all < 2752 ? all : 2752; /* what lies behind is the tiles' */
  say(memcmp(whole[0], whole[1], compared) == 0, what, "not the state that was set");
}

static void compare_peek(pid_t pid, long request, const char *what, void *address) {
  long stored = 0;
  errno = 0;
  long answer = bare(request, pid, address, &stored);
  int their_errno = errno;
  errno = 5555;
  long said = ptrace(request, pid, address, NULL);
  int our_errno = errno;
  if (answer < 0) say(said == -1 && our_errno == their_errno, what, "not the bare call's error");
  else say(said == stored && our_errno == 0, what, "not the word");
}

int main(void) {
  fflush(stdout);
  pid_t pid = fork();
  if (pid < 0) err(99, "fork");
  if (pid == 0) be_traced();
  int status;
  if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) errx(99, "the child did not stop: %x", status);
  size_t all = get_whole(pid, whole[0]);
  uint64_t in_use;
  memcpy(&in_use, whole[0] + XSTATE_BV_AT, sizeof in_use);
  printf("whole %zu, tiles %s\n", all, in_use >> TILE_DATA & 1 ? "in use" : "not in use");

  compare_get(pid, LEGACY_AND_HEADER);
  compare_get(pid, 832);
  compare_get(pid, all);
  compare_get(pid, sizeof whole[0]);
  compare_peek(pid, PTRACE_PEEKDATA, "peek of a word", (void *)&word);
  compare_peek(pid, PTRACE_PEEKTEXT, "peek of -1", (void *)&minus_one);
  compare_peek(pid, PTRACE_PEEKUSER, "peek of a register", (void *)offsetof(struct user, regs.rip));
  compare_peek(pid, PTRACE_PEEKDATA, "peek of nothing", NULL);

  struct user_regs_struct registers[2];
  struct iovec ours = {&registers[0], sizeof registers[0]}, theirs = {&registers[1], sizeof registers[1]};
  long here = ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &ours);
  long there = bare(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &theirs);
  say(here == there && memcmp(&registers[0], &registers[1], sizeof registers[0]) == 0, "get of another set", "differs");
  errno = 0;
  here = ptrace(PTRACE_GETREGSET, getppid(), (void *)NT_X86_XSTATE, &ours);
  say(here == -1 && errno == ESRCH, "get of a process not traced", strerror(errno));
  say(ptrace(PTRACE_POKEDATA, pid, (void *)&poked, (void *)77) == 0, "poke", strerror(errno));

  compare_set(pid, 832);
  compare_set(pid, LEGACY_AND_HEADER);
  compare_set(pid, all);
  say(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0, "go on", strerror(errno));
  waitpid(pid, &status, 0);
  char end[64];
  snprintf(end, sizeof end, "the child ended with %x", status);
  say(WIFEXITED(status) && WEXITSTATUS(status) == 0, "what the child has at last", end);
  return others;
}
