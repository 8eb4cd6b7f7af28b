/**
 * Linux's numbers for the calls of libc.ts, as its headers have them; the same on x86-64 and arm64.
 *
 * Owns:    every constant of the kernel's interface; what each file does with them is its own.
 */

/** errno(3). */
export const EINTR = 4;
export const EAGAIN = 11;
export const ENOBUFS = 105;
export const ENOTCONN = 107;

/** socket(2): domains, types, and flags that are or-ed to a type. */
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_SEQPACKET = 5;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;

/** socket(7): options of SOL_SOCKET. */
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_TYPE = 3;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_REUSEPORT = 15;
export const SO_PEERCRED = 17;
export const SO_ACCEPTCONN = 30;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;
export const SO_DOMAIN = 39;

/** ip(7), ipv6(7), tcp(7). */
export const IPPROTO_IP = 0;
export const IP_PKTINFO = 8;
export const IP_FREEBIND = 15;
export const IPPROTO_IPV6 = 41;
export const IPV6_V6ONLY = 26;
export const IPV6_RECVPKTINFO = 49;
export const IPPROTO_TCP = 6;
export const TCP_INFO = 11;
export const TCP_USER_TIMEOUT = 18;

/** recvmsg(2), sendmsg(2), unix(7). */
export const MSG_CTRUNC = 0x8;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_CMSG_CLOEXEC = 0x40000000;
export const SCM_RIGHTS = 1;

/** fcntl(2), flock(2), memfd_create(2), mmap(2), waitpid(2). */
export const F_DUPFD_CLOEXEC = 1030;
export const LOCK_EX = 2;
export const LOCK_NB = 4;
export const LOCK_UN = 8;
export const MFD_CLOEXEC = 1;
export const PROT_READ_WRITE = 3;
export const MAP_SHARED = 1;
export const WNOHANG = 1;
