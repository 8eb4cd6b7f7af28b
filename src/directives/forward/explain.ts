/**
 * The description of `forward` for people: `nodelocald explain`.
 *
 * Owns:    the wording.
 */
import { formatDuration } from '../../corefile/values.ts';
import { rcodeName } from '../../dns/rcode.ts';
import { isInZone, isInZones } from '../../dns/in-zone.ts';
import { formatHostPort } from '../../net/host-port.ts';
import { type ForwardConfig, type UpstreamTarget } from '../../upstream/config.ts';
import type { AskedName } from '../directive.ts';
import type { ForwardUse } from './config.ts';
import { DNS_PORT, type To, readNameservers } from './targets.ts';

/** Each forward that takes the name, or that there is; none if none takes it. */
export function explainForward(
  uses: readonly ForwardUse[],
  asked: AskedName | undefined,
): readonly string[] {
  const taken = asked === undefined ? uses : uses.filter(({ config }) => takes(config, asked.name));
  // Another one comes after the first only if that hands on.
  const reached = asked === undefined ? taken : taken.slice(0, chainLength(taken));
  return reached.flatMap((use) => explainUse(use, asked));
}

function takes({ from, except }: Pick<ForwardConfig, 'from' | 'except'>, name: string): boolean {
  return isInZone(name, from) && !isInZones(name, except);
}

function chainLength(uses: readonly ForwardUse[]): number {
  const last = uses.findIndex(({ config }) => config.next.length === 0);
  return last === -1 ? uses.length : last + 1;
}

function explainUse({ config, to }: ForwardUse, asked: AskedName | undefined): string[] {
  const { from, except, policy, failsMax, healthCheck, concurrentMax, next } = config;
  const whose = from === '.' ? 'all names' : `names in ${from}`;
  const but = except.length === 0 ? '' : `, but those in ${except.join(' ')},`;
  const about = asked !== undefined || (from === '.' && but === '') ? '' : `${whose}${but} `;
  const several = to.length > 1 || to.some(({ file }) => file !== undefined);
  const lines = [
    `${about}to ${to.map(targetText).join(', ')}${several ? `, ${policy}` : ''}`,
    to.every(isSecure) ? 'over TLS' : transportText(config),
    failsMax === 0
      ? 'an upstream is never taken to be down'
      : `an upstream is down after ${failsMax + 1} failed checks, ` +
        `one each ${formatDuration(healthCheck.intervalMs)}`,
  ];
  if (concurrentMax > 0) lines.push(`REFUSED beyond ${concurrentMax} queries at once`);
  if (next.length > 0) {
    lines.push(`after ${next.map(rcodeName).join(', ')} the next forward is asked`);
  }
  return lines;
}

/** A file with what it names now; a host name as it is. */
function targetText(to: To): string {
  if (to.target !== undefined) return addressText(to.target);
  if (to.named !== undefined) return addressText(to.named);
  const named = readNameservers(to.file).map((host) => formatHostPort({ host, port: DNS_PORT }));
  return `${to.file} (now ${named.length === 0 ? 'none' : named.join(', ')})`;
}

function addressText(target: UpstreamTarget): string {
  if (target.tls === undefined) return formatHostPort(target);
  const { serverName } = target.tls;
  const scheme = target.https === undefined ? 'tls' : 'https';
  return `${scheme}://${formatHostPort(target)}${serverName === undefined ? '' : ` as ${serverName}`}`;
}

function isSecure({ target, named }: To): boolean {
  return (target ?? named)?.tls !== undefined;
}

function transportText({ transport, tcpOptional }: Omit<ForwardConfig, 'targets'>): string {
  if (transport === 'tcp') return tcpOptional ? 'over TCP, or UDP if it takes none' : 'over TCP';
  return transport === 'udp' ? 'over UDP' : 'over UDP or TCP, as the client asks';
}
