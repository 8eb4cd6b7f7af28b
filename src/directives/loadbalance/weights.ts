/**
 * The weight file of `loadbalance weighted`: what it says, and how much an address weighs.
 *
 *   www.example.com
 *   192.0.2.1 3
 *   192.0.2.2 1
 *
 * Owns:    the format of the file, and the look-up by an address in wire form.
 */
import { type IpAddress, ipFromText } from '../../net/ip.ts';
import { LOWER, nameFromText } from '../../dns/name.ts';
import { hashOctet } from '../../dns/question.ts';
import type { RecordTable } from '../../dns/records.ts';
import { A } from '../../dns/rrtype.ts';

const DEFAULT_WEIGHT = 1;
/** The largest weight: one octet holds it. */
const WEIGHT_MAX = 255;
const HASH_SEED = 0;

interface WeightedAddress {
  readonly octets: Uint8Array;
  readonly weight: number;
}

interface Domain {
  /** In wire form, lower-cased. */
  readonly name: Uint8Array;
  readonly addresses: WeightedAddress[];
}

export class Weights {
  readonly #byHash = new Map<number, Domain[]>();

  /** Reads the text of a file, or returns what is wrong with it, in CoreDNS's words. */
  static parse(text: string, file: string): Weights | string {
    const weights = new Weights();
    let domain: Domain | undefined;
    for (const whole of text.split('\n')) {
      const line = whole.trim();
      if (line === '' || line.startsWith('#')) continue;
      const [first, second, ...more] = line.split(/\s+/) as [string, ...string[]];
      if (more.length > 0) return `could not parse weight line:"${line}" in weight file ${file}`;
      if (second === undefined) {
        const name = ipFromText(first) === undefined ? nameFromText(first) : undefined;
        if (name === undefined) {
          return `wrong domain name:"${first}" in weight file ${file}. (Maybe a missing weight value?)`;
        }
        domain = weights.#domain(name.map((octet) => LOWER[octet]!));
        continue;
      }
      const entry = readEntry(first, second, file);
      if (typeof entry === 'string') return entry;
      if (domain === undefined) return `missing domain name in weight file ${file}`;
      domain.addresses.push(entry);
    }
    return weights;
  }

  /** The weight of the address in a record of the message at `msg[at]`: 1 to 255. Hot path. */
  of(table: RecordTable, record: number, msg: Uint8Array, at: number): number {
    const domains = this.#byHash.get(bucket(table.ownerHash(record, HASH_SEED)));
    if (domains === undefined) return DEFAULT_WEIGHT;
    const octets = table.type[record] === A ? 4 : 16;
    const address = at + table.rdataAt(record);
    for (let d = 0; d < domains.length; d++) {
      const { name, addresses } = domains[d]!;
      if (!table.isOwnedBy(record, name)) continue;
      for (let i = 0; i < addresses.length; i++) {
        const known = addresses[i]!;
        if (known.octets.length === octets && isAt(known.octets, msg, address)) return known.weight;
      }
    }
    return DEFAULT_WEIGHT;
  }

  /** The domain of that name, which a file may name again. */
  #domain(name: Uint8Array): Domain {
    const hash = bucket(name.reduce(hashOctet, HASH_SEED));
    const domains = this.#byHash.get(hash) ?? [];
    this.#byHash.set(hash, domains);
    const known = domains.find((domain) => Buffer.compare(domain.name, name) === 0);
    if (known !== undefined) return known;
    const domain: Domain = { name, addresses: [] };
    domains.push(domain);
    return domain;
  }
}

function readEntry(address: string, weight: string, file: string): WeightedAddress | string {
  const ip: IpAddress | undefined = ipFromText(address);
  if (ip === undefined || ip.zone !== undefined) {
    return `wrong IP address:"${address}" in weight file ${file}`;
  }
  const value = /^\d{1,9}$/.test(weight) ? Number(weight) : 0;
  if (value < 1 || value > WEIGHT_MAX) {
    return `wrong weight value:"${weight}" in weight file ${file}`;
  }
  return { octets: ip.octets, weight: value };
}

/** A hash as a key that stays a small integer. */
function bucket(hash: number): number {
  return hash & 0x3fffffff;
}

function isAt(octets: Uint8Array, msg: Uint8Array, at: number): boolean {
  for (let i = 0; i < octets.length; i++) if (msg[at + i] !== octets[i]) return false;
  return true;
}
