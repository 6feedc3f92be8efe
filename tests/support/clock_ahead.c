/* A machine clock that is wrong by CLOCK_AHEAD_S seconds, for a process that preloads this.
 *
 * Only the time of day moves. What measures and sleeps by CLOCK_MONOTONIC stays as it is, as on a machine whose
 * clock was set wrong long ago; waits until a time of day end when the wrong clock says so.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static time_t ahead_s;

__attribute__((constructor)) static void read_ahead(void)
{
    const char *text = getenv("CLOCK_AHEAD_S");
    ahead_s = text ? atol(text) : 0;
}

long syscall(long number, ...)
{
    static long (*next)(long, ...);
    long given[6];
    va_list arguments;
    struct timespec until;

    if (!next)
        next = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    va_start(arguments, number);
    for (int index = 0; index < 6; index++)
        given[index] = va_arg(arguments, long);
    va_end(arguments);
    if (number == SYS_futex && given[1] & FUTEX_CLOCK_REALTIME && given[3]) {
        until = *(const struct timespec *)given[3];
        until.tv_sec -= ahead_s;
        given[3] = (long)&until;
    }
    return next(number, given[0], given[1], given[2], given[3], given[4], given[5]);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int status = (int)syscall(SYS_clock_gettime, clock, now);
    if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += ahead_s;
    return status;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec exact;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &exact))
        return -1;
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *where)
{
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (where)
        *where = exact.tv_sec;
    return exact.tv_sec;
}

/* Which clock a condition waits by is its own secret; no machine has been up for thirty years. */
int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until)
{
    struct timespec moved = *until;
    if (until->tv_sec < 1000000000)
        return pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, until);
    moved.tv_sec -= ahead_s;
    return pthread_cond_clockwait(condition, mutex, CLOCK_REALTIME, &moved);
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until)
{
    struct timespec moved = *until;
    moved.tv_sec -= ahead_s;
    return sem_clockwait(semaphore, CLOCK_REALTIME, &moved);
}
