/**
 * `pprof [ADDRESS] { block [RATE] }`: where profiles of the process are served.
 *
 * Is not:  the server (http/pprof.ts).
 */
import {
  type OptionTable,
  any,
  countArguments,
  readOptions,
  readUse,
} from '../../corefile/options.ts';
import { badValue, isInteger, parseHostPort } from '../../corefile/values.ts';
import { pprofEndpoint } from '../../http/pprof.ts';
import { HTTP_ENDPOINT } from '../contributions.ts';
import type { Directive } from '../directive.ts';
import type { HostPort } from '../../net/host-port.ts';

/** Profiles tell names that were asked for: they are for this machine, unless the Corefile says else. */
const DEFAULT_ADDRESS: HostPort = { host: 'localhost', port: 6053 };

export const pprof: Directive<HostPort> = {
  name: 'pprof',
  repeat: 'refuse',
  parse: (use) =>
    readUse(use, () => {
      const [address] = countArguments(use, 0, 1);
      const at = address === undefined ? DEFAULT_ADDRESS : parseHostPort(address);
      readOptions(use, OPTIONS, undefined);
      return at;
    }),
  contribute: ([at], block) => block.add(HTTP_ENDPOINT, pprofEndpoint(at!)),
};

/** Nothing of ours waits for a lock, so the rate of that profile is read and without effect. */
const OPTIONS: OptionTable<undefined> = {
  block: any((_, [rate]) => {
    if (rate === undefined) return;
    if (isInteger(rate.text) && Number(rate.text) > 0) return;
    throw badValue(
      rate,
      `property 'block' invalid integer value '${rate.text}'`,
      'expected a number above 0',
    );
  }, 1),
};
