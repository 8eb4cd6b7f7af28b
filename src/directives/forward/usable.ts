/**
 * The upstreams of a `forward` as the operator should hear of them: that there are none, and that one of
 * them is this server itself, whose queries would come round for ever.
 *
 * Owns:    which upstream is ourselves, by address. What comes back by way of others, `loop` finds.
 */
import { networkInterfaces } from 'node:os';
import { type UpstreamTarget } from '../../upstream/config.ts';
import type { BuildContext } from '../directive.ts';
import { type HostPort, formatHostPort } from '../../net/host-port.ts';

let made = 0;

export class UsableTargets {
  readonly #context: BuildContext;
  readonly #zone: string;
  /** Like no other's: two generations are there at once while one is tried. */
  readonly #subject = `forward ${++made}`;
  #told = '';

  constructor(context: BuildContext) {
    this.#context = context;
    this.#zone = context.zones.join(', ');
    this.choose([]);
    context.onStop(() => {
      for (const kind of ['upstream', 'loop'] as const) context.troubles.end(kind, this.#subject);
    });
  }

  /** Those of `targets` to use. With `onLoop` exit all of them: `loop` is to find it, and to end us. */
  choose(targets: readonly UpstreamTarget[]): readonly UpstreamTarget[] {
    const { onLoop, listeners, troubles, log } = this.#context;
    const ours = onLoop === 'disable' ? targets.filter((each) => isOwn(each, listeners)) : [];
    const names = ours.map(formatHostPort).join(', ');
    if (names !== this.#told && names !== '') {
      log.error(`plugin/forward: not used by the block ${this.#zone}, as we are it: ${names}`);
    }
    this.#told = names;
    if (names === '') troubles.end('loop', this.#subject);
    else troubles.begin('loop', this.#subject, `an upstream of ${this.#zone} is us: ${names}`);
    const others = targets.filter((each) => !ours.includes(each));
    if (others.length > 0) troubles.end('upstream', this.#subject);
    else troubles.begin('upstream', this.#subject, `the block ${this.#zone} has no upstream`);
    return others;
  }
}

/** Whether what is sent there comes to one of `listeners`: the block's own. */
export function isOwn(
  { host, port }: HostPort,
  listeners: readonly HostPort[],
  local: () => readonly string[] = localAddresses,
): boolean {
  return listeners.some((listener) => {
    if (listener.port !== port) return false;
    if (listener.host === host) return true;
    const wildcard = host.includes(':') ? ['', '::'] : ['', '0.0.0.0', '::'];
    return wildcard.includes(listener.host) && local().includes(host);
  });
}

function localAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((found) =>
    (found ?? []).map(({ address }) => address),
  );
}
