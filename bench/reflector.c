/*
 * The floor: what the kernel alone costs a server that answers DNS over UDP with recvmmsg and
 * sendmmsg. Each datagram goes back to its sender as it came, with QR and RA set, so that dnsperf
 * counts it as a response. No server that looks at a query can be cheaper.
 *
 * Usage: reflector PORT, on 127.0.0.1, until killed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { BATCH_MAX = 64, SIZE_MAX_OCTETS = 1500, HEADER_SIZE = 12, QR = 0x80, RA = 0x80 };

static unsigned char octets[BATCH_MAX][SIZE_MAX_OCTETS];
static struct sockaddr_in peers[BATCH_MAX];
static struct iovec vectors[BATCH_MAX];
static struct mmsghdr batch[BATCH_MAX];

int main(int argc, char **argv) {
  int sock = socket(AF_INET, SOCK_DGRAM, 0), receiveBuffer = 4 << 20;
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  here.sin_port = htons(argc > 1 ? atoi(argv[1]) : 0);
  setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, sizeof receiveBuffer);
  if (sock < 0 || bind(sock, (struct sockaddr *)&here, sizeof here) < 0) {
    perror("reflector");
    return 1;
  }
  for (int i = 0; i < BATCH_MAX; i++) {
    vectors[i].iov_base = octets[i];
    batch[i].msg_hdr.msg_iov = &vectors[i];
    batch[i].msg_hdr.msg_iovlen = 1;
    batch[i].msg_hdr.msg_name = &peers[i];
  }
  for (;;) { /* Ends with the process: the benchmark kills it. */
    for (int i = 0; i < BATCH_MAX; i++) {
      vectors[i].iov_len = SIZE_MAX_OCTETS;
      batch[i].msg_hdr.msg_namelen = sizeof peers[i];
    }
    int received = recvmmsg(sock, batch, BATCH_MAX, MSG_WAITFORONE, NULL);
    for (int i = 0; i < received; i++) {
      vectors[i].iov_len = batch[i].msg_len;
      if (batch[i].msg_len < HEADER_SIZE) continue;
      octets[i][2] |= QR;
      octets[i][3] |= RA;
    }
    for (int sent = 0; sent < received;) { /* At most BATCH_MAX turns: each sends or skips one. */
      int n = sendmmsg(sock, batch + sent, received - sent, 0);
      sent += n > 0 ? n : 1;
    }
  }
}
