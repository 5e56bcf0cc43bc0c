// SPDX-License-Identifier: GPL-2.0
/*
 * 32-bit programs (see ia32_program.c), and the segments that a program of
 * either kind has made: by set_thread_area(2), or by modify_ldt(2).
 */
#include "midway.h"
#include "subject.h"
#include "caller.h"

#include <asm/ldt.h>

#define GDT(n) ((n) << 3 | 3)
#define LDT(n) ((n) << 3 | 7)

/* In the subject: goes on as that program. */
static void become(const char *test, const char *way)
{
	char path[PATH_MAX];
	char *const argv[] = {
		"ia32_program", (char *)test, (char *)way, NULL,
	};
	char *const envp[] = { "A=1", NULL };
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 16);

	CHECK(n > 0);
	path[n] = '\0';
	put_text(strrchr(path, '/') + 1, "ia32_program");
	execve(path, argv, envp);
	CHECK(!"execve of a 32-bit program");
}

/* The program has what is called @test, and calls the kernel by @way. */
#define IA32_TEST(test, way) \
	static void ia32_##test##_by_##way##_subject(void) \
	{ \
		become(#test, #way); \
	} \
	TEST_F_TIMEOUT(midway, ia32_##test##_by_##way, 120) \
	{ \
		run_subject_flags(_metadata, ia32_##test##_by_##way##_subject, \
				  variant->how, MIDWAY_DEAD, 0); \
	}

IA32_TEST(registers, int80)
IA32_TEST(nanosleep, int80)
IA32_TEST(nanosleep, vdso)
IA32_TEST(nanosleep_interrupted, int80)
IA32_TEST(nanosleep_interrupted, vdso)
IA32_TEST(nanosleep64_interrupted, int80)
IA32_TEST(nanosleep64_interrupted, vdso)
IA32_TEST(poll, int80)
IA32_TEST(poll, vdso)
IA32_TEST(poll_without_end, int80)
IA32_TEST(poll_without_end, vdso)
IA32_TEST(futex, int80)
IA32_TEST(futex, vdso)
IA32_TEST(futex64, int80)
IA32_TEST(futex64, vdso)
IA32_TEST(sigtimedwait, int80)
IA32_TEST(sigtimedwait, vdso)
IA32_TEST(pause, int80)
IA32_TEST(pause, vdso)
IA32_TEST(read_goes_on, int80)
IA32_TEST(read_goes_on, vdso)
IA32_TEST(handler_with_info, int80)
IA32_TEST(handler_with_info, vdso)
IA32_TEST(handler_old_style, int80)
IA32_TEST(handler_old_style, vdso)
IA32_TEST(tls, int80)
IA32_TEST(tls, vdso)
IA32_TEST(ldt, int80)
IA32_TEST(large_ldt, int80)
IA32_TEST(code_of_64_bits, int80)
IA32_TEST(robust_list, int80)
IA32_TEST(stack_and_rseq, int80)
IA32_TEST(personality, int80)
IA32_TEST(memory, int80)
IA32_TEST(memory, vdso)
IA32_TEST(auxv, int80)
IA32_TEST(vdso, int80)
IA32_TEST(vdso, vdso)

/* It is what it was to others, too: /proc, and another checkpoint. */
TEST_F_TIMEOUT(midway, ia32_image_says_so, 120)
{
	struct subject s = { .metadata = _metadata };
	struct cr_hdr_thread *thread;
	struct cr_hdr_cpu *cpu;
	struct walk w;
	int fd;

	ASSERT_TRUE(subject_start(&s, ia32_tls_by_int80_subject, LEFT));
	ASSERT_TRUE(subject_checkpoint(&s, LEFT, 0));
	subject_finish(&s, "the one that went on");
	ASSERT_TRUE(subject_restart(&s));
	ASSERT_TRUE(proc_wait_asleep(s.pid));

	fd = tmp_memfd();
	ASSERT_LT(0, sys_checkpoint(s.pid, fd, 0, 0));
	w = walk_file(fd);
	ASSERT_EQ(NULL, w.wrong);
	thread = walk_find(&w, CR_HDR_THREAD);
	EXPECT_TRUE(thread->flags == (CR_THREAD_IA32 | CR_THREAD_RESTART_COMPAT))
		TH_LOG("flags %#x", thread->flags);
	cpu = walk_find(&w, CR_HDR_CPU);
	EXPECT_TRUE(cpu->cs == 0x23 && cpu->ip <= UINT32_MAX);
	EXPECT_TRUE(cpu->tls[0] && cpu->tls[1] && cpu->tls[2]);
	/* What it is restored from next, for a second time. */
	ASSERT_EQ(0, ftruncate(s.image, 0));
	ASSERT_EQ((ssize_t)w.len, pwrite(s.image, w.buf, w.len, 0));
	walk_free(&w);
	close(fd);
	subject_finish(&s, "the restored one");
	if (subject_restart(&s))
		subject_finish(&s, "the one restored twice");
	subject_close(&s);
}

/* Segments of a 64-bit program */

#define GET_SEG(seg) ({ \
	unsigned int v_; \
	asm volatile("mov %%" #seg ", %0" : "=r" (v_)); \
	v_ & 0xffff; \
})
#define SET_SEG(seg, value) ({ \
	asm volatile("mov %0, %%" #seg : : "r" (value) : "memory"); \
})
#define FROM_SEG(seg) ({ \
	unsigned int v_; \
	asm volatile("movl %%" #seg ":0, %0" : "=r" (v_)); \
	v_; \
})

/* Memory that has an address of 32 bits. */
static void *low_memory(int prot)
{
	void *p = mmap(NULL, 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
		       -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static struct user_desc data_at(int entry, const void *base)
{
	return (struct user_desc) {
		.entry_number = entry,
		.base_addr = (uintptr_t)base,
		.limit = 0xfffff,
		.limit_in_pages = 1,
		.seg_32bit = 1,
	};
}

static void make_ldt(const struct user_desc *desc)
{
	CHECK(!(int)syscall(SYS_modify_ldt, 0x11, desc, sizeof(*desc)));
}

/* A system call of 32 bits, by a 64-bit program. */
static int int80(int nr, const void *a, const void *b, long c, const void *d)
{
	int ret;

	asm volatile("int $0x80"
		     : "=a" (ret)
		     : "0" (nr), "b" (a), "c" (b), "d" (c), "S" (d), "D" (0)
		     : "memory", "r8", "r9", "r10", "r11");
	return ret;
}

/*
 * The C library has %fs for itself, and set_thread_area(2) is a system call of
 * 32 bits only.
 */
static void make_segments(unsigned int *low)
{
	struct user_desc *tls = (void *)(low + 512), desc;

	low[0] = 0xfeed0001;
	low[16] = 0xfeed0002;
	*tls = data_at(-1, low);
	CHECK(!int80(243, tls, NULL, 0, NULL));
	desc = data_at(3, low + 16);
	make_ldt(&desc);
	desc = data_at(4, NULL);
	desc.contents = MODIFY_LDT_CONTENTS_CODE;
	make_ldt(&desc);
	SET_SEG(gs, GDT(tls->entry_number));
	SET_SEG(ds, LDT(3));
	SET_SEG(es, LDT(4));
}

static void check_segments(unsigned int *low)
{
	struct user_desc *now = (void *)(low + 512);
	__u64 ldt[8] = { 0 };

	CHECK(GET_SEG(ds) == LDT(3));
	CHECK(GET_SEG(es) == LDT(4));
	CHECK(FROM_SEG(gs) == low[0]);
	*now = (struct user_desc) { .entry_number = GET_SEG(gs) >> 3 };
	CHECK(!int80(244, now, NULL, 0, NULL));
	CHECK(now->base_addr == (uintptr_t)low);
	CHECK((int)syscall(SYS_modify_ldt, 0, ldt, sizeof(ldt)) == sizeof(ldt));
	CHECK(!ldt[0] && !ldt[2] && ldt[3] && ldt[4] && !ldt[5]);
	SET_SEG(gs, LDT(3));
	CHECK(FROM_SEG(gs) == low[16]);
}

SUBJECT_TEST(segments_of_a_64_bit_program)
{
	unsigned int *low = low_memory(PROT_READ | PROT_WRITE);

	make_segments(low);
	checkpoint_here();
	check_segments(low);
}

/* gs has another base than its descriptor says, as WRGSBASE can do. */
SUBJECT_TEST(base_other_than_that_of_the_segment)
{
	unsigned int *low = low_memory(PROT_READ | PROT_WRITE);
	static unsigned int here = 0xfeed0003;

	make_segments(low);
	/* ARCH_SET_GS, which makes the selector 0. */
	CHECK(!syscall(SYS_arch_prctl, 0x1001, &here));
	checkpoint_here();
	CHECK(FROM_SEG(gs) == here);
	CHECK(GET_SEG(gs) == 0);
}

/* System calls of 32 bits by a 64-bit program */

MIDWAY_TEST(int80_nanosleep)
{
	int *ts = low_memory(PROT_READ | PROT_WRITE);
	__u64 began = now_ns(CLOCK_MONOTONIC);

	ts[0] = 1;
	ts[1] = 500 * MSEC;
	say(SAY_READY);
	CHECK(!int80(162, ts, ts + 2, 0, NULL));
	CHECK(now_ns(CLOCK_MONOTONIC) - began >= 1500 * MSEC);
	wait_go();
}

MIDWAY_TEST(int80_read)
{
	char *c = low_memory(PROT_READ | PROT_WRITE);

	say(SAY_READY);
	CHECK(int80(3, NULL, c, 1, NULL) == 1);
	CHECK(*c == 'g');
}

/* A list of futexes of 32 bits beside the one of the C library. */
SUBJECT_TEST(int80_robust_list)
{
	unsigned int *low = low_memory(PROT_READ | PROT_WRITE);
	void *head = NULL, *now = NULL;
	size_t len;

	low[0] = (uintptr_t)low;
	CHECK(!syscall(SYS_get_robust_list, 0, &head, &len));
	CHECK(!int80(311, low, (void *)12, 0, NULL));
	checkpoint_here();
	CHECK(!int80(312, NULL, low + 8, (uintptr_t)(low + 9), NULL));
	CHECK(low[8] == (uintptr_t)low && low[9] == 12);
	CHECK(!syscall(SYS_get_robust_list, 0, &now, &len) && now == head);
}

/*
 * Goes to a segment of 32 bits, and there into read(2). What is on its stack,
 * %rdi, leads back. All of this is copied to where 32 bits lead to.
 */
asm(".text\n"
	"far32_begin:\n"
	"	push %rbx\n"
	"	mov %rsp, far32_sp(%rip)\n"
	"	mov %rdi, %rsp\n"
	"	mov $3, %eax\n"
	"	xor %ebx, %ebx\n"
	"	mov %esi, %ecx\n"
	"	mov %edx, far32_to(%rip)\n"
	"	mov $1, %edx\n"
	"	ljmp *far32_to(%rip)\n"
	".code32\n"
	"far32_code:\n"
	"	int $0x80\n"
	"	ljmp *(%esp)\n"
	".code64\n"
	"far32_back:\n"
	"	mov far32_sp(%rip), %rsp\n"
	"	pop %rbx\n"
	"	ret\n"
	"	.balign 8\n"
	"far32_sp: .quad 0\n"
	"far32_to: .long 0; .word 0x23\n"
	"far32_end:\n");

#define FAR32(what) ({ \
	const char *at_; \
	asm("lea far32_" #what "(%%rip), %0" : "=r" (at_)); \
	at_; \
})

MIDWAY_TEST(code_of_32_bits_in_a_64_bit_program)
{
	char *code = low_memory(PROT_READ | PROT_WRITE | PROT_EXEC);
	unsigned int *stack = low_memory(PROT_READ | PROT_WRITE);
	int (*go)(void *stack, char *to, unsigned int ip) = (void *)code;

	memcpy(code, FAR32(begin), FAR32(end) - FAR32(begin));
	stack[512] = (uintptr_t)code + (FAR32(back) - FAR32(begin));
	stack[513] = 0x33;
	say(SAY_READY);
	CHECK(go(stack + 512, (char *)stack,
		 (uintptr_t)code + (FAR32(code) - FAR32(begin))) == 1);
	CHECK(*(char *)stack == 'g');
}

/* Images that somebody made */

FIXTURE(hostile)
{
	struct subject s;
	struct walk w;
};

/* @craft spoils an image with segments in it. */
FIXTURE_VARIANT(hostile)
{
	void (*craft)(struct walk *w);
	const char *what;
	int err;		/* EINVAL if 0 */
};

FIXTURE_SETUP(hostile)
{
	if (skip_without_root(_metadata, "to give pids"))
		return;
	ASSERT_TRUE(make_dir());
	self->s.metadata = _metadata;
	ASSERT_TRUE(subject_start(&self->s, segments_of_a_64_bit_program_subject,
				  LEFT));
	ASSERT_TRUE(subject_checkpoint(&self->s, LEFT, 0));
	self->w = walk_file(self->s.image);
	ASSERT_EQ(NULL, self->w.wrong);
}

FIXTURE_TEARDOWN(hostile)
{
	subject_finish(&self->s, "the one that went on");
	subject_close(&self->s);
	walk_free(&self->w);
	remove_dir();
}

/* The child: 0 if it is refused, and is as it was. */
static int refused_child(int fd, int logfd, int err)
{
	static struct snapshot before, after;
	static char differs[512];
	unsigned int *low;

	settle(-1, -1, -1);
	decorate();
	/* It has segments of its own, which it would miss. */
	low = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (low == MAP_FAILED)
		return 1;
	make_segments(low);
	take_snapshot(&before);
	take_snapshot(&before);
	if (sys_restart(0, fd, CHECKPOINT_LOG, logfd) != -1)
		return 2;
	if (errno != err)
		return 100 + errno;
	check_segments(low);
	SET_SEG(gs, 0);
	take_snapshot(&after);
	return same_snapshots(&before, &after, differs, sizeof(differs)) ? 0 : 3;
}

TEST_F(hostile, image_is_refused)
{
	int fd = tmp_memfd(), logfd = tmp_memfd(), status;
	char log[1024] = { 0 };
	pid_t pid;

	variant->craft(&self->w);
	walk_seal(&self->w);
	ASSERT_TRUE(write_all(fd, self->w.buf, self->w.len));
	ASSERT_EQ(0, lseek(fd, 0, SEEK_SET));
	pid = fork();
	if (!pid)
		_exit(refused_child(fd, logfd, variant->err ?: EINVAL));
	status = wait_ms(pid, PATIENCE);
	EXPECT_EQ(0, status)
		TH_LOG("status %#x", status);
	ASSERT_LE(0, pread(logfd, log, sizeof(log) - 1, 0));
	EXPECT_TRUE(one_printable_line(log) && strstr(log, variant->what))
		TH_LOG("log '%s', wanted '%s'", log, variant->what);
	close(fd);
	close(logfd);
}

#define HOSTILE(name, text, ...) \
	static void hostile_##name(struct walk *w); \
	FIXTURE_VARIANT_ADD(hostile, name) { \
		.craft = hostile_##name, .what = (text), ##__VA_ARGS__ \
	}; \
	static void hostile_##name(struct walk *w)

static struct cr_hdr_cpu *cpu(struct walk *w)
{
	return walk_find(w, CR_HDR_CPU);
}

static __u64 *ldt(struct walk *w)
{
	return walk_find(w, CR_HDR_LDT);
}

/* A flat segment of data; its type, with "present" and the ring; gates. */
#define FLAT 0x00cf000000000000ULL
#define TYPE(n) ((__u64)(n) << 40)
#define LIMIT 0xffffULL

HOSTILE(tls_of_code, "register tls")
{
	cpu(w)->tls[0] = FLAT | LIMIT | TYPE(0xfb);
}

HOSTILE(tls_of_ring_0, "register tls")
{
	cpu(w)->tls[1] = FLAT | LIMIT | TYPE(0x93);
}

HOSTILE(tls_of_16_bits, "register tls")
{
	cpu(w)->tls[2] = LIMIT | TYPE(0xf3);
}

HOSTILE(tls_not_present, "register tls")
{
	cpu(w)->tls[0] = FLAT | LIMIT | TYPE(0x73);
}

HOSTILE(tls_gate, "register tls")
{
	cpu(w)->tls[0] = FLAT | LIMIT | TYPE(0xec);
}

HOSTILE(ldt_of_ring_0, "LDT: entry 3")
{
	ldt(w)[3] = FLAT | LIMIT | TYPE(0x93);
}

HOSTILE(ldt_code_of_ring_0, "LDT: entry 4")
{
	ldt(w)[4] = FLAT | LIMIT | TYPE(0x9b);
}

HOSTILE(ldt_conforming_code, "LDT: entry 4")
{
	ldt(w)[4] = FLAT | LIMIT | TYPE(0xff);
}

HOSTILE(ldt_code_of_64_bits, "LDT: entry 4")
{
	ldt(w)[4] = 0x00af000000000000ULL | LIMIT | TYPE(0xfb);
}

HOSTILE(ldt_call_gate, "LDT: entry 0")
{
	ldt(w)[0] = 0x10ULL << 16 | TYPE(0xec);
}

HOSTILE(ldt_system_segment, "LDT: entry 1")
{
	ldt(w)[1] = LIMIT | TYPE(0x82);
}

/* The processor would write to it. */
HOSTILE(ldt_not_yet_accessed, "LDT: entry 3")
{
	ldt(w)[3] = FLAT | LIMIT | TYPE(0xf2);
}

HOSTILE(code_of_the_kernel, "register cs")
{
	cpu(w)->cs = 0x10 | 3;
}

HOSTILE(code_of_ring_0, "register cs")
{
	cpu(w)->cs = LDT(4) & ~3;
}

HOSTILE(code_in_a_segment_of_set_thread_area, "register cs")
{
	cpu(w)->cs = GDT(12);
}

HOSTILE(stack_of_the_kernel, "register ss")
{
	cpu(w)->ss = 0x18 | 3;
}

HOSTILE(no_stack, "register ss")
{
	cpu(w)->ss = 0;
}

HOSTILE(data_of_the_kernel, "register ds")
{
	cpu(w)->ds = 0x18 | 3;
}

HOSTILE(task_state_segment, "register gs")
{
	cpu(w)->gs = 0x40 | 3;
}

HOSTILE(code_of_32_bits_at_an_address_of_64, "register ip")
{
	cpu(w)->cs = 0x23;
	cpu(w)->ip = 1ULL << 32;
}

HOSTILE(unknown_flag, "flags")
{
	((struct cr_hdr_thread *)walk_find(w, CR_HDR_THREAD))->flags = 0x80;
}

HOSTILE(list_of_futexes_beyond_32_bits, "compat_robust_list")
{
	((struct cr_hdr_thread *)walk_find(w, CR_HDR_THREAD))->compat_robust_list =
		1ULL << 32;
}

/* One says so, the other not. */
HOSTILE(thread_of_32_bits_in_memory_of_64, "flags")
{
	((struct cr_hdr_thread *)walk_find(w, CR_HDR_THREAD))->flags =
		CR_THREAD_IA32;
}

/* Its mappings are not where those of a 32-bit program can be. */
HOSTILE(program_of_64_bits_as_one_of_32, "vDSO")
{
	((struct cr_hdr_thread *)walk_find(w, CR_HDR_THREAD))->flags =
		CR_THREAD_IA32;
	((struct cr_hdr_mm_context *)walk_find(w, CR_HDR_MM_CONTEXT))->flags =
		CR_THREAD_IA32;
}

HOSTILE(too_many_entries, "ldt_entries")
{
	((struct cr_hdr_mm_context *)walk_find(w, CR_HDR_MM_CONTEXT))->ldt_entries =
		CR_LDT_MAX + 1;
}

TEST_HARNESS_MAIN
