import { describe, expect, test } from 'vitest';
import type { Repeat } from './directive.ts';
import { DIRECTIVES } from './index.ts';

/** The order of CoreDNS 1.13's plugin.cfg, of those that node-cache has, with `ready` and `tls`. */
const PLUGIN_CFG = (
  'metadata tls timeouts reload bufsize bind debug trace ready health pprof prometheus errors log ' +
  'dns64 loadbalance cache rewrite template hosts loop forward whoami'
).split(' ');

describe('the chain', () => {
  test('the chain has the order of plugin.cfg, which Corefiles rely on', () => {
    const names = DIRECTIVES.map(({ name }) => name);
    const theirs = names.filter((name) => PLUGIN_CFG.includes(name));
    expect(theirs).toEqual(PLUGIN_CFG.filter((name) => names.includes(name)));
  });

  test.each<{ names: string; repeat: readonly Repeat[] }>([
    { names: 'cache errors hosts loop pprof prometheus', repeat: ['refuse'] },
    { names: 'metadata tls ready', repeat: ['refuse'] },
    { names: 'bind forward log rewrite template', repeat: ['accumulate'] },
    { names: 'health dns64 trace loadbalance', repeat: ['last'] },
    { names: 'timeouts', repeat: ['last', 'accumulate'] }, // each of its options by itself
    { names: 'debug', repeat: ['last', 'first'] }, // it says nothing that a second one could change
    { names: 'bufsize reload whoami', repeat: ['first'] },
  ])('a second use of $names in a block means what it means in CoreDNS', ({ names, repeat }) => {
    const those = DIRECTIVES.filter(({ name }) => names.split(' ').includes(name));
    for (const directive of those) expect(repeat, directive.name).toContain(directive.repeat);
  });
});
