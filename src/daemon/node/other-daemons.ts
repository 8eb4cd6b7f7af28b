/**
 * Other daemons that serve the addresses of this node: an incumbent, a newcomer, node-cache. Interface
 * and rules are as much theirs as ours.
 *
 * They are found by their bound sockets (SO_REUSEPORT lets two bind the same address), so that nothing
 * needs to be shared but the network: it works between pods, and with daemons that do not know about us.
 */
import type { Flags } from '../../cli/flags.ts';
import { ipFromText } from '../../net/ip.ts';
import { boundPorts, holderOf } from '../../sys/bound-sockets.ts';

export interface Shared {
  /** In the spelling of RFC 5952. */
  readonly address: string;
  /** One line for the log. */
  readonly text: string;
}

/** The addresses of `-localip` where a socket is bound to the DNS port that is not among `own`. */
export function sharedAddresses(
  { localIps, dnsPort }: Pick<Flags, 'localIps' | 'dnsPort'>,
  own: ReadonlySet<number>,
): Shared[] {
  const others = boundPorts(dnsPort).filter(
    ({ transport, inode }) => transport === 'udp' && !own.has(inode),
  );
  const ours = new Set(localIps.map((text) => ipFromText(text)?.text ?? text));
  return [...ours].flatMap((address) => {
    const other = others.find((bound) => bound.address === address);
    if (other === undefined) return [];
    const holder = holderOf(other.inode);
    const who =
      holder === undefined ? 'another process' : `${holder.command} (process ${holder.pid})`;
    return [{ address, text: `${who} serves ${address} too` }];
  });
}
