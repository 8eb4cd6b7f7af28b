/*
 * Measures how long each answer takes over UDP, which dnsperf 2.10 tells as an average only.
 *
 * Usage: latency PORT FILE QPS SECONDS spin|sleep
 *   FILE   queries, each preceded by its length as two octets, taken in turn from the start
 *   QPS    queries per second, sent on time whether answers come or not; 0: one at a time, the
 *          next when the last was answered or LOST_AFTER_NS have passed
 *   spin   never sleeps, so that waking up costs the client nothing; sleep is for a core that an
 *          upstream shares
 * Prints one line of JSON with times in microseconds. Queries go to 127.0.0.1.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#define SECOND_NS 1000000000LL
#define LOST_AFTER_NS SECOND_NS
enum { IDS = 65536, BUCKET_NS = 100, BUCKETS = 2000000 }; /* Up to 200 ms; the last one: longer. */

static int64_t sentAtNs[IDS];
static uint32_t buckets[BUCKETS];
static int64_t sent, answered, sumNs, maxNs;

static int64_t nowNs(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * SECOND_NS + t.tv_nsec;
}

/* Takes one response if there is one, and returns whether it was a fresh answer to a query. */
static int receiveOne(int sock) {
  unsigned char in[4096];
  ssize_t size = recv(sock, in, sizeof in, MSG_DONTWAIT);
  if (size < 12) return 0;
  int id = in[0] << 8 | in[1];
  if (sentAtNs[id] == 0) return 0;
  int64_t tookNs = nowNs() - sentAtNs[id];
  sentAtNs[id] = 0;
  int64_t bucket = tookNs / BUCKET_NS;
  buckets[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
  answered++;
  sumNs += tookNs;
  if (tookNs > maxNs) maxNs = tookNs;
  return 1;
}

static double percentileUs(double share) {
  int64_t seen = 0, wanted = (int64_t)(answered * share);
  for (int i = 0; i < BUCKETS; i++) {
    seen += buckets[i];
    if (seen > wanted) return (i + 1) * (BUCKET_NS / 1000.0);
  }
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 6) return fprintf(stderr, "latency PORT FILE QPS SECONDS spin|sleep\n"), 2;
  int qps = atoi(argv[3]), spin = strcmp(argv[5], "spin") == 0, receiveBuffer = 4 << 20;
  FILE *file = fopen(argv[2], "rb");
  if (file == NULL) return perror(argv[2]), 1;
  fseek(file, 0, SEEK_END);
  long size = ftell(file), at = 0;
  rewind(file);
  unsigned char *queries = malloc(size + 1);
  if (size < 14 || fread(queries, 1, size, file) != (size_t)size) return perror(argv[2]), 1;

  int sock = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in server = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  server.sin_port = htons(atoi(argv[1]));
  setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, sizeof receiveBuffer);
  if (connect(sock, (struct sockaddr *)&server, sizeof server) < 0) return perror("latency"), 1;
  prctl(PR_SET_TIMERSLACK, 1); /* The default of 50 us would send in bursts. */

  int64_t startNs = nowNs(), endNs = startNs + (int64_t)(atof(argv[4]) * SECOND_NS);
  int64_t dueNs = startNs, everyNs = qps > 0 ? SECOND_NS / qps : 0, now = startNs;
  for (; now < endNs; now = nowNs()) {
    if (now >= dueNs) {
      if (at + 2 > size) at = 0;
      int length = queries[at] << 8 | queries[at + 1], id = sent & (IDS - 1);
      unsigned char *query = queries + at + 2;
      at += 2 + length;
      query[0] = id >> 8;
      query[1] = id & 0xff;
      sentAtNs[id] = now = nowNs();
      send(sock, query, length, 0);
      sent++;
      dueNs = qps > 0 ? dueNs + everyNs : now + LOST_AFTER_NS;
    } else if (!spin) {
      struct timespec rest = {.tv_sec = (dueNs - now) / SECOND_NS,
                              .tv_nsec = (dueNs - now) % SECOND_NS};
      struct pollfd readable = {.fd = sock, .events = POLLIN};
      ppoll(&readable, 1, &rest, NULL);
    }
    if (receiveOne(sock) && qps == 0) dueNs = 0;
  }
  double tookSec = (now - startNs) / (double)SECOND_NS;
  for (int64_t lastNs = nowNs() + SECOND_NS / 2; answered < sent && nowNs() < lastNs;) {
    receiveOne(sock);
  }
  printf("{\"sent\":%lld,\"answered\":%lld,\"qps\":%.1f,\"avgUs\":%.2f,\"p50Us\":%.1f,"
         "\"p99Us\":%.1f,\"p999Us\":%.1f,\"maxUs\":%.1f}\n",
         (long long)sent, (long long)answered, answered / tookSec,
         answered > 0 ? sumNs / 1000.0 / answered : 0.0, percentileUs(0.5), percentileUs(0.99),
         percentileUs(0.999), maxNs / 1000.0);
  return 0;
}
