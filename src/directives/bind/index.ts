/**
 * `bind ADDRESS|INTERFACE... { except ADDRESS|INTERFACE... }`: the addresses that the block listens on.
 *
 * An interface stands for the addresses that it has when the Corefile is read; it is not followed.
 *
 * Owns:    the syntax, and the addresses that an interface stands for.
 */
import { networkInterfaces } from 'node:os';
import type { DirectiveUse } from '../../corefile/blocks.ts';
import { CorefileError, quote } from '../../corefile/error.ts';
import { ipFromText } from '../../net/ip.ts';
import { type OptionTable, any, readOptions, readUse } from '../../corefile/options.ts';
import { nearest } from '../../corefile/suggest.ts';
import type { Token } from '../../corefile/tokens.ts';
import { badValue } from '../../corefile/values.ts';
import { LISTEN_ADDRESS } from '../contributions.ts';
import type { Directive } from '../directive.ts';

/** Addresses as text: IPv6 without brackets, link-local ones with `%INTERFACE`. At least one. */
export type BindConfig = readonly string[];

export const bind: Directive<BindConfig> = {
  name: 'bind',
  repeat: 'accumulate',
  parse: (use) => readUse(use, () => parse(use, interfaceAddresses())),
  placesBlock: true,
  contribute: (configs, block) => {
    for (const address of configs.flat()) block.add(LISTEN_ADDRESS, address);
  },
};

/** Interface name to its addresses, in the system's order. */
export type Interfaces = ReadonlyMap<string, readonly string[]>;

const OPTIONS: OptionTable<Token[]> = {
  except: any((excepted, args, line) => {
    if (args.length === 0) {
      throw new CorefileError(
        'COREFILE_ARGUMENTS',
        line.name,
        'at least one address or interface must be given to except subdirective',
      );
    }
    excepted.push(...args);
  }),
};

/** For tests, with interfaces of their own. */
export function parse(use: DirectiveUse, interfaces: Interfaces): BindConfig {
  if (use.args.length === 0) {
    throw new CorefileError(
      'COREFILE_ARGUMENTS',
      use.place,
      'at least one address or interface name is expected',
    );
  }
  const addresses = use.args.flatMap((token) => addressesOf(token, interfaces));
  const excepted = new Set(
    readOptions(use, OPTIONS, []).flatMap((token) => addressesOf(token, interfaces)),
  );
  const left = addresses.filter((address) => !excepted.has(address));
  if (left.length > 0) return left;
  // CoreDNS would start without a listener, and exit with code 0.
  const what =
    excepted.size > 0 ? 'except leaves no address to listen on' : 'the interfaces have no address';
  throw new CorefileError('COREFILE_CONFLICT', use.place, what, {
    hint: `found ${addresses.length === 0 ? 'none' : addresses.join(', ')}`,
  });
}

/** An interface's name comes first, as it may look like an address. */
function addressesOf(token: Token, interfaces: Interfaces): readonly string[] {
  const ofInterface = interfaces.get(token.text);
  if (ofInterface !== undefined) return ofInterface;
  const address = ipFromText(token.text);
  if (address !== undefined) return [address.text];
  const what = `not a valid IP address or interface name: ${quote(token.text)}`;
  const meant = nearest(token.text, interfaces.keys());
  const known = `interfaces here: ${[...interfaces.keys()].join(', ')}`;
  throw badValue(token, what, meant === undefined ? known : `did you mean ${quote(meant)}?`);
}

function interfaceAddresses(): Interfaces {
  return new Map(
    Object.entries(networkInterfaces()).map(([name, addresses]) => [
      name,
      (addresses ?? []).map(({ address, family, scopeid }) =>
        family === 'IPv6' && scopeid !== 0 ? `${address}%${name}` : address,
      ),
    ]),
  );
}
