/*
 * Clients of a DNS server as pods have them: threads that call glibc's getaddrinfo(), with whatever
 * /etc/resolv.conf is there. A and AAAA leave from one socket at once, the search list is walked, and
 * a loss costs the timeout.
 *
 * clients WORKERS SECONDS PACE_MS COLD_PERCENT HOT_NAMES TAG
 *
 * Each worker looks names up one after another, a new one every PACE_MS (0: at once): COLD_PERCENT of
 * them are names that nobody asked for before (xTAG-WORKER-N.cold), the others one of HOT_NAMES
 * (webN.shop). Prints one line of JSON. A lookup that has not ended GRACE_SEC after the last began is
 * counted as unfinished, with the time that it took so far.
 */
#define _GNU_SOURCE
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WORKERS_MAX = 1024, SECONDS_MAX = 600, GRACE_SEC = 16, STACK_OCTETS = 256 << 10, TICKS_PER_SEC = 100 };

struct worker {
  pthread_t thread;
  unsigned id;
  unsigned seed;
  long lookups, failed, over_1s, over_5s;
  double slowest_ms;
  /* When the lookup under way began; 0 while there is none. */
  _Atomic double began_ms;
  unsigned char answered_in[SECONDS_MAX];
};

static struct worker workers[WORKERS_MAX];
static atomic_uchar answered_tick[SECONDS_MAX * TICKS_PER_SEC];
static atomic_int ended;
static unsigned worker_count, seconds, pace_ms, cold_percent, hot_names;
static const char *tag;
static double start_ms, end_ms;

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static void sleep_until(double ms) {
  struct timespec t = {.tv_sec = ms / 1e3, .tv_nsec = ((long long)(ms * 1e6)) % 1000000000};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static void note_answer(struct worker *w, double at_ms) {
  double since = at_ms - start_ms;
  if (since < 0 || at_ms >= end_ms) return;
  w->answered_in[(int)(since / 1000)] = 1;
  atomic_store(&answered_tick[(int)(since * TICKS_PER_SEC / 1000)], 1);
}

static void *work(void *argument) {
  struct worker *w = argument;
  double due_ms = start_ms + (pace_ms ? rand_r(&w->seed) % pace_ms : 0);
  for (long n = 0;; n++) {
    if (pace_ms) sleep_until(due_ms);
    double began = now_ms();
    if (began >= end_ms) break;
    char name[128];
    if (rand_r(&w->seed) % 100 < cold_percent)
      snprintf(name, sizeof name, "x%s-%u-%ld.cold", tag, w->id, n);
    else
      snprintf(name, sizeof name, "web%u.shop", rand_r(&w->seed) % hot_names);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found = NULL;
    atomic_store(&w->began_ms, began);
    int error = getaddrinfo(name, NULL, &hints, &found);
    atomic_store(&w->began_ms, 0);
    double at = now_ms(), took = at - began;
    if (found) freeaddrinfo(found);
    w->lookups++;
    if (error) w->failed++;
    else note_answer(w, at);
    if (took > w->slowest_ms) w->slowest_ms = took;
    if (took > 1000) w->over_1s++;
    if (took >= 4990) w->over_5s++; /* the timer of 5 s may end a little early */
    due_ms += pace_ms;
    if (due_ms < at) due_ms = at;
  }
  atomic_fetch_add(&ended, 1);
  return NULL;
}

/* The longest time in which no worker got an answer, in ms. */
static int longest_gap_ms(void) {
  int longest = 0, gap = 0;
  for (unsigned i = 0; i < seconds * TICKS_PER_SEC; i++) {
    gap = atomic_load(&answered_tick[i]) ? 0 : gap + 1;
    if (gap > longest) longest = gap;
  }
  return longest * 1000 / TICKS_PER_SEC;
}

int main(int argc, char **argv) {
  if (argc != 7) return 2;
  worker_count = atoi(argv[1]);
  seconds = atoi(argv[2]);
  pace_ms = atoi(argv[3]);
  cold_percent = atoi(argv[4]);
  hot_names = atoi(argv[5]);
  tag = argv[6];
  if (worker_count < 1 || worker_count > WORKERS_MAX || seconds < 1 || seconds > SECONDS_MAX || hot_names < 1) return 2;
  start_ms = now_ms();
  end_ms = start_ms + seconds * 1e3;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_OCTETS);
  for (unsigned i = 0; i < worker_count; i++) {
    workers[i].id = i;
    workers[i].seed = i * 7919 + getpid();
    if (pthread_create(&workers[i].thread, &attributes, work, &workers[i]) != 0) return 1;
  }
  while (atomic_load(&ended) < (int)worker_count && now_ms() < end_ms + GRACE_SEC * 1e3) usleep(20000);

  long lookups = 0, failed = 0, over_1s = 0, over_5s = 0, unfinished = 0, stalled = 0, silent = 0;
  double slowest = 0;
  for (unsigned i = 0; i < worker_count; i++) {
    struct worker *w = &workers[i];
    double began = atomic_load(&w->began_ms), worst = w->slowest_ms;
    if (began > 0) {
      double took = now_ms() - began;
      unfinished++;
      w->over_1s += took > 1000;
      w->over_5s += took >= 4990;
      if (took > worst) worst = took;
    }
    lookups += w->lookups;
    failed += w->failed;
    over_1s += w->over_1s;
    over_5s += w->over_5s;
    stalled += worst > 1000;
    if (worst > slowest) slowest = worst;
    for (unsigned s = 0; s < seconds; s++) silent += !w->answered_in[s];
  }
  printf("{\"workers\":%u,\"seconds\":%u,\"lookups\":%ld,\"failed\":%ld,\"unfinished\":%ld,"
         "\"slowestMs\":%.0f,\"over1s\":%ld,\"over5s\":%ld,\"stalledWorkers\":%ld,"
         "\"silentWorkerSeconds\":%ld,\"gapMs\":%d}\n",
         worker_count, seconds, lookups, failed, unfinished, slowest, over_1s, over_5s, stalled, silent,
         longest_gap_ms());
  fflush(stdout);
  _exit(0); /* threads may still wait in getaddrinfo() */
}
