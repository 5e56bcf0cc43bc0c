// SPDX-License-Identifier: GPL-2.0
/*
 * What a thread has in its processor, and what the kernel knows of the thread:
 * registers, floating point, vectors, segment bases, protection keys, altstack,
 * rseq, robust list.
 */
#include "midway.h"
#include "subject.h"

#include <asm/prctl.h>
#include <cpuid.h>
#include <linux/futex.h>
#include <linux/rseq.h>
#include <sched.h>
#include <stdalign.h>
#include <stddef.h>
#include <sys/rseq.h>

#ifndef RSEQ_SIG
#define RSEQ_SIG 0x53053053
#endif

/* Looked at by the assembler code below, as all that is not static here. */
int spin_over;

static void end_spin(int sig __maybe_unused)
{
	spin_over = 1;
}

static void spin_until_sigusr1(void)
{
	struct sigaction sa = { .sa_handler = end_spin };

	CHECK(!sigaction(SIGUSR1, &sa, NULL));
}

/* What the registers hold while it spins, in the order of spin_regs. */
#define PATTERN(n) (0x1111111111111111ULL * (n) + 0x0123456789abcdefULL)

__u64 spin_want[15];
__u64 spin_got[15];
__u64 spin_stack;
__u64 spin_sp;
__u64 spin_flags;

/* Loads all registers, spins, and stores all registers. */
asm(".text\n"
	"spin_all:\n"
	"	push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15\n"
	"	mov %rsp, spin_stack(%rip)\n"
	"	mov spin_want+0(%rip), %rax\n"
	"	mov spin_want+8(%rip), %rbx\n"
	"	mov spin_want+16(%rip), %rcx\n"
	"	mov spin_want+24(%rip), %rdx\n"
	"	mov spin_want+32(%rip), %rsi\n"
	"	mov spin_want+40(%rip), %rdi\n"
	"	mov spin_want+48(%rip), %rbp\n"
	"	mov spin_want+56(%rip), %r8\n"
	"	mov spin_want+64(%rip), %r9\n"
	"	mov spin_want+72(%rip), %r10\n"
	"	mov spin_want+80(%rip), %r11\n"
	"	mov spin_want+88(%rip), %r12\n"
	"	mov spin_want+96(%rip), %r13\n"
	"	mov spin_want+104(%rip), %r14\n"
	"	mov spin_want+112(%rip), %r15\n"
	"	std\n"
	"1:	cmpl $0, spin_over(%rip)\n"
	"	je 1b\n"
	"	mov %rax, spin_got+0(%rip)\n"
	"	mov %rbx, spin_got+8(%rip)\n"
	"	mov %rcx, spin_got+16(%rip)\n"
	"	mov %rdx, spin_got+24(%rip)\n"
	"	mov %rsi, spin_got+32(%rip)\n"
	"	mov %rdi, spin_got+40(%rip)\n"
	"	mov %rbp, spin_got+48(%rip)\n"
	"	mov %r8, spin_got+56(%rip)\n"
	"	mov %r9, spin_got+64(%rip)\n"
	"	mov %r10, spin_got+72(%rip)\n"
	"	mov %r11, spin_got+80(%rip)\n"
	"	mov %r12, spin_got+88(%rip)\n"
	"	mov %r13, spin_got+96(%rip)\n"
	"	mov %r14, spin_got+104(%rip)\n"
	"	mov %r15, spin_got+112(%rip)\n"
	"	mov %rsp, spin_sp(%rip)\n"
	"	pushfq\n"
	"	pop %rax\n"
	"	mov %rax, spin_flags(%rip)\n"
	"	cld\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp\n"
	"	ret\n");

static void spin_regs(void)
{
	/* Below the stack pointer there may be data of the caller's. */
	asm volatile("sub $128, %%rsp\n"
		     "call spin_all\n"
		     "add $128, %%rsp\n"
		     : : : "memory", "cc", "rax", "rcx", "rdx", "rsi", "rdi",
		       "r8", "r9", "r10", "r11");
}

MIDWAY_TEST(general_registers)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(spin_want); i++)
		spin_want[i] = PATTERN(i);
	spin_until_sigusr1();
	say(SAY_SPINNING);
	spin_regs();
	for (i = 0; i < ARRAY_SIZE(spin_want); i++)
		CHECK(spin_got[i] == spin_want[i]);
	CHECK(spin_sp == spin_stack);
	/* The direction flag, which only a signal's handler finds clear. */
	CHECK(spin_flags & 0x400);
	wait_go();
}

alignas(64) __u8 vectors_want[32][64];
alignas(64) __u8 vectors_got[32][64];
__u64 masks_want[8];
__u64 masks_got[8];

#define EACH ".irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
#define LOAD_X EACH "movdqa vectors_want+64*\\i(%%rip), %%xmm\\i\n.endr\n"
#define STORE_X EACH "movdqa %%xmm\\i, vectors_got+64*\\i(%%rip)\n.endr\n"
#define LOAD_Y EACH "vmovdqa vectors_want+64*\\i(%%rip), %%ymm\\i\n.endr\n"
#define STORE_Y EACH "vmovdqa %%ymm\\i, vectors_got+64*\\i(%%rip)\n.endr\n"
/* Of AVX-512 there are twice as many, and masks. */
#define EACH_Z EACH_K ",8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
#define LOAD_Z EACH_Z "vmovdqa64 vectors_want+64*\\i(%%rip), %%zmm\\i\n.endr\n"
#define STORE_Z EACH_Z "vmovdqa64 %%zmm\\i, vectors_got+64*\\i(%%rip)\n.endr\n"
#define EACH_K ".irp i,0,1,2,3,4,5,6,7"
#define LOAD_K EACH_K "\nkmovq masks_want+8*\\i(%%rip), %%k\\i\n.endr\n"
#define STORE_K EACH_K "\nkmovq %%k\\i, masks_got+8*\\i(%%rip)\n.endr\n"

#define SPIN "1: cmpl $0, spin_over(%%rip)\nje 1b\n"
#define ALL_XMM "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", \
	"xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", \
	"xmm15"

static void fill_vectors(void)
{
	unsigned int seed = 42;
	size_t i;

	for (i = 0; i < sizeof(vectors_want); i++)
		((__u8 *)vectors_want)[i] = rand_r(&seed) >> 5;
	for (i = 0; i < ARRAY_SIZE(masks_want); i++)
		masks_want[i] = PATTERN(i);
	spin_until_sigusr1();
	say(SAY_SPINNING);
}

static bool vectors_are(size_t nr, size_t bytes)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (memcmp(vectors_want[i], vectors_got[i], bytes))
			return false;
	return true;
}

MIDWAY_TEST(sse_registers)
{
	fill_vectors();
	asm volatile(LOAD_X SPIN STORE_X
		     : : : "memory", "cc", ALL_XMM);
	CHECK(vectors_are(16, 16));
	wait_go();
}

/* The registers that the kernel has enabled, as XCR0 tells. */
static __u64 xcr0(void)
{
	unsigned int a, b, c, d, low, high;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
		return 0;
	asm volatile("xgetbv" : "=a" (low), "=d" (high) : "c" (0));
	return low | (__u64)high << 32;
}

static void avx_subject(void)
{
	fill_vectors();
	asm volatile(LOAD_Y SPIN STORE_Y
		     "vzeroupper\n"
		     : : : "memory", "cc", ALL_XMM);
	CHECK(vectors_are(16, 32));
	wait_go();
}

TEST_F_TIMEOUT(midway, avx_registers, 120)
{
	if ((xcr0() & 6) != 6)
		SKIP(return, "this processor has no AVX");
	run_subject(_metadata, avx_subject, variant->how);
}

static void avx512_subject(void)
{
	fill_vectors();
	asm volatile(LOAD_Z LOAD_K SPIN STORE_Z STORE_K
		     "vzeroupper\n"
		     : : : "memory", "cc", ALL_XMM);
	CHECK(vectors_are(32, 64));
	CHECK(!memcmp(masks_want, masks_got, sizeof(masks_want)));
	wait_go();
}

TEST_F_TIMEOUT(midway, avx512_registers, 120)
{
	unsigned int a, b, c, d;

	/* With AVX512BW, whose masks are of 64 bits. */
	if ((xcr0() & 0xe6) != 0xe6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d) ||
	    !(b & bit_AVX512BW))
		SKIP(return, "this processor has no AVX-512");
	run_subject(_metadata, avx512_subject, variant->how);
}

/*
 * In a critical section of rseq, which ends in no other way than by its abort:
 * to be saved is to be preempted.
 */
static alignas(32) struct rseq_cs critical;

static void rseq_subject(void)
{
	struct rseq *area = (struct rseq *)((char *)__builtin_thread_pointer() +
					    __rseq_offset);
	__u64 start, len, abort_ip;

	asm volatile("lea 1f(%%rip), %0\n"
		     "lea 2f(%%rip), %1\n"
		     "lea 4f(%%rip), %2\n"
		     "sub %0, %1\n"
		     "jmp 3f\n"
		     "1: jmp 1b\n"
		     "2: ud2\n"
		     /* The signature, as the kernel wants it before the handler. */
		     ".byte 0x0f, 0xb9, 0x3d\n"
		     ".long 0x53053053\n"
		     "4: jmp 5f\n"
		     "3:\n"
		     "mov %0, %c[start](%[cs])\n"
		     "mov %1, %c[len](%[cs])\n"
		     "mov %2, %c[abort](%[cs])\n"
		     "mov %[one], %%rdi\n"
		     "lea 6f(%%rip), %%rsi\n"
		     "mov $1, %%edx\n"
		     "mov $1, %%eax\n"
		     "syscall\n"
		     "mov %[cs], %c[ptr](%[area])\n"
		     "jmp 1b\n"
		     "6: .byte 'b'\n"
		     "5:\n"
		     : "=&r" (start), "=&r" (len), "=&r" (abort_ip)
		     : [cs] "r" (&critical), [area] "r" (area), [one] "i" (1),
		       [start] "i" (offsetof(struct rseq_cs, start_ip)),
		       [len] "i" (offsetof(struct rseq_cs, post_commit_offset)),
		       [abort] "i" (offsetof(struct rseq_cs, abort_ip)),
		       [ptr] "i" (offsetof(struct rseq, rseq_cs))
		     : "memory", "cc", "rax", "rcx", "rdx", "rsi", "rdi", "r11");
	CHECK(!READ_ONCE(area->rseq_cs));
	wait_go();
	CHECK((int)READ_ONCE(area->cpu_id) >= 0);
}

TEST_F_TIMEOUT(midway, rseq_critical_section_is_aborted, 120)
{
	if (!__rseq_size)
		SKIP(return, "the C library has not registered rseq");
	run_subject(_metadata, rseq_subject, variant->how);
}

/* The processor that rseq tells is the one that it is. */
SUBJECT_TEST(rseq_tells_the_processor)
{
	struct rseq *area;
	cpu_set_t set;
	int cpu, last;

	area = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
	checkpoint_here();
	if (!__rseq_size)
		return;
	last = sysconf(_SC_NPROCESSORS_ONLN) - 1;
	for (cpu = last; cpu >= 0; cpu--) {
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		CHECK(!sched_setaffinity(0, sizeof(set), &set));
		CHECK((int)READ_ONCE(area->cpu_id) == cpu);
		CHECK((int)READ_ONCE(area->cpu_id_start) == cpu);
	}
}

/* It is registered still: the same one again is busy, and it can be taken back. */
SUBJECT_TEST(rseq_stays_registered)
{
	static alignas(32) struct rseq other;
	void *area = (char *)__builtin_thread_pointer() + __rseq_offset;
	/* The C library's, which may be larger than what it tells. */
	unsigned int len = __rseq_size < 32 ? 32 : __rseq_size;
	bool own = !__rseq_size;

	if (own) {
		area = &other;
		CHECK(!syscall(SYS_rseq, area, len, 0, RSEQ_SIG));
	}
	checkpoint_here();
	errno = 0;
	CHECK(syscall(SYS_rseq, area, len, 0, RSEQ_SIG) == -1 && errno == EBUSY);
	CHECK(syscall(SYS_rseq, area, len, 0, RSEQ_SIG + 1) == -1 &&
	      errno == EPERM);
	CHECK(!syscall(SYS_rseq, area, len, RSEQ_FLAG_UNREGISTER, RSEQ_SIG));
	CHECK(syscall(SYS_rseq, area, len, RSEQ_FLAG_UNREGISTER, RSEQ_SIG) == -1);
}

SUBJECT_TEST(rseq_not_registered)
{
	void *area = (char *)__builtin_thread_pointer() + __rseq_offset;
	unsigned int len = __rseq_size < 32 ? 32 : __rseq_size;

	if (__rseq_size)
		CHECK(!syscall(SYS_rseq, area, len, RSEQ_FLAG_UNREGISTER, RSEQ_SIG));
	checkpoint_here();
	CHECK(syscall(SYS_rseq, area, len, RSEQ_FLAG_UNREGISTER, RSEQ_SIG) == -1);
}

static __thread __u64 thread_local = 0x7654321076543210ULL;

SUBJECT_TEST(segment_bases)
{
	static __u64 data[2] = { 0x0102030405060708ULL, 42 };
	unsigned long fs[2], gs = 0;
	__u64 seen;

	CHECK(!syscall(SYS_arch_prctl, ARCH_GET_FS, &fs[0]));
	CHECK(!syscall(SYS_arch_prctl, ARCH_SET_GS, data));
	thread_local++;
	checkpoint_here();
	CHECK(!syscall(SYS_arch_prctl, ARCH_GET_FS, &fs[1]));
	CHECK(fs[0] == fs[1]);
	CHECK(!syscall(SYS_arch_prctl, ARCH_GET_GS, &gs));
	CHECK(gs == (unsigned long)data);
	asm volatile("mov %%gs:8, %0" : "=r" (seen));
	CHECK(seen == 42);
	CHECK(thread_local == 0x7654321076543211ULL);
}

SUBJECT_TEST(floating_point_control)
{
	unsigned short cw = 0x0f7f, seen = 0;
	/* Rounds up, flushes to zero, and masks nothing less than all. */
	unsigned int mxcsr = 0x1f80 | 0x4000 | 0x8000, now = 0;

	asm volatile("fldcw %0" : : "m" (cw));
	asm volatile("ldmxcsr %0" : : "m" (mxcsr));
	checkpoint_here();
	asm volatile("fnstcw %0" : "=m" (seen));
	asm volatile("stmxcsr %0" : "=m" (now));
	CHECK(seen == cw);
	CHECK((now & ~0x3fU) == mxcsr);
}

SUBJECT_TEST(x87_stack)
{
	double a = 0, b = 0, c = 0;

	asm volatile("fninit\nfldpi\nfldl2e\nfld1\n" : : : "memory");
	checkpoint_here();
	asm volatile("fstpl %0\nfstpl %1\nfstpl %2\n"
		     : "=m" (a), "=m" (b), "=m" (c));
	CHECK(a == 1);
	CHECK(b > 1.4426950408889 && b < 1.4426950408890);
	CHECK(c > 3.1415926535897 && c < 3.1415926535898);
}

static unsigned int rdpkru(void)
{
	unsigned int a, d;

	asm volatile(".byte 0x0f, 0x01, 0xee" : "=a" (a), "=d" (d) : "c" (0));
	return a;
}

static void pkru_subject(void)
{
	int one = pkey_alloc(0, PKEY_DISABLE_WRITE), two = pkey_alloc(0, 0), three;
	unsigned int before;
	char *mem;

	CHECK(one > 0 && two > 0);
	mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(mem != MAP_FAILED);
	put_text(mem, "guarded");
	CHECK(!pkey_mprotect(mem, 4096, PROT_READ | PROT_WRITE, one));
	CHECK(!pkey_set(two, PKEY_DISABLE_ACCESS));
	before = rdpkru();
	checkpoint_here();
	CHECK(rdpkru() == before);
	CHECK(pkey_get(one) == PKEY_DISABLE_WRITE);
	CHECK(pkey_get(two) == PKEY_DISABLE_ACCESS);
	CHECK(!strcmp(mem, "guarded"));
	/* The key guards its page, and both keys are taken. */
	CHECK(prctl(PR_GET_NAME, mem) == -1 && errno == EFAULT);
	three = pkey_alloc(0, 0);
	CHECK(three > 0 && three != one && three != two);
	CHECK(!pkey_free(one) && !pkey_free(two));
	CHECK(pkey_free(two) == -1);
}

TEST_F_TIMEOUT(subject, protection_keys, 120)
{
	int key = pkey_alloc(0, 0);

	if (key < 0)
		SKIP(return, "this processor has no protection keys");
	pkey_free(key);
	run_subject(_metadata, pkru_subject, variant->how);
}

static char alternative[65536];
static int on_altstack;

static void where_am_i(int sig __maybe_unused)
{
	char here;

	on_altstack = &here >= alternative &&
		      &here < alternative + sizeof(alternative);
}

SUBJECT_TEST(altstack)
{
	stack_t ss = { .ss_sp = alternative, .ss_size = sizeof(alternative) };
	struct sigaction sa = { .sa_handler = where_am_i, .sa_flags = SA_ONSTACK };
	stack_t now = { 0 };

	CHECK(!sigaltstack(&ss, NULL));
	CHECK(!sigaction(SIGUSR2, &sa, NULL));
	checkpoint_here();
	CHECK(!sigaltstack(NULL, &now));
	CHECK(now.ss_sp == alternative && now.ss_size == sizeof(alternative) &&
	      !now.ss_flags);
	CHECK(!kill(getpid(), SIGUSR2));
	CHECK(READ_ONCE(on_altstack));
}

static void checkpoint_in_handler(int sig __maybe_unused)
{
	where_am_i(sig);
	checkpoint_here();
}

/* In the middle of a handler, which returns to where the signal came. */
SUBJECT_TEST(in_a_handler_on_the_altstack)
{
	stack_t ss = { .ss_sp = alternative, .ss_size = sizeof(alternative) };
	struct sigaction sa = {
		.sa_handler = checkpoint_in_handler, .sa_flags = SA_ONSTACK,
	};
	stack_t now = { 0 };
	sigset_t set;

	CHECK(!sigaltstack(&ss, NULL));
	CHECK(!sigaction(SIGUSR2, &sa, NULL));
	CHECK(!kill(getpid(), SIGUSR2));
	CHECK(READ_ONCE(on_altstack));
	CHECK(!sigaltstack(NULL, &now));
	CHECK(!now.ss_flags);
	CHECK(!sigprocmask(SIG_BLOCK, NULL, &set));
	CHECK(!sigismember(&set, SIGUSR2));
}

SUBJECT_TEST(altstack_with_autodisarm)
{
	stack_t ss = {
		.ss_sp = alternative, .ss_size = sizeof(alternative),
		.ss_flags = 1U << 31,
	};
	stack_t now = { 0 };

	CHECK(!sigaltstack(&ss, NULL));
	checkpoint_here();
	CHECK(!sigaltstack(NULL, &now));
	CHECK(now.ss_sp == alternative && (unsigned int)now.ss_flags == 1U << 31);
}

SUBJECT_TEST(robust_list)
{
	struct robust_list_head head = { .list.next = &head.list }, *now = NULL;
	size_t len = 0;

	CHECK(!syscall(SYS_set_robust_list, &head, sizeof(head)));
	checkpoint_here();
	CHECK(!syscall(SYS_get_robust_list, 0, &now, &len));
	CHECK(now == &head && len == sizeof(head));
}

SUBJECT_TEST(clear_child_tid)
{
	static int tid = 4711;
	int *now = NULL;

	syscall(SYS_set_tid_address, &tid);
	checkpoint_here();
	CHECK(!prctl(PR_GET_TID_ADDRESS, &now));
	CHECK(now == &tid);
	CHECK(tid == 4711);
}

SUBJECT_TEST(personality)
{
	long old = syscall(SYS_personality, 0xffffffff);

	CHECK(old >= 0);
	CHECK(syscall(SYS_personality, old | 0x0040000) == old);
	checkpoint_here();
	CHECK(syscall(SYS_personality, 0xffffffff) == (old | 0x0040000));
}

SUBJECT_TEST(pid_and_name)
{
	pid_t pid = getpid();

	checkpoint_here();
	/* By the system call, not from what the C library remembers. */
	CHECK(syscall(SYS_getpid) == pid);
	CHECK(syscall(SYS_gettid) == pid);
	CHECK(!strcmp(get_comm().name, "subject"));
}

/* What the vDSO tells of time is right, and does not run backwards. */
SUBJECT_TEST(clocks_go_on)
{
	__u64 real, mono = now_ns(CLOCK_MONOTONIC), seen;
	struct timespec ts;

	real = now_ns(CLOCK_REALTIME);
	checkpoint_here();
	CHECK(now_ns(CLOCK_MONOTONIC) >= mono);
	CHECK(now_ns(CLOCK_REALTIME) >= real);
	seen = now_ns(CLOCK_MONOTONIC);
	CHECK(!syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts));
	CHECK(ts.tv_sec * SEC + ts.tv_nsec >= seen);
	CHECK(ts.tv_sec * SEC + ts.tv_nsec - seen < 10 * SEC);
}

/* Errors of a call stay what they are: a thread's own memory, in the TLS. */
SUBJECT_TEST(errno_survives)
{
	CHECK(close(-1) == -1);
	errno = ENOTTY;
	checkpoint_here();
	CHECK(errno == ENOTTY);
}

TEST_HARNESS_MAIN
