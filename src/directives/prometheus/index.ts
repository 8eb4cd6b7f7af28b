/**
 * `prometheus [ADDRESS] { ... }`: counts the block's queries, and says where `/metrics` is served.
 *
 * Is not:  the counting (server/) nor the server (http/metrics.ts): there is no handler, so that it
 *          costs no call per query.
 */
import {
  type OptionTable,
  countArguments,
  flag,
  once,
  one,
  readOptions,
  readUse,
} from '../../corefile/options.ts';
import { parseHostPort } from '../../corefile/values.ts';
import { type MetricsPlace, metricsEndpoint } from '../../http/metrics.ts';
import { HTTP_ENDPOINT, QUERY_COUNTERS } from '../contributions.ts';
import type { Directive } from '../directive.ts';
import type { HostPort } from '../../net/host-port.ts';

const DEFAULT_ADDRESS: HostPort = { host: 'localhost', port: 9153 };

export const prometheus: Directive<MetricsPlace> = {
  name: 'prometheus',
  repeat: 'refuse',
  parse: (use) =>
    readUse(use, () => {
      const [address] = countArguments(use, 0, 1);
      const at = address === undefined ? DEFAULT_ADDRESS : parseHostPort(address);
      return readOptions(use, OPTIONS, { ...at });
    }),
  isInChain: true,
  contribute: ([place], block) => {
    block.add(QUERY_COUNTERS, 'prometheus');
    block.add(HTTP_ENDPOINT, metricsEndpoint(place!));
  },
};

type Draft = { -readonly [Key in keyof MetricsPlace]: MetricsPlace[Key] };

const OPTIONS: OptionTable<Draft> = {
  /** Of Go's runtime, which is not here; Node's metrics are always shown. */
  runtime_metrics: flag(() => undefined),
  tls: once(
    one((draft, file) => {
      draft.tlsConfigFile = file.text;
    }),
  ),
};
