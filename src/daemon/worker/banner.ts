/** The lines that say what is served: printed once, when the daemon begins to serve. */
import { EXAMPLE_NAME } from '../../directives/contributions.ts';
import type { HostPort } from '../../net/host-port.ts';
import type { StreamLog } from '../../observe/log.ts';
import type { Admin } from '../serving/admin.ts';
import type { Generation } from '../serving/generation.ts';
import type { Listeners } from '../serving/listeners.ts';
import { VERSION } from './version.ts';

/** Prints zones, version and platform as CoreDNS does; the HTTP addresses; and a query to try. */
export function printBanner(
  generation: Generation,
  listeners: Listeners,
  admin: Admin,
  log: StreamLog,
): void {
  for (const line of listeners.describe(generation)) log.banner(line);
  log.banner(`nodelocald-${VERSION}`);
  log.banner(`${process.platform}/${process.arch}, node ${process.version}`);
  const [address] = listeners.addresses;
  const [name] = generation.contributed(EXAMPLE_NAME);
  const http = admin.describe();
  if (http !== '') log.info(http);
  if (address !== undefined && name !== undefined) {
    log.banner(`try: dig ${digServer(address)} ${name.replace(/\.$/, '')}`);
  }
}

/** The server argument of dig: a wildcard address is asked on loopback. */
function digServer({ host, port }: HostPort): string {
  const wildcard = host === '' || host === '::' || host === '0.0.0.0';
  const at = wildcard ? '127.0.0.1' : host;
  return `@${at} -p ${port}`;
}
