/* Time: a monotonic clock for durations, the wall clock for facts. */
#ifndef G4L_BASE_CLOCK_H
#define G4L_BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds since some fixed moment; never goes back. */
uint64_t clock_ms(void);
/* The same in seconds. */
double clock_seconds(void);
/* Seconds since 1970 in UTC. G4L_NOW=<unix seconds> in the environment overrides it in tests. */
int64_t clock_unix(void);
/* The nanoseconds within the current second; 0 when G4L_NOW is set. */
uint32_t clock_unix_ns(void);
/* Sleeps, and goes on sleeping after signals. */
void clock_sleep_ms(uint64_t ms);

#endif
