/**
 * `health [ADDRESS] { lameduck DURATION }`: where `/health` is served, and how long to go on serving
 * after SIGTERM.
 *
 * Owns:    the syntax and the default address.
 * Is not:  the server (http/health.ts), which the daemon runs.
 */
import {
  type OptionTable,
  countArguments,
  one,
  readOptions,
  readUse,
} from '../../corefile/options.ts';
import { CorefileError } from '../../corefile/error.ts';
import type { Token } from '../../corefile/tokens.ts';
import { badValue, parseDuration, parseHostPort } from '../../corefile/values.ts';
import { healthEndpoint } from '../../http/health.ts';
import { HTTP_ENDPOINT, LAMEDUCK_MS, READINESS_PROOF } from '../contributions.ts';
import type { Directive } from '../directive.ts';
import type { HostPort } from '../../net/host-port.ts';

export interface HealthConfig {
  readonly address: HostPort;
  readonly lameduckMs: number;
}

const DEFAULT_ADDRESS: HostPort = { host: '', port: 8080 };

export const health: Directive<HealthConfig> = {
  name: 'health',
  repeat: 'last',
  parse: (use) =>
    readUse(use, () => {
      const [address] = countArguments(use, 0, 1);
      const at = address === undefined ? DEFAULT_ADDRESS : parseHostPort(address);
      return readOptions(use, OPTIONS, { address: at, lameduckMs: 0 });
    }),
  contribute: (configs, block) => {
    const { address, lameduckMs } = configs.at(-1)!;
    block.add(HTTP_ENDPOINT, healthEndpoint(address));
    block.add(LAMEDUCK_MS, lameduckMs);
    block.add(READINESS_PROOF, { continuously: false, isFallback: true });
  },
};

const OPTIONS: OptionTable<{ address: HostPort; lameduckMs: number }> = {
  lameduck: one((draft, value) => {
    draft.lameduckMs = parseLameduck(value);
  }),
};

function parseLameduck(value: Token): number {
  try {
    // A negative one sleeps not at all, in Go.
    return Math.max(0, parseDuration(value));
  } catch (cause) {
    if (!(cause instanceof CorefileError)) throw cause;
    const what = `unable to parse lameduck duration value: '${value.text}' : ${cause.what}`;
    throw badValue(value, what, cause.hint);
  }
}
