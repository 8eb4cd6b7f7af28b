/**
 * `debug`: log lines of level debug, for the whole process.
 *
 * Is not:  an end of the recovery from faults, as in CoreDNS: a fault costs one query a SERVFAIL.
 */
import { noArguments, noBlock, readUse } from '../../corefile/options.ts';
import { DEBUG_LOG } from '../contributions.ts';
import type { Directive } from '../directive.ts';

export const debug: Directive<true> = {
  name: 'debug',
  repeat: 'last',
  parse: (use) =>
    readUse(use, () => {
      noArguments(use);
      noBlock(use);
      return true;
    }),
  contribute: (_, block) => block.add(DEBUG_LOG, true),
};
