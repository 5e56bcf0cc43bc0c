// SPDX-License-Identifier: GPL-2.0
/*
 * How a process is scheduled: policies with all they have, nice values, slices,
 * clamps, processors, priorities of I/O, timer slack; and that a restarter gets
 * none of it that sched_setattr(2) and its kin would not give.
 */
#include "restarter.h"
#include "subject.h"

#ifndef PR_SCHED_CORE
#define PR_SCHED_CORE		62
#define PR_SCHED_CORE_GET	0
#define PR_SCHED_CORE_CREATE	1
#endif

static void check_attr(const struct attr *want)
{
	struct attr now = get_attr();

	CHECK(now.policy == want->policy);
	CHECK(now.flags == want->flags);
	CHECK(now.nice == want->nice);
	CHECK(now.priority == want->priority);
	CHECK(now.runtime == want->runtime);
	CHECK(now.deadline == want->deadline);
	CHECK(now.period == want->period);
	CHECK(now.util_min == want->util_min);
	CHECK(now.util_max == want->util_max);
}

/* As it is before the checkpoint, so is it afterwards. */
static void keeps(struct attr *attr)
{
	struct attr now;

	CHECK(!set_attr(attr));
	now = get_attr();
	CHECK(now.policy == attr->policy && now.priority == attr->priority);
	checkpoint_here();
	check_attr(&now);
}

SUBJECT_TEST(nice_value)
{
	CHECK(!setpriority(PRIO_PROCESS, 0, 7));
	checkpoint_here();
	CHECK(getpriority(PRIO_PROCESS, 0) == 7);
}

SUBJECT_TEST(nice_value_below_zero)
{
	CHECK(!setpriority(PRIO_PROCESS, 0, -11));
	checkpoint_here();
	CHECK(getpriority(PRIO_PROCESS, 0) == -11);
}

SUBJECT_TEST(batch)
{
	struct attr attr = { .policy = SCHED_BATCH, .nice = 3 };

	keeps(&attr);
}

SUBJECT_TEST(idle)
{
	struct attr attr = { .policy = SCHED_IDLE };

	CHECK(!setpriority(PRIO_PROCESS, 0, 9));
	keeps(&attr);
	CHECK(getpriority(PRIO_PROCESS, 0) == 9);
}

SUBJECT_TEST(fifo)
{
	struct attr attr = { .policy = SCHED_FIFO, .priority = 10 };

	keeps(&attr);
}

SUBJECT_TEST(round_robin_reset_on_fork)
{
	struct attr attr = {
		.policy = SCHED_RR, .priority = 99, .flags = ATTR_RESET_ON_FORK,
	};

	keeps(&attr);
	CHECK(sched_getscheduler(0) == (SCHED_RR | SCHED_RESET_ON_FORK));
}

/* These count when the policy is another one again. */
SUBJECT_TEST(nice_value_and_slice_of_fifo)
{
	struct attr slice = { .nice = -3, .runtime = 7000000 };
	struct sched_param param = { .sched_priority = 1 };

	CHECK(!set_attr(&slice));
	CHECK(!sched_setscheduler(0, SCHED_FIFO, &param));
	checkpoint_here();
	CHECK(sched_getscheduler(0) == SCHED_FIFO);
	CHECK(getpriority(PRIO_PROCESS, 0) == -3);
	param.sched_priority = 0;
	CHECK(!sched_setscheduler(0, SCHED_OTHER, &param));
	CHECK(get_attr().nice == -3);
	CHECK(get_attr().runtime == 7000000);
}

SUBJECT_TEST(deadline)
{
	struct attr attr = {
		.policy = SCHED_DEADLINE, .flags = ATTR_DL_OVERRUN,
		.runtime = 10000000, .deadline = 100000000, .period = 200000000,
	};

	/* A checkpoint of itself may take longer than that. */
	signal(SIGXCPU, SIG_IGN);
	keeps(&attr);
	attr = get_attr();
	CHECK(attr.runtime == 10000000 && attr.deadline == 100000000 &&
	      attr.period == 200000000);
}

SUBJECT_TEST(slice)
{
	struct attr attr = { .runtime = 3000000 };

	keeps(&attr);
	CHECK(get_attr().runtime == 3000000);
}

SUBJECT_TEST(no_slice)
{
	const __u64 slice = get_attr().runtime;

	checkpoint_here();
	CHECK(get_attr().runtime == slice);
}

SUBJECT_TEST(clamps)
{
	struct attr attr = {
		.flags = ATTR_UTIL_CLAMP, .util_min = 200, .util_max = 700,
	};

	keeps(&attr);
	CHECK(get_attr().util_min == 200 && get_attr().util_max == 700);
}

SUBJECT_TEST(one_clamp)
{
	struct attr attr = { .flags = ATTR_UTIL_CLAMP & 0x40, .util_max = 300 };

	keeps(&attr);
	CHECK(get_attr().util_max == 300);
}

static void pin(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	CHECK(!sched_setaffinity(0, sizeof(one), &one));
}

static int cpus(void)
{
	cpu_set_t set;

	CHECK(!sched_getaffinity(0, sizeof(set), &set));
	return CPU_COUNT(&set);
}

static int last_cpu(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN) - 1;
}

SUBJECT_TEST(affinity)
{
	int cpu = last_cpu();
	cpu_set_t set;

	pin(cpu);
	checkpoint_here();
	CHECK(!sched_getaffinity(0, sizeof(set), &set));
	CHECK(CPU_COUNT(&set) == 1 && CPU_ISSET(cpu, &set));
	CHECK(sched_getcpu() == cpu);
}

/* Processors that there are not are asked for as well, as some programs do. */
SUBJECT_TEST(affinity_to_all)
{
	const int all = cpus();
	cpu_set_t set;

	memset(&set, 0xff, sizeof(set));
	CHECK(!sched_setaffinity(0, sizeof(set), &set));
	checkpoint_here();
	CHECK(cpus() == all);
}

SUBJECT_TEST(io_priority)
{
	CHECK(!set_ioprio(IOPRIO(2, 6)));
	checkpoint_here();
	CHECK(get_ioprio() == IOPRIO(2, 6));
}

SUBJECT_TEST(io_priority_of_real_time)
{
	CHECK(!set_ioprio(IOPRIO(1, 2)));
	checkpoint_here();
	CHECK(get_ioprio() == IOPRIO(1, 2));
}

SUBJECT_TEST(timer_slack)
{
	const int was = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);

	CHECK(!prctl(PR_SET_TIMERSLACK, 123456, 0, 0, 0));
	checkpoint_here();
	CHECK(prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0) == 123456);
	CHECK(!prctl(PR_SET_TIMERSLACK, 0, 0, 0, 0));
	CHECK(prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0) == was);
}

/* What the restarter had is gone. */

static void adorn(void)
{
	struct attr attr = {
		.policy = SCHED_BATCH, .nice = 5, .runtime = 5000000,
		.flags = ATTR_RESET_ON_FORK | ATTR_UTIL_CLAMP,
		.util_min = 100, .util_max = 200,
	};

	CHECK(!set_attr(&attr));
	CHECK(!set_ioprio(IOPRIO(3, 0)));
	CHECK(!prctl(PR_SET_TIMERSLACK, 4711, 0, 0, 0));
	pin(0);
}

RESTARTER_TEST(nothing_of_the_restarter, .before = adorn)
{
	const struct attr attr = get_attr();
	const int all = cpus(), ioprio = get_ioprio();
	const int slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);

	checkpoint_here();
	check_attr(&attr);
	CHECK(cpus() == all);
	CHECK(get_ioprio() == ioprio);
	CHECK(prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0) == slack);
}

/* Nor is anything given to one who may not have it. */

RESTARTER_TEST(nice_value_needs_a_capability, .before = drop_caps, .err = EPERM,
	       .what = "scheduling policy")
{
	CHECK(!setpriority(PRIO_PROCESS, 0, -5));
	drop_caps();
	checkpoint_here();
}

RESTARTER_TEST(more_nice_needs_none, .before = drop_caps)
{
	CHECK(!setpriority(PRIO_PROCESS, 0, 5));
	drop_caps();
	checkpoint_here();
	CHECK(getpriority(PRIO_PROCESS, 0) == 5);
}

RESTARTER_TEST(fifo_needs_a_capability, .before = drop_caps, .err = EPERM,
	       .what = "scheduling policy")
{
	struct attr attr = { .policy = SCHED_FIFO, .priority = 1 };

	CHECK(!set_attr(&attr));
	drop_caps();
	checkpoint_here();
}

RESTARTER_TEST(deadline_needs_a_capability, .before = drop_caps, .err = EPERM,
	       .what = "scheduling policy")
{
	struct attr attr = {
		.policy = SCHED_DEADLINE,
		.runtime = 10000000, .deadline = 100000000, .period = 100000000,
	};

	CHECK(!set_attr(&attr));
	drop_caps();
	checkpoint_here();
}

RESTARTER_TEST(io_priority_needs_a_capability, .before = drop_caps, .err = EPERM,
	       .what = "I/O priority")
{
	CHECK(!set_ioprio(IOPRIO(1, 0)));
	drop_caps();
	checkpoint_here();
}

static void reset_on_fork(void)
{
	struct attr attr = { .flags = ATTR_RESET_ON_FORK };

	CHECK(!set_attr(&attr));
	drop_caps();
}

RESTARTER_TEST(reset_on_fork_stays, .before = reset_on_fork, .err = EPERM,
	       .what = "scheduling policy")
{
	drop_caps();
	checkpoint_here();
}

/* All is put back, also what was changed before the call that failed. */

static void adorn_less(void)
{
	adorn();
	drop_caps();
}

RESTARTER_TEST(failure_leaves_everything, .before = adorn_less, .err = EPERM,
	       .what = "I/O priority")
{
	struct attr attr = {
		.policy = SCHED_BATCH, .nice = 10, .runtime = 2000000,
		.flags = ATTR_RESET_ON_FORK | ATTR_UTIL_CLAMP,
		.util_min = 300, .util_max = 400,
	};

	CHECK(!set_attr(&attr));
	pin(last_cpu());
	CHECK(!set_ioprio(IOPRIO(1, 0)));
	drop_caps();
	checkpoint_here();
}

/* Bulk data is the last of an image: by then the change could have been made. */
static void spoil_the_end(struct walk *w)
{
	struct rec *tail = walk_nth(w, CR_HDR_TAIL, 0);

	w->buf[tail->at + sizeof(struct cr_hdr)] ^= 1;
}

RESTARTER_TEST(bad_image_leaves_everything, .before = adorn, .craft = spoil_the_end,
	       .err = EINVAL, .what = "magic")
{
	struct attr attr = { .policy = SCHED_FIFO, .priority = 50 };

	CHECK(!set_attr(&attr));
	pin(last_cpu());
	checkpoint_here();
}

static void deadline_itself(void)
{
	struct attr attr = {
		.policy = SCHED_DEADLINE,
		.runtime = 10000000, .deadline = 100000000, .period = 100000000,
	};

	CHECK(!set_attr(&attr));
}

RESTARTER_TEST(restarter_of_deadline, .before = deadline_itself, .err = EINVAL,
	       .what = "the caller is SCHED_DEADLINE")
{
	checkpoint_here();
}

static pid_t hogs[2];

static void take_bandwidth(void)
{
	struct attr attr = {
		.policy = SCHED_DEADLINE,
		.runtime = 80000000, .deadline = 100000000, .period = 100000000,
	};
	size_t i;

	/* It need not be said, by whom it cannot be had. */
	for (i = 0; i < ARRAY_SIZE(hogs); i++) {
		hogs[i] = fork();
		if (hogs[i])
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		set_attr(&attr);
		for (;;)
			pause();
	}
	sleep_ms(200);
}

static void half_of_a_processor(void)
{
	struct attr attr = {
		.policy = SCHED_DEADLINE,
		.runtime = 50000000, .deadline = 100000000, .period = 100000000,
	};

	CHECK(!set_attr(&attr));
	checkpoint_here();
}

TEST_F_TIMEOUT(restarter, no_bandwidth_is_left, 120)
{
	static const struct restarter how = {
		.err = EBUSY, .what = "scheduling policy",
	};
	struct subject s;
	size_t i;

	if (sysconf(_SC_NPROCESSORS_ONLN) > 2)
		SKIP(return, "so many processors are not used up by two processes");
	if (!save_subject(_metadata, &s, half_of_a_processor))
		return;
	take_bandwidth();
	restart_by(&s, &how);
	for (i = 0; i < ARRAY_SIZE(hogs); i++) {
		kill(hogs[i], SIGKILL);
		waitpid(hogs[i], NULL, 0);
	}
	subject_close(&s);
}

/* Values that no kernel writes */

static struct cr_hdr_sched *sched_of(struct walk *w)
{
	return walk_find(w, CR_HDR_SCHED);
}

static void policy_of_bpf(struct walk *w)
{
	sched_of(w)->policy = 7;
}

RESTARTER_TEST(policy_that_is_not_restored, .craft = policy_of_bpf, .err = EINVAL,
	       .what = "scheduling policy")
{
	checkpoint_here();
}

static void policy_none(struct walk *w)
{
	sched_of(w)->policy = -1;
}

RESTARTER_TEST(policy_that_does_not_exist, .craft = policy_none, .err = EINVAL,
	       .what = "policy")
{
	checkpoint_here();
}

static void late_deadline(struct walk *w)
{
	sched_of(w)->policy = SCHED_DEADLINE;
	sched_of(w)->runtime = 2000000;
	sched_of(w)->deadline = 1000000;
}

RESTARTER_TEST(runtime_beyond_its_deadline, .craft = late_deadline, .err = EINVAL,
	       .what = "scheduling policy")
{
	checkpoint_here();
}

static void clamps_crossed(struct walk *w)
{
	sched_of(w)->flags |= CR_SCHED_UTIL_MIN | CR_SCHED_UTIL_MAX;
	sched_of(w)->util_min = 600;
	sched_of(w)->util_max = 500;
}

RESTARTER_TEST(clamps_that_cross, .craft = clamps_crossed, .err = EINVAL,
	       .what = "scheduling policy")
{
	checkpoint_here();
}

static void other_cpus(struct walk *w)
{
	struct rec *r = walk_nth(w, CR_HDR_AFFINITY, 0);
	__u64 *mask = walk_payload(w, r);

	memset(mask, 0, r->len);
	/* A machine that has this one would have room for more. */
	if (r->len == sizeof(*mask))
		*mask = 1ULL << 63;
}

RESTARTER_TEST(processors_that_are_not_there, .craft = other_cpus, .err = EINVAL,
	       .what = "affinity")
{
	pin(0);
	checkpoint_here();
}

static void half_of_the_cpus(struct walk *w)
{
	*(__u64 *)walk_find(w, CR_HDR_AFFINITY) = 1ULL << 63 | 1;
}

/* Those that are there do. */
RESTARTER_TEST(processors_of_which_some_are_there, .craft = half_of_the_cpus)
{
	cpu_set_t set;

	pin(last_cpu());
	checkpoint_here();
	CHECK(!sched_getaffinity(0, sizeof(set), &set));
	CHECK(CPU_ISSET(0, &set));
}

/* Core scheduling: by a cookie of its own, or not at all */

static __u64 cookie(void)
{
	__u64 id = 0;

	CHECK(!prctl(PR_SCHED_CORE, PR_SCHED_CORE_GET, 0, 0, &id));
	return id;
}

static bool cores_are_shared(void)
{
	__u64 id;

	return !prctl(PR_SCHED_CORE, PR_SCHED_CORE_GET, 0, 0, &id);
}

static void has_a_cookie(void)
{
	CHECK(!prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, 0, 0, 0));
	CHECK(cookie());
	checkpoint_here();
	CHECK(cookie());
}

TEST_F_TIMEOUT(subject, core_cookie, 120)
{
	if (!cores_are_shared())
		SKIP(return, "no two processors of this machine share a core");
	run_subject(_metadata, has_a_cookie, variant->how);
}

static void claim_a_cookie(struct walk *w)
{
	struct cr_hdr_task_attrs *attrs = walk_find(w, CR_HDR_TASK_ATTRS);

	attrs->flags |= CR_ATTR_CORE_SCHED;
}

static void has_no_cookie(void)
{
	checkpoint_here();
}

TEST_F_TIMEOUT(restarter, core_cookie_needs_a_core, 120)
{
	static const struct restarter how = {
		.craft = claim_a_cookie, .err = ENODEV,
		.what = "prctl(PR_SCHED_CORE)",
	};

	if (cores_are_shared())
		SKIP(return, "processors of this machine share a core");
	run_restarter(_metadata, has_no_cookie, &how);
}

TEST_HARNESS_MAIN
