/* The thread pool: one job at a time, cut into chunks of items that any thread may do. What a job computes
   must not depend on the cut. A fork and join costs well under a microsecond while the threads are awake;
   they spin for some tens of microseconds before they sleep, and not at all where there are more threads than
   CPUs. */
#ifndef NETC_POOL_H
#define NETC_POOL_H

#include "fault.h"

enum { POOL_MOST_THREADS = 1024 };

typedef struct Pool Pool;

/* Does the items [begin, end); called at once from several threads, on disjoint items. */
typedef void PoolWork(void *context, int64_t begin, int64_t end);

int pool_online_cpus(void); /* those that this process may run on */

/* `threads` with the caller's; 1 … POOL_MOST_THREADS. NULL after a fault. */
Pool *pool_start(int threads, Fault *fault);
void pool_stop(Pool *pool);
int pool_threads(const Pool *pool);

/* Runs `work` on items 0 … items-1, and returns when all are done. Allocates nothing. By one caller at a
 * time. */
NETC_ENTRY void pool_run(Pool *pool, PoolWork *work, void *context, int64_t items);

#endif
