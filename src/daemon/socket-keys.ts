/**
 * The keys under which the supervisor holds listening sockets for the worker: transport, host and port
 * as they were asked for, so that port 0 is the same socket again.
 */

/** `udp 169.254.20.10 53` */
export function socketKey(transport: 'udp' | 'tcp', host: string, port: number): string {
  return `${transport} ${host} ${port}`;
}

export function isSocketKey(key: string): boolean {
  return /^(udp|tcp) /.test(key);
}
