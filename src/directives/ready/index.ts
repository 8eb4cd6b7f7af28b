/**
 * `ready [ADDRESS] { monitor until-ready|continuously }`: where `/ready` is served, and that the
 * block's upstreams count for it.
 *
 * Is not:  the server (http/ready.ts) nor the judge (daemon/serving/readiness.ts).
 */
import {
  type OptionTable,
  countArguments,
  one,
  readOptions,
  readUse,
} from '../../corefile/options.ts';
import { parseHostPort, parseWord } from '../../corefile/values.ts';
import { readyEndpoint } from '../../http/ready.ts';
import { HTTP_ENDPOINT, READINESS_PROOF } from '../contributions.ts';
import type { Directive } from '../directive.ts';
import type { HostPort } from '../../net/host-port.ts';

const DEFAULT_ADDRESS: HostPort = { host: '', port: 8181 };

export interface ReadyConfig {
  readonly address: HostPort;
  /** Whether an upstream that falls silent later withdraws readiness. */
  readonly continuously: boolean;
}

export const ready: Directive<ReadyConfig> = {
  name: 'ready',
  repeat: 'refuse',
  parse: (use) =>
    readUse(use, () => {
      const [address] = countArguments(use, 0, 1);
      const at = address === undefined ? DEFAULT_ADDRESS : parseHostPort(address);
      return readOptions(use, OPTIONS, { address: at, continuously: false });
    }),
  contribute: ([config], block) => {
    const { address, continuously } = config!;
    block.add(HTTP_ENDPOINT, readyEndpoint(address));
    block.add(READINESS_PROOF, { continuously, isFallback: false });
  },
};

const OPTIONS: OptionTable<{ address: HostPort; continuously: boolean }> = {
  monitor: one((draft, value) => {
    draft.continuously = parseWord(value, ['until-ready', 'continuously']) === 'continuously';
  }),
};
