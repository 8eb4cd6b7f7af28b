/**
 * `prometheus [ADDRESS]`: counts the block's queries, and says where `/metrics` is served.
 *
 * Is not:  the counting (server/) nor the server (http/metrics.ts): there is no handler, so that it
 *          costs no call per query.
 */
import { countArguments, noBlock, readUse } from '../../corefile/options.ts';
import { parseHostPort } from '../../corefile/values.ts';
import type { Directive, HostPort } from '../directive.ts';

const DEFAULT_ADDRESS: HostPort = { host: 'localhost', port: 9153 };

export const prometheus: Directive<HostPort> = {
  name: 'prometheus',
  repeat: 'refuse',
  parse: (use) =>
    readUse(use, () => {
      const [address] = countArguments(use, 0, 1);
      noBlock(use);
      return address === undefined ? DEFAULT_ADDRESS : parseHostPort(address);
    }),
  settle: (configs, settings) => {
    settings.metricsAt = configs[0]!;
  },
};
