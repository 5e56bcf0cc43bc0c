// SPDX-License-Identifier: GPL-2.0
/*
 * Clocks and timers of a process, as checkpoint(2) saves and restart(2) restores
 * them: timer_create(2), setitimer(2), time namespaces.
 *
 * A timer that is to be restored is made before the caller of restart(2) is
 * changed, known to nobody. It becomes one of the process, and is started, when
 * nothing can fail any more.
 *
 * Lock order: k_itimer::it_lock, sighand::siglock.
 */
#include <linux/alarmtimer.h>
#include <linux/checkpoint.h>
#include <linux/cred.h>
#include <linux/hrtimer.h>
#include <linux/math64.h>
#include <linux/nsproxy.h>
#include <linux/overflow.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/posix-timers.h>
#include <linux/sched/cputime.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/signal.h>
#include <linux/time_namespace.h>
#include <linux/timekeeping.h>
#include <linux/user_namespace.h>

#include "posix-timers.h"

/*
 * Clocks
 */

/* The offsets of the time namespace of @task. Takes task_lock(). */
static struct timens_offsets checkpoint_timens(struct task_struct *task)
{
	struct timens_offsets offsets = {};

#ifdef CONFIG_TIME_NS
	task_lock(task);
	if (task->nsproxy)
		offsets = task->nsproxy->time_ns->offsets;
	task_unlock(task);
#endif
	return offsets;
}

/**
 * checkpoint_clock_seen - what a task calls a point in time
 * @task: the task
 * @clock: CLOCK_*
 * @time: nanoseconds of that clock in the initial time namespace
 *
 * Must not be called with interrupts off.
 *
 * Return: nanoseconds in the time namespace of the task, from 0 to KTIME_MAX.
 */
s64 checkpoint_clock_seen(struct task_struct *task, clockid_t clock, ktime_t time)
{
	const struct timens_offsets offsets = checkpoint_timens(task);
	s64 offset = 0;
	s64 seen;

	if (clock == CLOCK_MONOTONIC)
		offset = timespec64_to_ns(&offsets.monotonic);
	else if (clock == CLOCK_BOOTTIME || clock == CLOCK_BOOTTIME_ALARM)
		offset = timespec64_to_ns(&offsets.boottime);
	if (check_add_overflow(ktime_to_ns(time), offset, &seen))
		return offset > 0 ? KTIME_MAX : 0;
	return max(0, seen);
}

/* Reads the clocks as @task sees them: the first three members of @to. */
void checkpoint_clocks_get(struct task_struct *task, struct cr_hdr_timers *to)
{
	to->realtime = max(0, ktime_to_ns(ktime_get_real()));
	to->monotonic = checkpoint_clock_seen(task, CLOCK_MONOTONIC, ktime_get());
	to->boottime = checkpoint_clock_seen(task, CLOCK_BOOTTIME, ktime_get_boottime());
}

#ifdef CONFIG_TIME_NS
/* The offset with which a clock that is @now here is @least or later. */
static struct timespec64 checkpoint_offset(s64 least, ktime_t now, struct timespec64 own)
{
	const s64 needed = least - ktime_to_ns(now);

	return needed > timespec64_to_ns(&own) ? ns_to_timespec64(needed) : own;
}
#endif

/**
 * checkpoint_timens_create - make a time namespace in which clocks go on
 * @monotonic: what CLOCK_MONOTONIC is at least
 * @boottime: what CLOCK_BOOTTIME is at least
 *
 * The caller needs what unshare(2) and /proc/PID/timens_offsets ask for. A clock
 * that is ahead stays as it is.
 *
 * Return: namespaces for checkpoint_timens_switch() or checkpoint_timens_free(),
 * the caller's but for that of time; -EPERM; -ERANGE for what no clock reaches;
 * -ENOSPC if there are too many; -EOPNOTSUPP if the kernel has none.
 */
struct nsproxy *checkpoint_timens_create(s64 monotonic, s64 boottime)
{
#ifdef CONFIG_TIME_NS
	const struct timens_offsets own = checkpoint_timens(current);
	struct user_namespace *user_ns = current_user_ns();
	struct timens_offsets *offsets;
	struct nsproxy *ns = NULL;
	int err;

	/* The limit that proc_timens_set_offset() has. */
	if (monotonic < 0 || boottime < 0 ||
	    monotonic > KTIME_MAX / 2 || boottime > KTIME_MAX / 2)
		return ERR_PTR(-ERANGE);
	if (!ns_capable(user_ns, CAP_SYS_ADMIN) || !ns_capable(user_ns, CAP_SYS_TIME))
		return ERR_PTR(-EPERM);
	err = unshare_nsproxy_namespaces(CLONE_NEWTIME, &ns, NULL, NULL);
	if (err)
		return ERR_PTR(err);

	/* Nobody has entered it yet, so its offsets are not frozen. */
	offsets = &ns->time_ns_for_children->offsets;
	offsets->monotonic = checkpoint_offset(monotonic, ktime_get(), own.monotonic);
	offsets->boottime = checkpoint_offset(boottime, ktime_get_boottime(), own.boottime);
	return ns;
#else
	return ERR_PTR(-EOPNOTSUPP);
#endif
}

/* Drops what checkpoint_timens_create() made. */
void checkpoint_timens_free(struct nsproxy *ns)
{
	nsproxy_free(ns);
}

/**
 * checkpoint_timens_switch - let the current task enter a time namespace
 * @ns: what checkpoint_timens_create() made; it is taken over
 *
 * The data of the vDSO is mapped anew when it is used next. This cannot fail.
 */
void checkpoint_timens_switch(struct nsproxy *ns)
{
	timens_on_fork(ns, current);
	switch_task_namespaces(current, ns);
}

/*
 * Timers of setitimer(2)
 */

static const struct {
	unsigned int clock;
	u32 flag;
	size_t left;
	size_t interval;
} checkpoint_cpu_itimers[] = {
	{
		CPUCLOCK_VIRT, CR_TIMERS_VIRTUAL,
		offsetof(struct cr_hdr_timers, virtual_left),
		offsetof(struct cr_hdr_timers, virtual_interval),
	}, {
		CPUCLOCK_PROF, CR_TIMERS_PROF,
		offsetof(struct cr_hdr_timers, prof_left),
		offsetof(struct cr_hdr_timers, prof_interval),
	},
};

/* Nanoseconds until a timer that did not start again would have expired next. */
static s64 checkpoint_until_next(ktime_t expires, ktime_t now, ktime_t interval)
{
	u64 into;

	if (now < expires)
		return ktime_sub(expires, now);
	div64_u64_rem(ktime_sub(now, expires), interval, &into);
	return interval - into;
}

/*
 * Tells whether ITIMER_REAL of @task expires this moment: with siglock held, it may
 * have sent its signal, or not yet.
 */
bool checkpoint_itimer_fires(struct task_struct *task)
{
	struct hrtimer *timer = &task->signal->real_timer;

	return hrtimer_active(timer) && !hrtimer_is_queued(timer);
}

/**
 * checkpoint_itimers_get - read the timers of setitimer(2)
 * @task: the task, whose sighand is locked; see checkpoint_itimer_fires()
 * @to: gets @flags, and what is left of each and its interval
 */
void checkpoint_itimers_get(struct task_struct *task, struct cr_hdr_timers *to)
{
	struct signal_struct *signal = task->signal;
	struct hrtimer *real = &signal->real_timer;
	u64 samples[CPUCLOCK_MAX];
	int i;

	lockdep_assert_held(&task->sighand->siglock);

	to->flags = signal->timer_create_restore_ids ? CR_TIMERS_RESTORE_IDS : 0;
	to->next_id = atomic_read(&signal->next_posix_timer_id) & INT_MAX;

	/*
	 * One that expires now waits for siglock, and has sent nothing. One that
	 * repeats is not started again before its signal is delivered.
	 */
	to->real_interval = signal->it_real_incr;
	to->real_left = 0;
	if (hrtimer_active(real)) {
		to->flags |= CR_TIMERS_REAL;
		to->real_left = max(1, ktime_to_ns(hrtimer_expires_remaining(real)));
	} else if (signal->it_real_incr) {
		to->real_left = checkpoint_until_next(hrtimer_get_expires(real),
						      hrtimer_cb_get_time(real),
						      signal->it_real_incr);
	}

	for (i = 0; i < ARRAY_SIZE(checkpoint_cpu_itimers); i++) {
		const struct cpu_itimer *it =
			&signal->it[checkpoint_cpu_itimers[i].clock];
		s64 *left = (void *)to + checkpoint_cpu_itimers[i].left;
		s64 *interval = (void *)to + checkpoint_cpu_itimers[i].interval;
		u64 now;

		*left = 0;
		*interval = min_t(u64, it->incr, KTIME_MAX);
		if (!it->expires)
			continue;
		thread_group_sample_cputime(task, samples);
		now = samples[checkpoint_cpu_itimers[i].clock];
		to->flags |= checkpoint_cpu_itimers[i].flag;
		*left = it->expires > now ? min_t(u64, it->expires - now, KTIME_MAX) : 1;
	}
}

/* Starts the timers of setitimer(2) of the current task, which has none. */
static void checkpoint_itimers_start(const struct cr_hdr_timers *from)
{
	struct signal_struct *signal = current->signal;
	struct hrtimer *real = &signal->real_timer;
	int i;

	guard(spinlock_irq)(&current->sighand->siglock);

	signal->it_real_incr = from->real_interval;
	if (from->flags & CR_TIMERS_REAL)
		hrtimer_start(real, from->real_left, HRTIMER_MODE_REL);
	else if (from->real_interval)
		hrtimer_set_expires(real, ktime_add_safe(hrtimer_cb_get_time(real),
							 from->real_left));

	for (i = 0; i < ARRAY_SIZE(checkpoint_cpu_itimers); i++) {
		const unsigned int clock = checkpoint_cpu_itimers[i].clock;
		const s64 *left = (const void *)from + checkpoint_cpu_itimers[i].left;
		const s64 *interval = (const void *)from + checkpoint_cpu_itimers[i].interval;
		u64 expires = *left;
		u64 old = 0;

		if (from->flags & checkpoint_cpu_itimers[i].flag)
			set_process_cpu_timer(current, clock, &expires, &old);
		else
			expires = 0;
		signal->it[clock].expires = expires;
		signal->it[clock].incr = *interval;
	}
}

/*
 * Timers of timer_create(2)
 */

static bool checkpoint_timer_is_cpu(const struct k_itimer *timer)
{
	return timer->it_clock < 0;
}

/* What @task has to be for @timer to be saved, if it is not. */
static const char *checkpoint_timer_obstacle(struct task_struct *task,
					     const struct k_itimer *timer)
{
	const bool to_thread = timer->it_sigev_notify & SIGEV_THREAD_ID;

	if (checkpoint_timer_is_cpu(timer) &&
	    timer->it.cpu.pid != (CPUCLOCK_PERTHREAD(timer->it_clock) ?
				  task_pid(task) : task_tgid(task)))
		return "a timer for the processor time of another process or thread";
	if (timer->it_pid != (to_thread ? task_pid(task) : task_tgid(task)))
		return "a timer with a signal for another thread";
	return NULL;
}

/* The number of a clock, without that of the process or thread it is of. */
static clockid_t checkpoint_timer_clock(clockid_t clock)
{
	const clockid_t which = CPUCLOCK_WHICH(clock);

	if (clock >= 0)
		return clock;
	if (CPUCLOCK_PERTHREAD(clock))
		return which == CPUCLOCK_SCHED ? CLOCK_THREAD_CPUTIME_ID :
						 make_thread_cpuclock(0, which);
	return which == CPUCLOCK_SCHED ? CLOCK_PROCESS_CPUTIME_ID :
					 make_process_cpuclock(0, which);
}

static bool checkpoint_timer_armed(const struct k_itimer *timer)
{
	/* One without a signal is never queued, and has no status. */
	if (checkpoint_timer_is_cpu(timer))
		return timer->it.cpu.node.expires &&
		       timer->it_status != POSIX_TIMER_REQUEUE_PENDING;
	return timer->it_status == POSIX_TIMER_ARMED;
}

static ktime_t checkpoint_timer_expires(const struct k_itimer *timer)
{
	if (timer->it_clock == CLOCK_REALTIME_ALARM ||
	    timer->it_clock == CLOCK_BOOTTIME_ALARM)
		return timer->it.alarm.alarmtimer.node.expires;
	return hrtimer_get_expires(&timer->it.real.timer);
}

static void checkpoint_timer_get(struct task_struct *task, struct k_itimer *timer,
				 struct cr_hdr_timer *to)
{
	struct itimerspec64 setting = {};
	ktime_t expires = 0;

	memset(to, 0, sizeof(*to));
	to->id = timer->it_id;
	to->clock = checkpoint_timer_clock(timer->it_clock);
	to->notify = timer->it_sigev_notify;
	to->signal = timer->sigq.info.si_signo;
	memcpy(&to->value, &timer->sigq.info.si_value, sizeof(to->value));
	if (timer->it_sigev_notify & SIGEV_THREAD_ID)
		to->tid = pid_nr_ns(timer->it_pid, task_active_pid_ns(task));

	spin_lock_irq(&timer->it_lock);
	/*
	 * What timer_gettime(2) does: if the signal of a timer that repeats
	 * waits, the timer is moved on to when it expires next, and what was
	 * missed is counted.
	 */
	timer->kclock->timer_get(timer, &setting);
	if (checkpoint_timer_armed(timer))
		to->flags |= CR_TIMER_ARMED;
	to->interval = ktime_to_ns(timer->it_interval);
	to->overrun = timer->it_overrun;
	to->overrun_last = timer->it_overrun_last;
	/* Processor time begins anew in another process. */
	if ((to->flags & CR_TIMER_ARMED || to->interval) &&
	    timer->sigq.flags & SIGQUEUE_TIMER_ABSTIME) {
		to->flags |= CR_TIMER_ABSTIME;
		expires = checkpoint_timer_expires(timer);
	}
	spin_unlock_irq(&timer->it_lock);

	if (to->flags & CR_TIMER_ABSTIME)
		to->expires = checkpoint_clock_seen(task, timer->it_clock, expires);
	else
		to->expires = timespec64_to_ns(&setting.it_value);
	/* To be set to 0 is not to be armed. */
	if (!to->expires && (to->flags & CR_TIMER_ARMED || to->interval))
		to->expires = 1;
}

/**
 * checkpoint_timers_get - read the timers of timer_create(2)
 * @task: the task, which is current or does not run
 * @to: gets them, in no order
 * @max: places in @to
 * @refused: gets a name for what no image has if the answer is -EOPNOTSUPP
 *
 * A timer without CR_TIMER_ARMED and with an interval has sent its signal, which
 * either is pending or is ignored. One with CR_TIMER_ARMED has none on the way.
 *
 * Return: how many there are, which may be more than @max; -EOPNOTSUPP.
 */
int checkpoint_timers_get(struct task_struct *task, struct cr_hdr_timer *to,
			  int max, const char **refused)
{
	struct k_itimer *timer;
	int nr = 0;

	guard(rcu)();
	hlist_for_each_entry_rcu(timer, &task->signal->posix_timers, list) {
		*refused = checkpoint_timer_obstacle(task, timer);
		if (*refused)
			return -EOPNOTSUPP;
		if (nr < max)
			checkpoint_timer_get(task, timer, &to[nr]);
		nr++;
	}
	return nr;
}

/**
 * checkpoint_timer_sent - find the timer that a pending signal is of
 * @q: the signal, which has SIGQUEUE_PREALLOC, with siglock held
 * @id: gets the id of the timer
 *
 * Return: false if the signal will not be delivered, because the timer is gone or
 * was set anew.
 */
bool checkpoint_timer_sent(const struct sigqueue *q, u32 *id)
{
	const struct k_itimer *timer = container_of(q, struct k_itimer, sigq);

	*id = timer->it_id;
	return posixtimer_valid(timer) &&
	       timer->it_signal_seq == timer->it_sigqueue_seq;
}

/**
 * checkpoint_timer_create - make a timer that can become one of the caller's
 * @from: what an image says, with numbers in the ranges of their fields
 *
 * As timer_create(2), with its checks and limits; nobody knows the timer yet.
 *
 * Return: the timer, for checkpoint_timers_start() or checkpoint_timer_free();
 * -EINVAL or -EOPNOTSUPP for a clock that has no timers, -EAGAIN if the caller has
 * too many signals and timers, -EPERM.
 */
struct k_itimer *checkpoint_timer_create(const struct cr_hdr_timer *from)
{
	const struct k_clock *kc = clockid_to_kclock(from->clock);
	struct k_itimer *timer;
	struct pid *pid;
	int ret;

	if (!kc)
		return ERR_PTR(-EINVAL);
	if (!kc->timer_create)
		return ERR_PTR(-EOPNOTSUPP);

	timer = alloc_posix_timer();
	if (!timer)
		return ERR_PTR(-EAGAIN);

	spin_lock_init(&timer->it_lock);
	timer->it_id = from->id;
	timer->it_clock = from->clock;
	timer->kclock = kc;
	timer->it_overrun = -1LL;
	timer->it_sigev_notify = from->notify;
	if (from->notify & SIGEV_THREAD_ID) {
		timer->it_pid_type = PIDTYPE_PID;
		pid = task_pid(current);
	} else {
		timer->it_pid_type = PIDTYPE_TGID;
		pid = task_tgid(current);
	}
	timer->it_pid = get_pid(pid);
	timer->sigq.info.si_signo = from->signal;
	timer->sigq.info.si_code = SI_TIMER;
	timer->sigq.info.si_tid = from->id;
	memcpy(&timer->sigq.info.si_value, &from->value, sizeof(from->value));

	ret = kc->timer_create(timer);
	if (ret) {
		posixtimer_putref(timer);
		return ERR_PTR(ret);
	}
	return timer;
}

/* Drops a timer that checkpoint_timer_create() made and nobody knows. */
void checkpoint_timer_free(struct k_itimer *timer)
{
	/* It was never started, so that this need not be tried again. */
	scoped_guard(spinlock_irq, &timer->it_lock)
		timer->kclock->timer_del(timer);
	posixtimer_putref(timer);
}

/* The signal of a timer, with a reference that it has as long as it is pending. */
struct sigqueue *checkpoint_timer_signal(struct k_itimer *timer)
{
	posixtimer_sigqueue_getref(&timer->sigq);
	return &timer->sigq;
}

static void checkpoint_timer_set(struct k_itimer *timer,
				 const struct cr_hdr_timer *from)
{
	const int flags = from->flags & CR_TIMER_ABSTIME ? TIMER_ABSTIME : 0;
	struct itimerspec64 setting = {
		.it_value = ns_to_timespec64(from->expires),
		.it_interval = ns_to_timespec64(from->interval),
	};

	lockdep_assert_held(&timer->it_lock);
	timer->kclock->timer_set(timer, flags, &setting, NULL);
	timer->it_overrun = from->overrun;
	timer->it_overrun_last = from->overrun_last;
}

/* Makes @timer one of the current process, and lets it be what it is if not armed. */
static void checkpoint_timer_add(struct k_itimer *timer, const struct cr_hdr_timer *from)
{
	struct signal_struct *signal = current->signal;

	/* The process has no other timers, and these have different ids. */
	WARN_ON_ONCE(!posix_timer_add_at(timer, signal, from->id));

	guard(spinlock_irq)(&timer->it_lock);
	scoped_guard(spinlock, &current->sighand->siglock) {
		WRITE_ONCE(timer->it_signal, signal);
		hlist_add_head_rcu(&timer->list, &signal->posix_timers);
	}
	timer->it_overrun = from->overrun;
	timer->it_overrun_last = from->overrun_last;
	if (from->flags & CR_TIMER_ARMED || !from->interval)
		return;

	/*
	 * Its signal was sent: it begins again when that is delivered. One
	 * without a signal is set without being started.
	 */
	timer->it_sigev_notify = SIGEV_NONE;
	checkpoint_timer_set(timer, from);
	timer->it_sigev_notify = from->notify;
	timer->it_status = POSIX_TIMER_REQUEUE_PENDING;
	timer->it_sig_periodic = true;
}

static void checkpoint_timer_start(struct k_itimer *timer, const struct cr_hdr_timer *from)
{
	guard(spinlock_irq)(&timer->it_lock);
	if (from->flags & CR_TIMER_ARMED) {
		checkpoint_timer_set(timer, from);
	} else if (from->interval) {
		guard(spinlock)(&current->sighand->siglock);
		/* An ignored signal waits until it is not ignored any more. */
		if (list_empty(&timer->sigq.list)) {
			posixtimer_sigqueue_getref(&timer->sigq);
			hlist_add_head(&timer->ignored_list,
				       &current->signal->ignored_posix_timers);
		}
	}
}

/**
 * checkpoint_timers_add - replace the timers of the current process
 * @process: what the process has
 * @timers: what checkpoint_timer_create() made; they are taken over
 * @from: of which
 * @nr: how many
 *
 * All timers that the process has are gone, and the new ones are known, but none is
 * started. This cannot fail.
 */
void checkpoint_timers_add(const struct cr_hdr_timers *process, struct k_itimer **timers,
			   const struct cr_hdr_timer *from, unsigned int nr)
{
	struct signal_struct *signal = current->signal;
	unsigned int i;

	exit_itimers(current);
	hrtimer_cancel(&signal->real_timer);
	scoped_guard(spinlock_irq, &current->sighand->siglock) {
		signal->it_real_incr = 0;
		memset(signal->it, 0, sizeof(signal->it));
	}

	for (i = 0; i < nr; i++)
		checkpoint_timer_add(timers[i], &from[i]);
	atomic_set(&signal->next_posix_timer_id, process->next_id);
	signal->timer_create_restore_ids = !!(process->flags & CR_TIMERS_RESTORE_IDS);
}

/**
 * checkpoint_timers_start - start the timers of the current process
 * @process: as for checkpoint_timers_add()
 * @timers: likewise
 * @from: likewise
 * @nr: likewise
 *
 * The signals that timers have sent are pending already: see
 * checkpoint_signals_set(). This cannot fail.
 */
void checkpoint_timers_start(const struct cr_hdr_timers *process, struct k_itimer **timers,
			     const struct cr_hdr_timer *from, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		checkpoint_timer_start(timers[i], &from[i]);
	checkpoint_itimers_start(process);
}
