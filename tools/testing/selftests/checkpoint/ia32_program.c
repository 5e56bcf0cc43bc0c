// SPDX-License-Identifier: GPL-2.0
/*
 * A 32-bit program without a C library, or even its headers: a subject of
 * ia32.c, as proc.h describes it. The first argument says what it has and does
 * when it is saved, the second by what instruction it calls the kernel: "int80",
 * or "vdso" for what the vDSO does, SYSENTER or SYSCALL.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define NULL ((void *)0)
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define READ_ONCE(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), v, __ATOMIC_RELAXED)

/* System calls of i386 */
enum {
	NR_read = 3, NR_write = 4, NR_open = 5, NR_close = 6, NR_pause = 29,
	NR_brk = 45, NR_signal = 48, NR_sigaction = 67, NR_uname = 122,
	NR_modify_ldt = 123, NR_personality = 136, NR_nanosleep = 162,
	NR_poll = 168, NR_prctl = 172, NR_rt_sigaction = 174,
	NR_rt_sigprocmask = 175, NR_rt_sigtimedwait = 177, NR_sigaltstack = 186,
	NR_mmap2 = 192, NR_futex = 240, NR_set_thread_area = 243,
	NR_get_thread_area = 244, NR_exit_group = 252, NR_clock_gettime = 265,
	NR_set_robust_list = 311, NR_get_robust_list = 312, NR_rseq = 386,
	NR_clock_gettime64 = 403, NR_clock_nanosleep64 = 407,
	NR_ppoll64 = 414, NR_rt_sigtimedwait64 = 421, NR_futex64 = 422,
};

#define EINTR 4
#define EAGAIN 11
#define EINVAL 22
#define ETIMEDOUT 110

#define SIGUSR1 10
#define SA_SIGINFO 4
#define SA_RESTART 0x10000000

#define CLOCK_MONOTONIC 1

/* How long a call waits, in milliseconds, and how late it may be. */
#define LONG_ENOUGH 1500
#define PATIENCE 30000

struct timespec32 {
	int sec;
	int nsec;
};

struct timespec64 {
	u64 sec;
	u32 nsec;
	u32 pad;
};

struct user_desc {
	u32 entry;
	u32 base;
	u32 limit;
	u32 flags;
};

/* flags of struct user_desc */
#define SEG_32BIT 1
#define SEG_CODE (2 << 1)
#define SEG_CONFORMING (3 << 1)
#define SEG_READ_EXEC_ONLY 8
#define SEG_PAGES 16
#define SEG_NOT_PRESENT 32
#define SEG_AVAILABLE 64

/* Selectors of an entry, for ring 3. */
#define GDT(n) ((n) << 3 | 3)
#define LDT(n) ((n) << 3 | 7)

/*
 * Functions that the compiler makes up calls of, but must not of the loops in
 * them.
 */
#define barrier() ({ asm volatile("" : : : "memory"); })

void *memset(void *to, int c, u32 len)
{
	u8 *p = to;

	for (; len; len--) {
		*p++ = c;
		barrier();
	}
	return to;
}

void *memcpy(void *to, const void *from, u32 len)
{
	u8 *p = to;
	const u8 *q = from;

	for (; len; len--) {
		*p++ = *q++;
		barrier();
	}
	return to;
}

int memcmp(const void *a, const void *b, u32 len)
{
	const u8 *p = a, *q = b;

	for (; len; len--, p++, q++)
		if (*p != *q)
			return *p - *q;
	return 0;
}

static u32 length(const char *text)
{
	u32 len = 0;

	while (text[len])
		len++;
	return len;
}

static int same(const char *a, const char *b)
{
	return length(a) == length(b) && !memcmp(a, b, length(a));
}

/* Entries of the auxiliary vector, and where the program finds it. */
#define AT_SYSINFO 32
#define AT_SYSINFO_EHDR 33

static const u32 *auxv;

static u32 from_auxv(u32 type)
{
	const u32 *entry;

	for (entry = auxv; entry[0]; entry += 2)
		if (entry[0] == type)
			return entry[1];
	return 0;
}

/* How to call the kernel: 0 for INT $0x80, or a function of the vDSO. */
u32 kernel_vsyscall;

/* Also: the program's first instruction. */
asm(".text\n"
	".globl _start\n"
	"_start:\n"
	"	mov %esp, %eax\n"
	"	and $-16, %esp\n"
	"	sub $12, %esp\n"
	"	push %eax\n"
	"	call begin\n"
	"	hlt\n"
	"raw_call:\n"
	"	push %ebp; push %ebx; push %esi; push %edi\n"
	"	mov 20(%esp), %eax\n"
	"	mov 4(%eax), %ebx\n"
	"	mov 8(%eax), %ecx\n"
	"	mov 12(%eax), %edx\n"
	"	mov 16(%eax), %esi\n"
	"	mov 20(%eax), %edi\n"
	"	mov 24(%eax), %ebp\n"
	"	mov (%eax), %eax\n"
	"	cmpl $0, kernel_vsyscall\n"
	"	jne 1f\n"
	"	int $0x80\n"
	"	jmp 2f\n"
	"1:	call *kernel_vsyscall\n"
	"2:	pop %edi; pop %esi; pop %ebx; pop %ebp\n"
	"	ret\n");

static int system_call(u32 nr, u32 a, u32 b, u32 c, u32 d, u32 e)
{
	const u32 args[] = { nr, a, b, c, d, e, 0x66666666 };
	int ret;

	asm volatile("push %1\n"
		     "call raw_call\n"
		     "pop %%ecx\n"
		     : "=&a" (ret) : "r" (args) : "ecx", "edx", "memory", "cc");
	return ret;
}

#define CALL5(nr, a, b, c, d, e, ...) \
	system_call(nr, (u32)(a), (u32)(b), (u32)(c), (u32)(d), (u32)(e))
#define CALL(...) CALL5(__VA_ARGS__, 0, 0, 0, 0, 0, 0)

static void say(const char *text)
{
	if (CALL(NR_write, 1, text, length(text)) < 0)
		CALL(NR_exit_group, 98);
}

static void say_number(int n)
{
	char text[12], *p = text + sizeof(text) - 1;
	u32 left = n < 0 ? -(u32)n : (u32)n;

	*p = '\0';
	do {
		p--;
		*p = '0' + left % 10;
		left /= 10;
	} while (left);
	if (n < 0)
		say("-");
	say(p);
}

static void failed(int line, const char *what, int got)
{
	/* Whatever the segments are, the flat ones do. */
	kernel_vsyscall = 0;
	say("program line ");
	say_number(line);
	say(": ");
	say(what);
	say(" (");
	say_number(got);
	say(")\n");
	CALL(NR_exit_group, 1);
}

#define CHECK(cond) do { \
	if (!(cond)) \
		failed(__LINE__, #cond, 0); \
} while (0)

/* A call that must return just this. */
#define EXPECT(ret, made) do { \
	int got_ = (made); \
	if (got_ != (int)(ret)) \
		failed(__LINE__, #made, got_); \
} while (0)

/* As in proc.h. */
#define SAY_READY "r"
#define SAY_SLEEPING "z"
#define SAY_SPINNING "s"

static void wait_go(void)
{
	char c = 0;

	EXPECT(1, CALL(NR_read, 0, &c, 1));
	CHECK(c == 'g');
}

static void checkpoint_here(void)
{
	say(SAY_READY);
	wait_go();
}

static u32 now_ms(void)
{
	struct timespec64 ts;

	EXPECT(0, CALL(NR_clock_gettime64, CLOCK_MONOTONIC, &ts));
	return (u32)ts.sec * 1000 + ts.nsec / 1000000;
}

static int in_time(u32 began)
{
	u32 took = now_ms() - began;

	return took >= LONG_ENOUGH && took < LONG_ENOUGH + PATIENCE;
}

/* Signals */

static u32 handled;

static void count(int sig)
{
	if (sig == SIGUSR1)
		handled++;
}

struct rt_action {
	void *handler;
	u32 flags;
	void *restorer;
	u32 mask[2];
};

static void handle_sigusr1(void *handler, u32 flags)
{
	struct rt_action action = { .handler = handler, .flags = flags };

	EXPECT(0, CALL(NR_rt_sigaction, SIGUSR1, &action, NULL, 8));
}

/* Registers */

u32 spin_over;
u32 spin_want[7], spin_got[7];
u8 spin_xmm[8][16], spin_got_xmm[8][16];
u8 spin_st[2][16], spin_got_st[2][16];
u16 spin_cw = 0x0b7f, spin_got_cw;
u32 spin_mxcsr = 0x3f80, spin_got_mxcsr, mxcsr_default = 0x1f80;
u32 spin_flags;

/* Computes with all registers until spin_over is set. */
asm(".text\n"
	"spin:\n"
	"	push %ebp; push %ebx; push %esi; push %edi\n"
	"	fninit\n"
	"	fldcw spin_cw\n"
	"	fldpi\n"
	"	fld %st(0)\n"
	"	fstpt spin_st+0\n"
	"	fldl2t\n"
	"	fld %st(0)\n"
	"	fstpt spin_st+16\n"
	"	ldmxcsr spin_mxcsr\n"
	"	movdqu spin_xmm+0, %xmm0\n"
	"	movdqu spin_xmm+16, %xmm1\n"
	"	movdqu spin_xmm+32, %xmm2\n"
	"	movdqu spin_xmm+48, %xmm3\n"
	"	movdqu spin_xmm+64, %xmm4\n"
	"	movdqu spin_xmm+80, %xmm5\n"
	"	movdqu spin_xmm+96, %xmm6\n"
	"	movdqu spin_xmm+112, %xmm7\n"
	"	mov spin_want+0, %eax\n"
	"	mov spin_want+4, %ebx\n"
	"	mov spin_want+8, %ecx\n"
	"	mov spin_want+12, %edx\n"
	"	mov spin_want+16, %esi\n"
	"	mov spin_want+20, %edi\n"
	"	mov spin_want+24, %ebp\n"
	"	std\n"
	"1:	add $1, %eax\n"
	"	add $3, %ebx\n"
	"	add $5, %ecx\n"
	"	add $7, %edx\n"
	"	add $11, %esi\n"
	"	add $13, %edi\n"
	"	add $17, %ebp\n"
	"	cmpl $0, spin_over\n"
	"	je 1b\n"
	"	mov %eax, spin_got+0\n"
	"	mov %ebx, spin_got+4\n"
	"	mov %ecx, spin_got+8\n"
	"	mov %edx, spin_got+12\n"
	"	mov %esi, spin_got+16\n"
	"	mov %edi, spin_got+20\n"
	"	mov %ebp, spin_got+24\n"
	"	pushf\n"
	"	popl spin_flags\n"
	"	cld\n"
	"	movdqu %xmm0, spin_got_xmm+0\n"
	"	movdqu %xmm1, spin_got_xmm+16\n"
	"	movdqu %xmm2, spin_got_xmm+32\n"
	"	movdqu %xmm3, spin_got_xmm+48\n"
	"	movdqu %xmm4, spin_got_xmm+64\n"
	"	movdqu %xmm5, spin_got_xmm+80\n"
	"	movdqu %xmm6, spin_got_xmm+96\n"
	"	movdqu %xmm7, spin_got_xmm+112\n"
	"	stmxcsr spin_got_mxcsr\n"
	"	ldmxcsr mxcsr_default\n"
	"	fnstcw spin_got_cw\n"
	"	fstpt spin_got_st+16\n"
	"	fstpt spin_got_st+0\n"
	"	fninit\n"
	"	pop %edi; pop %esi; pop %ebx; pop %ebp\n"
	"	ret\n");

static void end_spin(int sig)
{
	spin_over = sig;
}

static void do_registers(void)
{
	static const u32 step[] = { 1, 3, 5, 7, 11, 13, 17 };
	u32 i, j, n;

	for (i = 0; i < ARRAY_SIZE(step); i++)
		spin_want[i] = 0x11111111 * i + 0x89abcdef;
	for (i = 0; i < 8; i++)
		for (j = 0; j < 16; j++)
			spin_xmm[i][j] = i * 16 + j + 1;
	handle_sigusr1(end_spin, 0);
	say(SAY_SPINNING);
	asm volatile("call spin" : : : "eax", "ecx", "edx", "memory", "cc");

	n = spin_got[0] - spin_want[0];
	for (i = 0; i < ARRAY_SIZE(step); i++)
		CHECK(spin_got[i] == spin_want[i] + step[i] * n);
	/* It counted on in that direction. */
	CHECK(spin_flags & 0x400);
	CHECK(!memcmp(spin_xmm, spin_got_xmm, sizeof(spin_xmm)));
	CHECK(!memcmp(spin_st, spin_got_st, sizeof(spin_st)));
	CHECK(spin_got_cw == spin_cw);
	CHECK(spin_got_mxcsr == spin_mxcsr);
	wait_go();
}

/* System calls that wait */

static void do_nanosleep(void)
{
	struct timespec32 ts = {
		LONG_ENOUGH / 1000, LONG_ENOUGH % 1000 * 1000000,
	}, left;
	u32 began = now_ms();

	say(SAY_READY);
	EXPECT(0, CALL(NR_nanosleep, &ts, &left));
	CHECK(in_time(began));
	wait_go();
}

/* What is left is told in times of 32 bits, and nothing else is written to. */
static void do_nanosleep_interrupted(void)
{
	struct timespec32 ts = { 600, 0 }, left[2];

	memset(left, 0x5a, sizeof(left));
	handle_sigusr1(count, 0);
	say(SAY_SLEEPING);
	EXPECT(-EINTR, CALL(NR_nanosleep, &ts, &left[0]));
	CHECK(READ_ONCE(handled) == 1);
	CHECK(left[0].sec > 500 && left[0].sec < 600);
	CHECK(left[0].nsec >= 0 && left[0].nsec < 1000000000);
	CHECK(left[1].sec == 0x5a5a5a5a && left[1].nsec == 0x5a5a5a5a);
	wait_go();
}

/* As above, but with those of 64 bits. */
static void do_nanosleep64_interrupted(void)
{
	struct timespec64 ts = { 600, 0, 0 }, left[2];

	memset(left, 0x5a, sizeof(left));
	handle_sigusr1(count, 0);
	say(SAY_SLEEPING);
	EXPECT(-EINTR, CALL(NR_clock_nanosleep64, CLOCK_MONOTONIC, 0, &ts, &left[0]));
	CHECK(READ_ONCE(handled) == 1);
	CHECK((u32)(left[0].sec >> 32) == 0);
	CHECK((u32)left[0].sec > 500 && (u32)left[0].sec < 600);
	CHECK(left[0].nsec < 1000000000);
	CHECK((u32)left[1].sec == 0x5a5a5a5a);
	wait_go();
}

struct pollfd {
	int fd;
	u16 events;
	u16 revents;
};

#define POLLIN 1
#define POLLPRI 2

static void do_poll(void)
{
	struct pollfd p = { 0, POLLPRI, 0 };
	u32 began = now_ms();

	say(SAY_READY);
	EXPECT(0, CALL(NR_poll, &p, 1, LONG_ENOUGH));
	CHECK(in_time(began));
	wait_go();
}

static void do_poll_without_end(void)
{
	struct pollfd p = { 0, POLLIN, 0 };

	say(SAY_READY);
	EXPECT(1, CALL(NR_poll, &p, 1, -1));
	CHECK(p.revents == POLLIN);
	wait_go();
}

static void do_futex(void)
{
	struct timespec32 ts = {
		LONG_ENOUGH / 1000, LONG_ENOUGH % 1000 * 1000000,
	};
	u32 began = now_ms(), word = 77;

	say(SAY_READY);
	/* FUTEX_WAIT | FUTEX_PRIVATE_FLAG */
	EXPECT(-ETIMEDOUT, CALL(NR_futex, &word, 128, 77, &ts));
	CHECK(in_time(began));
	EXPECT(-EAGAIN, CALL(NR_futex, &word, 128, 78, &ts));
	wait_go();
}

static void do_futex64(void)
{
	struct timespec64 ts = {
		LONG_ENOUGH / 1000, LONG_ENOUGH % 1000 * 1000000, 0,
	};
	u32 began = now_ms(), word = 77;

	say(SAY_READY);
	EXPECT(-ETIMEDOUT, CALL(NR_futex64, &word, 128, 77, &ts));
	CHECK(in_time(began));
	wait_go();
}

/* It answers EINTR to any interruption, but nobody may notice this one. */
static void do_sigtimedwait(void)
{
	u32 mask[2] = { 1 << (SIGUSR1 - 1), 0 };

	EXPECT(0, CALL(NR_rt_sigprocmask, 0, mask, NULL, 8));
	say(SAY_SLEEPING);
	EXPECT(SIGUSR1, CALL(NR_rt_sigtimedwait, mask, NULL, NULL, 8));
	wait_go();
}

/* Handlers */

static void do_pause(void)
{
	handle_sigusr1(count, 0);
	say(SAY_SLEEPING);
	EXPECT(-EINTR, CALL(NR_pause));
	CHECK(READ_ONCE(handled) == 1);
	wait_go();
}

static void do_read_goes_on(void)
{
	handle_sigusr1(count, SA_RESTART);
	say(SAY_SLEEPING);
	wait_go();
	CHECK(READ_ONCE(handled) == 1);
}

static u32 info_signo, info_code, info_pid, context_cs, context_sp;

static void note_info(int sig, const u32 *info, const u32 *context)
{
	count(sig);
	info_signo = info[0];
	info_code = info[2];
	info_pid = info[3];
	/* uc_mcontext, which is behind two words and a stack_t, has these. */
	context_sp = context[5 + 7];
	context_cs = context[5 + 15];
}

static void do_handler_with_info(void)
{
	struct rt_action now;
	u32 here;

	handle_sigusr1(note_info, SA_SIGINFO);
	say(SAY_SLEEPING);
	EXPECT(-EINTR, CALL(NR_pause));
	CHECK(READ_ONCE(handled) == 1);
	CHECK(info_signo == SIGUSR1 && info_code == 0 && info_pid != 0);
	CHECK((context_cs & 0xffff) == 0x23);
	here = (u32)&here;
	CHECK(context_sp < here && context_sp > here - 4096);
	EXPECT(0, CALL(NR_rt_sigaction, SIGUSR1, NULL, &now, 8));
	CHECK(now.handler == (void *)note_info && now.flags == SA_SIGINFO);
	wait_go();
}

/* By the calls that i386 had before there were real-time signals. */
static void do_handler_old_style(void)
{
	struct {
		void *handler;
		u32 mask;
		u32 flags;
		void *restorer;
	} action = { .handler = count, .mask = 1 << 11 }, now;

	EXPECT(0, CALL(NR_sigaction, SIGUSR1, &action, NULL));
	say(SAY_SLEEPING);
	EXPECT(-EINTR, CALL(NR_pause));
	CHECK(READ_ONCE(handled) == 1);
	EXPECT(0, CALL(NR_sigaction, SIGUSR1, NULL, &now));
	CHECK(now.handler == (void *)count && now.mask == 1 << 11);
	wait_go();
}

/* Segments */

#define GET_SEG(seg) ({ u32 v_; asm volatile("mov %%" #seg ", %0" : "=r" (v_)); v_ & 0xffff; })
#define SET_SEG(seg, value) ({ asm volatile("mov %0, %%" #seg : : "r" (value) : "memory"); })
#define FROM_SEG(seg) ({ u32 v_; asm volatile("movl %%" #seg ":0, %0" : "=r" (v_)); v_; })

static u32 tls_words[3] = { 0xfeed0001, 0xfeed0002, 0xfeed0003 };

static void do_tls(void)
{
	struct user_desc desc[3], now;
	u32 i, es, word;
	char c = 0;
	int ret;

	for (i = 0; i < 3; i++) {
		desc[i] = (struct user_desc) {
			-1, (u32)&tls_words[i], i == 1 ? 3 : 0xfffff,
			SEG_32BIT | (i == 1 ? 0 : SEG_PAGES) | SEG_AVAILABLE |
			(i == 2 ? SEG_READ_EXEC_ONLY : 0),
		};
		EXPECT(0, CALL(NR_set_thread_area, &desc[i]));
	}
	SET_SEG(fs, GDT(desc[0].entry));
	SET_SEG(gs, GDT(desc[1].entry));
	say(SAY_READY);
	/* Instructions of the compiler's use this one. */
	asm volatile("push %%es\n"
		     "mov %4, %%es\n"
		     "int $0x80\n"
		     "movl %%es:0, %1\n"
		     "mov %%es, %2\n"
		     "pop %%es\n"
		     : "=&a" (ret), "=&S" (word), "=&D" (es)
		     : "0" (NR_read), "r" (GDT(desc[2].entry)),
		       "b" (0), "c" (&c), "d" (1)
		     : "memory");
	EXPECT(1, ret);
	CHECK(c == 'g');
	CHECK((es & 0xffff) == GDT(desc[2].entry));
	CHECK(word == tls_words[2]);
	CHECK(GET_SEG(fs) == GDT(desc[0].entry));
	CHECK(GET_SEG(gs) == GDT(desc[1].entry));
	CHECK(FROM_SEG(fs) == tls_words[0]);
	CHECK(FROM_SEG(gs) == tls_words[1]);
	for (i = 0; i < 3; i++) {
		now.entry = desc[i].entry;
		EXPECT(0, CALL(NR_get_thread_area, &now));
		CHECK(!memcmp(&now, &desc[i], sizeof(now)));
	}
}

static u32 ldt_word = 0xfeed0004;

static void make_ldt(u32 entry, u32 base, u32 limit, u32 flags)
{
	struct user_desc desc = { entry, base, limit, flags };

	EXPECT(0, CALL(NR_modify_ldt, 0x11, &desc, sizeof(desc)));
}

static void flat_segments(void)
{
	SET_SEG(ds, 0x2b);
	SET_SEG(es, 0x2b);
	SET_SEG(ss, 0x2b);
	asm volatile("ljmp $0x23, $1f\n1:" : : : "memory");
}

/* All of its code, data and stack are in segments that it made. */
static void do_ldt(void)
{
	static u64 before[16], after[16];
	/* An address, and a selector. */
	static u32 to[2];

	make_ldt(1, 0, 0xfffff, SEG_32BIT | SEG_PAGES);
	make_ldt(2, 0, 0xfffff, SEG_32BIT | SEG_PAGES | SEG_CODE);
	make_ldt(5, (u32)&ldt_word, 3, SEG_32BIT | SEG_AVAILABLE);
	make_ldt(7, 0x1234, 0xff, 0);
	make_ldt(9, 0, 0xff, SEG_32BIT | SEG_CONFORMING | SEG_NOT_PRESENT);
	EXPECT(sizeof(before), CALL(NR_modify_ldt, 0, before, sizeof(before)));
	CHECK(before[1] && before[7] && before[9] && !before[3] && !before[10]);

	to[1] = LDT(2);
	asm volatile("movl $1f, %0\n"
		     "ljmp *%0\n"
		     "1:" : "+m" (to[0]) : : "memory");
	SET_SEG(ds, LDT(1));
	SET_SEG(es, LDT(1));
	SET_SEG(ss, LDT(1));
	SET_SEG(fs, LDT(5));
	SET_SEG(gs, LDT(7));
	checkpoint_here();
	CHECK(GET_SEG(cs) == LDT(2));
	CHECK(GET_SEG(ds) == LDT(1));
	CHECK(GET_SEG(es) == LDT(1));
	CHECK(GET_SEG(ss) == LDT(1));
	CHECK(GET_SEG(fs) == LDT(5));
	CHECK(GET_SEG(gs) == LDT(7));
	CHECK(FROM_SEG(fs) == ldt_word);
	EXPECT(sizeof(after), CALL(NR_modify_ldt, 0, after, sizeof(after)));
	CHECK(!memcmp(before, after, sizeof(before)));
	/* It can still be changed. */
	make_ldt(10, 0, 0xfffff, SEG_32BIT | SEG_PAGES);
	SET_SEG(gs, LDT(10));
	CHECK(GET_SEG(gs) == LDT(10));
	flat_segments();
}

/* So many that they are in several records. */
static void do_large_ldt(void)
{
	static u64 before[5000], after[5000];
	u32 i;

	for (i = 0; i < 5000; i += 39)
		make_ldt(i, i * 4096, 0xff, SEG_32BIT | SEG_AVAILABLE);
	make_ldt(4999, 0x12345678, 1, SEG_32BIT);
	EXPECT(sizeof(before), CALL(NR_modify_ldt, 0, before, sizeof(before)));
	CHECK(before[4999] && before[39] && !before[40]);
	checkpoint_here();
	EXPECT(sizeof(after), CALL(NR_modify_ldt, 0, after, sizeof(after)));
	CHECK(!memcmp(before, after, sizeof(before)));
}

/* In the middle of a 64-bit system call, in code of 64 bits. */
char code64_byte;

static void do_code_of_64_bits(void)
{
	int ret;

	say(SAY_READY);
	/* Not by lcall and lret: TCG does not see whose stack they use. */
	asm volatile("push %%cs\n"
		     "push $2f\n"
		     "ljmp $0x33, $1f\n"
		     ".code64\n"
		     "1: xor %%edi, %%edi\n"
		     "mov $code64_byte, %%esi\n"
		     "mov $1, %%edx\n"
		     "xor %%eax, %%eax\n"
		     "syscall\n"
		     "ljmp *(%%rsp)\n"
		     ".code32\n"
		     "2: add $8, %%esp\n"
		     : "=&a" (ret) : : "ecx", "edx", "esi", "edi", "memory");
	EXPECT(1, ret);
	CHECK(READ_ONCE(code64_byte) == 'g');
}

/* What the kernel knows of the program */

static void do_robust_list(void)
{
	static u32 head[3] = { (u32)1, 8, 0 };
	u32 now = 0, len = 0;

	head[0] = (u32)head;
	EXPECT(0, CALL(NR_set_robust_list, head, sizeof(head)));
	checkpoint_here();
	EXPECT(0, CALL(NR_get_robust_list, 0, &now, &len));
	CHECK(now == (u32)head && len == sizeof(head));
}

static void do_stack_and_rseq(void)
{
	static u32 room[16];
	u32 *area = (u32 *)(((u32)room + 31) & ~31);
	static u8 stack[65536];
	struct {
		void *sp;
		u32 flags;
		u32 size;
	} set = { stack, 0, sizeof(stack) }, now;

	EXPECT(0, CALL(NR_sigaltstack, &set, NULL));
	/* Its second word is where a processor will be, and is no such yet. */
	area[1] = -1;
	EXPECT(0, CALL(NR_rseq, area, 32, 0, 0x53053053));
	checkpoint_here();
	EXPECT(0, CALL(NR_sigaltstack, NULL, &now));
	CHECK(now.sp == set.sp && now.size == set.size && !now.flags);
	CHECK(READ_ONCE(area[1]) < 8192);
	EXPECT(0, CALL(NR_rseq, area, 32, 1, 0x53053053));
}

static void do_personality(void)
{
	static char name[6][65];

	/* PER_LINUX32 */
	CHECK(CALL(NR_personality, 8) >= 0);
	checkpoint_here();
	EXPECT(8, CALL(NR_personality, -1));
	EXPECT(0, CALL(NR_uname, name));
	CHECK(same(name[4], "i686"));
}

/* Memory */

#define PROT_RW 3
#define MAP_PRIVATE_ANON 0x22
#define MAP_NORESERVE 0x4000

static void do_memory(void)
{
	u32 first = CALL(NR_brk, 0), last, map, more, i;

	last = CALL(NR_brk, first + 3 * 4096);
	CHECK(last == first + 3 * 4096);
	memset((void *)first, 0x33, 3 * 4096);
	map = CALL(NR_mmap2, 0, 16 * 4096, PROT_RW, MAP_PRIVATE_ANON, -1);
	CHECK(map < 0xfffff000);
	memset((void *)map, 0x44, 16 * 4096);
	checkpoint_here();
	CHECK((u32)CALL(NR_brk, 0) == last);
	for (i = 0; i < 3 * 4096; i++)
		CHECK(((u8 *)first)[i] == 0x33);
	for (i = 0; i < 16 * 4096; i++)
		CHECK(((u8 *)map)[i] == 0x44);

	/* More of both, where a 32-bit program can reach it. */
	CHECK((u32)CALL(NR_brk, last + 0x100000) == last + 0x100000);
	WRITE_ONCE(((u8 *)last)[0xfffff], 1);
	more = CALL(NR_mmap2, 0, 0x10000000, PROT_RW,
		    MAP_PRIVATE_ANON | MAP_NORESERVE, -1);
	CHECK(more < 0xfffff000 && more + 0x10000000 > more);
	WRITE_ONCE(((u8 *)more)[0x0fffffff], 1);
	/* And the stack grows. */
	{
		u8 deep[512 * 1024];

		WRITE_ONCE(deep[0], 1);
		CHECK(READ_ONCE(deep[0]) == 1);
	}
}

static u32 read_auxv(u32 *to, u32 size)
{
	int fd = CALL(NR_open, "/proc/self/auxv", 0);
	int n;

	CHECK(fd >= 0);
	n = CALL(NR_read, fd, to, size);
	CHECK(n > 0);
	EXPECT(0, CALL(NR_close, fd));
	return n;
}

static void do_auxv(void)
{
	static u32 before[512], after[512];
	u32 len = read_auxv(before, sizeof(before)), i;

	/* It is packed, as the program has it on its stack. */
	for (i = 0; auxv[i]; i += 2)
		CHECK(before[i] == auxv[i] && before[i + 1] == auxv[i + 1]);
	checkpoint_here();
	CHECK(read_auxv(after, sizeof(after)) == len);
	CHECK(!memcmp(before, after, len));
}

/* The address of a function of the vDSO, which has a dynamic symbol for it. */
static u32 from_vdso(const char *name)
{
	const u8 *vdso = (const u8 *)from_auxv(AT_SYSINFO_EHDR);
	const u32 *phdr, *dyn = NULL, *sym = NULL;
	const char *str = NULL;
	u32 i, nr;

	CHECK(vdso);
	phdr = (const u32 *)(vdso + *(const u32 *)(vdso + 28));
	nr = *(const u16 *)(vdso + 44);
	for (i = 0; i < nr; i++)
		if (phdr[8 * i] == 2)		/* PT_DYNAMIC */
			dyn = (const u32 *)(vdso + phdr[8 * i + 1]);
	CHECK(dyn);
	for (; dyn[0]; dyn += 2) {
		if (dyn[0] == 5)		/* DT_STRTAB */
			str = (const char *)(vdso + dyn[1]);
		if (dyn[0] == 6)		/* DT_SYMTAB */
			sym = (const u32 *)(vdso + dyn[1]);
	}
	CHECK(str && sym);
	for (; (const char *)sym < str; sym += 4)
		if (same(str + sym[0], name))
			return (u32)vdso + sym[1];
	CHECK(!"a symbol of the vDSO");
	return 0;
}

static void do_vdso(void)
{
	int (*gettime)(int clock, struct timespec64 *ts) =
		(void *)from_vdso("__vdso_clock_gettime64");
	struct timespec64 a, b;

	CHECK(!gettime(CLOCK_MONOTONIC, &a));
	checkpoint_here();
	CHECK((u32)gettime == from_vdso("__vdso_clock_gettime64"));
	CHECK(!gettime(CLOCK_MONOTONIC, &b));
	CHECK(b.sec >= a.sec);
	EXPECT(0, CALL(NR_clock_gettime64, CLOCK_MONOTONIC, &a));
	CHECK(a.sec >= b.sec && (u32)(a.sec - b.sec) < PATIENCE / 1000);
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
#define TEST(name) { #name, do_##name }
	TEST(registers),
	TEST(nanosleep),
	TEST(nanosleep_interrupted),
	TEST(nanosleep64_interrupted),
	TEST(poll),
	TEST(poll_without_end),
	TEST(futex),
	TEST(futex64),
	TEST(sigtimedwait),
	TEST(pause),
	TEST(read_goes_on),
	TEST(handler_with_info),
	TEST(handler_old_style),
	TEST(tls),
	TEST(ldt),
	TEST(large_ldt),
	TEST(code_of_64_bits),
	TEST(robust_list),
	TEST(stack_and_rseq),
	TEST(personality),
	TEST(memory),
	TEST(auxv),
	TEST(vdso),
};

/* @stack is what execve(2) made: the arguments, the environment, and auxv. */
void begin(u32 *stack)
{
	const char *name, *way;
	u32 *end = stack + 1, i;

	while (*end)
		end++;
	for (end++; *end; end++)
		;
	auxv = end + 1;
	if (stack[0] != 3)
		failed(__LINE__, "arguments", stack[0]);
	name = (const char *)stack[2];
	way = (const char *)stack[3];
	if (same(way, "vdso")) {
		kernel_vsyscall = from_auxv(AT_SYSINFO);
		CHECK(kernel_vsyscall);
	}
	/* PR_SET_NAME */
	EXPECT(0, CALL(NR_prctl, 15, "subject"));
	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		if (same(name, tests[i].name)) {
			tests[i].run();
			say("ok\n");
			CALL(NR_exit_group, 0);
		}
	}
	failed(__LINE__, name, 0);
}
