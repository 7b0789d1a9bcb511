/*
 * Which snapshots are kept. Forgetting removes a snapshot's name and nothing else; what only it needed is freed by
 * prune. A snapshot that cannot be read is never forgotten here: its time is unknown.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/room.h"

/* The stretch of time, in UTC, that a rule keeps one snapshot of. */
typedef int64_t bucket_fn(int64_t time);

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static int64_t bucket_each(int64_t time)
{
	return -1; /* never asked: every snapshot counts */
}

static int64_t bucket_hour(int64_t time)
{
	return floor_div(time, 3600);
}

static int64_t bucket_day(int64_t time)
{
	return floor_div(time, 86400);
}

/* Weeks begin on Monday; 1970 began on a Thursday. */
static int64_t bucket_week(int64_t time)
{
	return floor_div(bucket_day(time) + 3, 7);
}

static int64_t bucket_month(int64_t time)
{
	time_t t = (time_t)time;
	struct tm tm;

	return gmtime_r(&t, &tm) ? (int64_t)tm.tm_year * 12 + tm.tm_mon : 0;
}

static int64_t bucket_year(int64_t time)
{
	return floor_div(bucket_month(time), 12);
}

struct rule {
	bucket_fn *bucket;
	unsigned left;
	int64_t last;
	bool any;
};

#define RULES 6

static void set_rules(struct rule rules[RULES], const struct store_keep *keep)
{
	const struct rule all[RULES] = {
		{.bucket = bucket_each, .left = keep->last},	 {.bucket = bucket_hour, .left = keep->hourly},
		{.bucket = bucket_day, .left = keep->daily},	 {.bucket = bucket_week, .left = keep->weekly},
		{.bucket = bucket_month, .left = keep->monthly}, {.bucket = bucket_year, .left = keep->yearly},
	};

	memcpy(rules, all, sizeof all);
}

/* Asked from the newest snapshot of a host to its oldest. */
static bool wanted(struct rule rules[RULES], int64_t time)
{
	bool keep = false;

	for (size_t i = 0; i < RULES; i++) {
		struct rule *r = &rules[i];
		int64_t bucket = r->bucket(time);

		if (r->left == 0 || (r->bucket != bucket_each && r->any && bucket == r->last))
			continue;
		r->left--;
		r->last = bucket;
		r->any = true;
		keep = true;
	}
	return keep;
}

static int by_host_newest_first(const void *a, const void *b)
{
	const struct store_snapshot *x = a, *y = b;
	int c = strcmp(x->host, y->host);

	if (c)
		return c;
	if (x->time != y->time)
		return x->time > y->time ? -1 : 1;
	if (x->time_ns != y->time_ns)
		return x->time_ns > y->time_ns ? -1 : 1;
	return -strcmp(x->id, y->id);
}

/* Moves those that no rule wants to the front; returns how many they are. */
static size_t choose(struct store_snapshot *list, size_t n, const struct store_keep *keep)
{
	struct rule rules[RULES];
	const char *host = NULL;
	size_t gone = 0;

	qsort(list, n, sizeof *list, by_host_newest_first);
	for (size_t i = 0; i < n; i++) {
		struct store_snapshot one = list[i];

		if (!host || strcmp(host, one.host) != 0)
			set_rules(rules, keep);
		host = list[i].host;
		if (!one.damaged && !wanted(rules, one.time))
			list[gone++] = one;
	}
	return gone;
}

int store_forget(struct store *s, const char *host, const struct store_keep *keep, bool dry_run,
		 struct store_forgotten *out, struct error *err)
{
	static const struct store_keep nothing;
	char name[STORE_SNAPSHOT_NAME_BYTES];
	struct store_snapshot *list = NULL;
	size_t n, gone;
	int lock, r;

	*out = (struct store_forgotten){0};
	/* Shared: it touches no chunk, so that only prune, which reads the snapshots to know what is needed, is in its
	 * way. */
	r = store_lock_take(s, false, &lock, err);
	if (r < 0)
		return r;
	r = store_list_snapshots(s, host, &list, &n, err);
	if (r < 0)
		goto out;
	gone = n && memcmp(keep, &nothing, sizeof nothing) != 0 ? choose(list, n, keep) : 0;
	for (size_t i = 0; i < gone && r == 0 && !dry_run; i++)
		r = store_backend_remove(s->backend, store_snapshot_name(list[i].host, list[i].id, name), err);
	if (r < 0)
		free(list);
	else
		*out = (struct store_forgotten){.at = list, .n = gone, .kept = n - gone};
out:
	store_lock_drop(lock);
	return r;
}
