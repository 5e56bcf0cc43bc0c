// SPDX-License-Identifier: GPL-2.0
/*
 * Tiles of AMX, which a process asks for and a thread gets room for when it uses them:
 * the permission, the room, and what is in them. No image has the first two by itself.
 */
#include "midway.h"
#include "restarter.h"
#include "subject.h"

#include <asm/prctl.h>
#include <cpuid.h>
#include <immintrin.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <ucontext.h>

#ifndef ARCH_GET_XCOMP_SUPP
#define ARCH_GET_XCOMP_SUPP		0x1021
#define ARCH_GET_XCOMP_PERM		0x1022
#define ARCH_REQ_XCOMP_PERM		0x1023
#endif
#ifndef ARCH_GET_XCOMP_GUEST_PERM
#define ARCH_GET_XCOMP_GUEST_PERM	0x1024
#define ARCH_REQ_XCOMP_GUEST_PERM	0x1025
#endif

#define XTILE_CFG	17
#define XTILE_DATA	18
#define TILES		8
#define ROWS		16
#define ROW		64

struct tilecfg {
	__u8 palette;
	__u8 start_row;
	__u8 reserved[14];
	__u16 colsb[16];
	__u8 rows[16];
};

/* All that a program can know of them. */
struct tiles {
	alignas(64) struct tilecfg cfg;
	__u8 data[TILES][ROWS][ROW];
};

static __u64 xcomp(int option)
{
	__u64 mask = 0;

	if (syscall(SYS_arch_prctl, option, &mask))
		return 0;
	return mask;
}

static bool permitted(void)
{
	return xcomp(ARCH_GET_XCOMP_PERM) >> XTILE_DATA & 1;
}

static bool guests_permitted(void)
{
	return xcomp(ARCH_GET_XCOMP_GUEST_PERM) >> XTILE_DATA & 1;
}

static long ask(void)
{
	return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XTILE_DATA);
}

static bool has_amx(void)
{
	return xcomp(ARCH_GET_XCOMP_SUPP) >> XTILE_DATA & 1;
}

/* Every tile has another shape. */
static void plan(struct tiles *t, unsigned int seed)
{
	int i, row, col;

	memset(t, 0, sizeof(*t));
	t->cfg.palette = 1;
	for (i = 0; i < TILES; i++) {
		t->cfg.colsb[i] = ROW - 4 * ((i + seed) % TILES);
		t->cfg.rows[i] = ROWS - (i + seed) % TILES;
		for (row = 0; row < t->cfg.rows[i]; row++)
			for (col = 0; col < t->cfg.colsb[i]; col++)
				t->data[i][row][col] = rand_r(&seed) >> 5 | 1;
	}
}

__attribute__((target("amx-tile")))
static void load(const struct tiles *t)
{
	_tile_loadconfig(&t->cfg);
	_tile_loadd(0, t->data[0], ROW);
	_tile_loadd(1, t->data[1], ROW);
	_tile_loadd(2, t->data[2], ROW);
	_tile_loadd(3, t->data[3], ROW);
	_tile_loadd(4, t->data[4], ROW);
	_tile_loadd(5, t->data[5], ROW);
	_tile_loadd(6, t->data[6], ROW);
	_tile_loadd(7, t->data[7], ROW);
}

__attribute__((target("amx-tile")))
static void store_config(struct tiles *t)
{
	memset(t, 0, sizeof(*t));
	asm volatile("sttilecfg %0" : "=m" (t->cfg));
}

__attribute__((target("amx-tile")))
static void store(struct tiles *t)
{
	store_config(t);
	_tile_stored(0, t->data[0], ROW);
	_tile_stored(1, t->data[1], ROW);
	_tile_stored(2, t->data[2], ROW);
	_tile_stored(3, t->data[3], ROW);
	_tile_stored(4, t->data[4], ROW);
	_tile_stored(5, t->data[5], ROW);
	_tile_stored(6, t->data[6], ROW);
	_tile_stored(7, t->data[7], ROW);
	asm volatile("" : : : "memory");
}

__attribute__((target("amx-tile")))
static void release(void)
{
	_tile_release();
}

/* Are they what plan() made of @seed? */
static bool tiles_are(unsigned int seed)
{
	struct tiles want, is;

	plan(&want, seed);
	store(&is);
	return !memcmp(&want, &is, sizeof(want));
}

static void use(unsigned int seed)
{
	struct tiles t;

	plan(&t, seed);
	load(&t);
	CHECK(tiles_are(seed));
}

/* What the frame of a signal is, which tells what the thread has room for. */
struct frame {
	__u64 features;
	__u32 size;
};

static __thread volatile struct frame frame;

static void look_at_frame(int sig __maybe_unused, siginfo_t *info __maybe_unused,
			  void *context)
{
	const ucontext_t *uc = context;
	/* struct _fpx_sw_bytes */
	const char *sw = (const char *)uc->uc_mcontext.fpregs + 464;

	frame.features = *(const __u64 *)(sw + 8);
	frame.size = *(const __u32 *)(sw + 16);
}

static struct frame get_frame(void)
{
	struct sigaction sa = {
		.sa_sigaction = look_at_frame, .sa_flags = SA_SIGINFO,
	};

	CHECK(!sigaction(SIGUSR2, &sa, NULL));
	CHECK(!syscall(SYS_tgkill, getpid(), gettid(), SIGUSR2));
	return frame;
}

static bool has_room(void)
{
	return get_frame().features >> XTILE_DATA & 1;
}

/* AMX_TEST() - a subject, where the processor has AMX. */
#define AMX_TEST(name) \
	static void name##_subject(void); \
	TEST_F_TIMEOUT(subject, name, 120) \
	{ \
		if (!has_amx()) \
			SKIP(return, "this processor has no AMX"); \
		run_subject(_metadata, name##_subject, variant->how); \
	} \
	static void name##_subject(void)

AMX_TEST(tiles)
{
	struct frame was;

	CHECK(!ask());
	use(1);
	was = get_frame();
	CHECK(has_room());
	checkpoint_here();
	CHECK(tiles_are(1));
	CHECK(permitted());
	CHECK(has_room() && frame.size == was.size);
	/* They came back from the frame as well. */
	CHECK(tiles_are(1));
	use(2);
}

/* Of one that waits in user mode they are in the processor. */
static volatile sig_atomic_t spin_over;

static void end_spin(int sig __maybe_unused)
{
	spin_over = 1;
}

static void spinning_subject(void)
{
	struct sigaction sa = { .sa_handler = end_spin };

	CHECK(!sigaction(SIGUSR1, &sa, NULL));
	CHECK(!ask());
	use(3);
	say(SAY_SPINNING);
	while (!spin_over)
		;
	CHECK(tiles_are(3));
	wait_go();
	CHECK(tiles_are(3));
}

TEST_F_TIMEOUT(midway, spinning, 120)
{
	if (!has_amx())
		SKIP(return, "this processor has no AMX");
	run_subject_flags(_metadata, spinning_subject, variant->how, MIDWAY_DEAD, 0);
}

/* There is no room before the first use, and it is made then. */
AMX_TEST(permission_only)
{
	struct frame was;

	CHECK(!ask());
	was = get_frame();
	CHECK(!has_room());
	checkpoint_here();
	CHECK(permitted());
	CHECK(!has_room() && frame.size == was.size);
	use(1);
	CHECK(has_room() && frame.size > was.size);
	CHECK(tiles_are(1));
}

/* The room stays when they are in their first state again. */
AMX_TEST(room_only)
{
	static const struct tilecfg none;
	struct frame was;
	struct tiles is;

	CHECK(!ask());
	use(1);
	release();
	was = get_frame();
	CHECK(has_room());
	checkpoint_here();
	CHECK(has_room() && frame.size == was.size);
	store_config(&is);
	CHECK(!memcmp(&is.cfg, &none, sizeof(none)));
	use(2);
}

static sigjmp_buf back;

static void jump_back(int sig __maybe_unused)
{
	siglongjmp(back, 1);
}

/* Does the first use end in a signal? */
static bool may_not_use(void)
{
	struct sigaction sa = { .sa_handler = jump_back };
	struct tiles t;

	CHECK(!sigaction(SIGILL, &sa, NULL));
	plan(&t, 1);
	if (sigsetjmp(back, 1)) {
		signal(SIGILL, SIG_DFL);
		return true;
	}
	load(&t);
	return false;
}

AMX_TEST(no_permission)
{
	CHECK(!permitted());
	CHECK(may_not_use());
	checkpoint_here();
	CHECK(!permitted() && !guests_permitted());
	CHECK(may_not_use());
	CHECK(!has_room());
	CHECK(!ask());
	use(1);
}

/* For the guests of a virtual machine there is another one. */
AMX_TEST(permission_for_guests)
{
	CHECK(!syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_GUEST_PERM, XTILE_DATA));
	CHECK(guests_permitted() && !permitted());
	checkpoint_here();
	CHECK(guests_permitted() && !permitted());
	CHECK(may_not_use());
}

/* A stack for signals that is too small is still refused. */
AMX_TEST(small_altstack)
{
	static char stack[8192];
	stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) };

	CHECK(!ask());
	CHECK(sigaltstack(&ss, NULL) == -1 && errno == ENOMEM);
	checkpoint_here();
	errno = 0;
	CHECK(sigaltstack(&ss, NULL) == -1 && errno == ENOMEM);
}

/* In a handler, which has others than what it returns to. */
static void in_handler(int sig __maybe_unused)
{
	release();
	use(5);
	checkpoint_here();
	CHECK(tiles_are(5));
}

AMX_TEST(in_a_handler_on_the_altstack)
{
	static char stack[65536];
	stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) }, now;
	struct sigaction sa = { .sa_handler = in_handler, .sa_flags = SA_ONSTACK };

	CHECK(!sigaltstack(&ss, NULL));
	CHECK(!ask());
	CHECK(!sigaction(SIGALRM, &sa, NULL));
	use(4);
	CHECK(!kill(getpid(), SIGALRM));
	CHECK(tiles_are(4));
	CHECK(!sigaltstack(NULL, &now));
	CHECK(now.ss_sp == stack && now.ss_size == sizeof(stack));
}

/* Threads have their own; every second one has not used them yet. */
#define THREADS	6

static atomic_int ready;
static atomic_bool go;

static void *thread(void *arg)
{
	unsigned int nr = (unsigned long)arg;

	if (nr % 2)
		use(10 + nr);
	atomic_fetch_add(&ready, 1);
	while (!atomic_load(&go))
		sleep_ms(1);
	if (nr % 2)
		CHECK(tiles_are(10 + nr));
	CHECK(has_room() == nr % 2);
	use(20 + nr);
	CHECK(has_room());
	return NULL;
}

AMX_TEST(threads)
{
	pthread_t threads[THREADS];
	unsigned long i;

	CHECK(!ask());
	use(1);
	for (i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&threads[i], NULL, thread, (void *)i));
	while (atomic_load(&ready) < THREADS)
		sleep_ms(1);
	checkpoint_here();
	CHECK(tiles_are(1));
	go = true;
	for (i = 0; i < THREADS; i++)
		CHECK(!pthread_join(threads[i], NULL));
	CHECK(tiles_are(1));
	CHECK(permitted());
}

/* Children have the permission of their parent, and may get one that it has not. */
static pid_t child(int from, int to, bool asks, unsigned int seed)
{
	pid_t pid = fork();
	char c;

	CHECK(pid >= 0);
	if (pid)
		return pid;
	if (asks)
		CHECK(!ask());
	CHECK(permitted());
	if (seed)
		use(seed);
	CHECK(write(to, "r", 1) == 1);
	CHECK(read(from, &c, 1) == 1);
	CHECK(permitted());
	CHECK(has_room() == !!seed);
	if (seed)
		CHECK(tiles_are(seed));
	use(9);
	_exit(0);
}

AMX_TEST(children)
{
	int in[2], out[2], i, status;
	pid_t pids[3];
	char c[3];

	CHECK(!pipe(in) && !pipe(out));
	pids[0] = child(in[0], out[1], true, 6);
	CHECK(!permitted());
	CHECK(read(out[0], c, 1) == 1);
	CHECK(!ask());
	use(7);
	pids[1] = child(in[0], out[1], false, 8);
	pids[2] = child(in[0], out[1], false, 0);
	for (i = 0; i < 2; i++)
		CHECK(read(out[0], c, 1) == 1);
	checkpoint_here();
	CHECK(tiles_are(7));
	CHECK(write(in[1], "ggg", 3) == 3);
	for (i = 0; i < 3; i++)
		CHECK(waitpid(pids[i], &status, 0) == pids[i] && !status);
	CHECK(tiles_are(7));
}

/* AMX_RESTARTER_TEST() - RESTARTER_TEST(), where the processor has AMX. */
#define AMX_RESTARTER_TEST(name, ...) \
	static void name##_saved(void); \
	TEST_F_TIMEOUT(restarter, name, 120) \
	{ \
		static const struct restarter how = { __VA_ARGS__ }; \
		\
		if (!has_amx()) \
			SKIP(return, "this processor has no AMX"); \
		run_restarter(_metadata, name##_saved, &how); \
	} \
	static void name##_saved(void)

/* Who has not asked has none, though whoever restarts it has. */
static void ask_and_use(void)
{
	if (ask())
		_exit(96);
	use(1);
}

AMX_RESTARTER_TEST(that_has_tiles, .before = ask_and_use)
{
	checkpoint_here();
	CHECK(!permitted());
	CHECK(!has_room());
	CHECK(may_not_use());
}

static void has_tiles(void)
{
	CHECK(!ask());
	use(1);
	checkpoint_here();
	CHECK(tiles_are(1));
}

AMX_RESTARTER_TEST(both_have_tiles, .before = ask_and_use)
{
	has_tiles();
}

/* An alternate stack that is fit for the image, and not for the restarter. */
static void has_small_stack(void)
{
	static char stack[8192];
	stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) };

	CHECK(!sigaltstack(&ss, NULL));
	checkpoint_here();
	CHECK(ask() == -1 && errno == ENOSPC);
}

AMX_RESTARTER_TEST(small_stack_without_permission, .before = ask_and_use)
{
	has_small_stack();
}

/* Images that nobody has saved */

static void claim(struct walk *w, __u32 flags)
{
	struct cr_hdr_thread *thread = walk_find(w, CR_HDR_THREAD);

	thread->flags |= flags;
}

static void claim_permission(struct walk *w)
{
	claim(w, CR_THREAD_XCOMP_PERM);
}

static void claim_for_guests(struct walk *w)
{
	claim(w, CR_THREAD_XCOMP_GUEST_PERM);
}

static void claim_locked(struct walk *w)
{
	claim(w, CR_THREAD_XCOMP_GUEST_LOCKED);
}

static void claim_room(struct walk *w)
{
	claim(w, CR_THREAD_XTILE_DATA);
}

static void plain(void)
{
	checkpoint_here();
}

/* Without AMX a permission is refused, as the call that asks for it is. */
TEST_F_TIMEOUT(restarter, permission_without_amx, 120)
{
	static const struct restarter how[] = { {
		.craft = claim_permission, .err = EOPNOTSUPP,
		.what = "arch_prctl(ARCH_REQ_XCOMP_PERM)",
	}, {
		.craft = claim_for_guests, .err = EOPNOTSUPP,
		.what = "arch_prctl(ARCH_REQ_XCOMP_PERM)",
	} };

	if (has_amx())
		SKIP(return, "this processor has AMX");
	run_restarter(_metadata, plain, &how[0]);
	run_restarter(_metadata, plain, &how[1]);
}

RESTARTER_TEST(room_without_permission, .craft = claim_room, .err = EINVAL,
	       .what = "flags")
{
	checkpoint_here();
}

static void *wait_for_ever(void *arg)
{
	atomic_fetch_add(&ready, 1);
	for (;;)
		pause();
	return arg;
}

/* A permission is of the process: the second thread says something else. */
RESTARTER_TEST(permission_of_one_thread, .craft = claim_permission, .err = EINVAL,
	       .what = "flags")
{
	pthread_t thread;

	CHECK(!pthread_create(&thread, NULL, wait_for_ever, NULL));
	while (!atomic_load(&ready))
		sleep_ms(1);
	checkpoint_here();
}

AMX_RESTARTER_TEST(permission_and_small_stack, .craft = claim_permission, .err = EINVAL,
		   .what = "altstack_size")
{
	has_small_stack();
}

/* A permission that is claimed is one that anybody gets who asks. */
AMX_RESTARTER_TEST(permission_is_free, .craft = claim_permission)
{
	checkpoint_here();
	CHECK(permitted());
	CHECK(!has_room());
	use(1);
}

/* As after a virtual machine has got a processor. */
AMX_RESTARTER_TEST(locked_for_guests, .craft = claim_locked)
{
	checkpoint_here();
	CHECK(syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_GUEST_PERM, XTILE_DATA) == -1 &&
	      errno == EBUSY);
	CHECK(!guests_permitted() && !permitted());
}

/* XSTATE_BV, behind the legacy region. */
#define XSTATE_BV	512

static void claim_tiles(struct walk *w)
{
	__u8 *xstate = walk_find(w, CR_HDR_XSTATE);

	xstate[XSTATE_BV + XTILE_DATA / 8] |= 1 << XTILE_DATA % 8;
}

AMX_RESTARTER_TEST(tiles_without_room, .craft = claim_tiles, .err = EINVAL,
		   .what = "features that the thread does not have")
{
	plain();
}

/* XRSTOR takes no configuration that LDTILECFG does not: there is none then. */
static void spoil_config(struct walk *w)
{
	unsigned int a, b, c, d;
	struct tilecfg *cfg;

	__cpuid_count(0xd, XTILE_CFG, a, b, c, d);
	cfg = (void *)((char *)walk_find(w, CR_HDR_XSTATE) + b);
	cfg->rows[0] = 17;
}

AMX_RESTARTER_TEST(spoilt_config, .craft = spoil_config)
{
	struct tiles is;

	CHECK(!ask());
	use(1);
	checkpoint_here();
	store_config(&is);
	CHECK(!is.cfg.palette && !is.cfg.rows[0]);
	use(2);
}

/* The pages come when there is room already: it is given back. */
static void spoil_pages(struct walk *w)
{
	struct rec *r = walk_nth(w, CR_HDR_PAGES, 0);

	w->buf[r->bulk] ^= 1;
}

AMX_RESTARTER_TEST(keeps_its_own, .craft = spoil_pages, .err = EINVAL, .what = "crc")
{
	has_tiles();
}

TEST_HARNESS_MAIN
