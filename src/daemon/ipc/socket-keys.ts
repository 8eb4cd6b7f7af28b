/**
 * The keys under which the supervisor holds listening sockets for the next worker: transport, host and
 * port as they were asked for, so that port 0 is the same socket again.
 */

/** `udp 169.254.20.10 53` */
export function socketKey(transport: 'udp' | 'tcp', host: string, port: number): string {
  return `${transport} ${host} ${port}`;
}

export function isSocketKey(key: string): boolean {
  return /^(udp|tcp) /.test(key);
}

/** The parts of a key; undefined if it is not a socket's. */
export function parseSocketKey(
  key: string,
): { readonly transport: 'udp' | 'tcp'; readonly host: string; readonly port: number } | undefined {
  const [, transport, host, port] = /^(udp|tcp) (\S*) (\d{1,5})$/.exec(key) ?? [];
  if (transport !== 'udp' && transport !== 'tcp') return undefined;
  return { transport, host: host!, port: Number(port) };
}
