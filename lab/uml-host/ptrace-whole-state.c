/*
 * Loaded before linux.uml (LD_PRELOAD): ptrace() whose register set NT_X86_XSTATE is always the whole of what the processor has.
 *
 * The user-mode kernel reads and writes the floating-point state of the processes it traces through a buffer of a fixed size. The machine's
 * kernel refuses to set a state that is shorter than the processor's, and one with AMX tiles is 11 KiB long. So a caller's shorter get is
 * answered out of a whole one, and a caller's shorter set is laid over the whole that is there. Nobody in a host of the lab uses tiles: they are
 * marked as unused, so that the rest of a state never meets tiles of another process.
 */
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define XSTATE_BV_AT 512 /* the header's first word: which components are in use */
#define TILE_COMPONENTS (UINT64_C(3) << 17)

/* The user-mode kernel's own stack is 16 KiB, so this cannot lie on it; one thread alone traces. */
static unsigned char whole[16384] __attribute__((aligned(64)));

static long bare(long request, long pid, void *address, void *data)
{
	return syscall(SYS_ptrace, request, pid, address, data);
}

static long get_whole(long pid, size_t *length)
{
	struct iovec all = { whole, sizeof whole };
	long answer = bare(PTRACE_GETREGSET, pid, (void *)NT_X86_XSTATE, &all);
	*length = all.iov_len;
	return answer;
}

static long get_state(long pid, struct iovec *wanted)
{
	size_t length;
	if (get_whole(pid, &length) != 0)
		return -1;
	if (wanted->iov_len > length)
		wanted->iov_len = length;
	memcpy(wanted->iov_base, whole, wanted->iov_len);
	return 0;
}

static long set_state(long pid, const struct iovec *given)
{
	size_t length;
	uint64_t in_use;
	if (get_whole(pid, &length) != 0)
		return -1;
	memcpy(whole, given->iov_base, given->iov_len < length ? given->iov_len : length);
	memcpy(&in_use, whole + XSTATE_BV_AT, sizeof in_use);
	in_use &= ~TILE_COMPONENTS;
	memcpy(whole + XSTATE_BV_AT, &in_use, sizeof in_use);
	struct iovec all = { whole, length };
	return bare(PTRACE_SETREGSET, pid, (void *)NT_X86_XSTATE, &all);
}

/* glibc answers the PEEK requests with the word itself, where the system call stores it. */
static long peek(long request, long pid, void *address)
{
	long word;
	if (bare(request, pid, address, &word) < 0)
		return -1;
	errno = 0;
	return word;
}

long ptrace(enum __ptrace_request request, ...)
{
	va_list rest;
	va_start(rest, request);
	long pid = va_arg(rest, pid_t);
	void *address = va_arg(rest, void *);
	void *data = va_arg(rest, void *);
	va_end(rest);
	if (request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSER)
		return peek(request, pid, address);
	if ((uintptr_t)address == NT_X86_XSTATE && request == PTRACE_GETREGSET)
		return get_state(pid, data);
	if ((uintptr_t)address == NT_X86_XSTATE && request == PTRACE_SETREGSET)
		return set_state(pid, data);
	return bare(request, pid, address, data);
}
