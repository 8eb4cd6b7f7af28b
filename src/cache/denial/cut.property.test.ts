/** A denial moved below the name that it denies says the same as before, of a longer name. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ResourceRecord, decodeMessage } from '../../dns/codec.ts';
import { nameFromText } from '../../dns/name.ts';
import { A, IN, typeFromName, typeName } from '../../dns/rrtype.ts';
import { synthesize } from '../../query/synthesize.ts';
import { askQuery } from '../../query/testing.ts';
import { questionAbove } from './cut.ts';
import { CacheEntry, DENIED } from '../entry.ts';
import { DeniedTypes } from './denied-types.ts';
import { EVERY_TYPE } from '../key.ts';

const CUT = 'com.shop.svc.cluster.local.';
const CUT_OCTETS = nameFromText(CUT)!.length;
const label = fc.stringMatching(/^[a-z0-9_-]{1,20}$/);
/** Owners and targets at, above, below and beside the name denied. */
const name = fc
  .tuple(
    fc.array(label, { maxLength: 2 }),
    fc.constantFrom(CUT, 'cluster.local.', 'svc.cluster.local.', 'a.root.', ''),
  )
  .map(([labels, parent]) => [...labels, parent || 'test.'].join('.'));
const TIMES = { serial: 1, refresh: 2, retry: 3, expire: 4, minimum: 5 };
const soa = fc.tuple(name, name).map(([mname, rname]) => ({
  type: 'SOA',
  rdata: { kind: 'soa' as const, mname, rname, ...TIMES },
}));
/** Types whose RDATA has no compressed names: its octets stay, even those that look like a pointer. */
const opaque = fc
  .tuple(fc.constantFrom('TYPE65280', 'TYPE65281'), fc.uint8Array({ maxLength: 30 }))
  .map(([type, octets]) => ({ type, rdata: { kind: 'octets' as const, octets } }));
const record = fc.tuple(name, fc.oneof(soa, opaque), fc.nat(1000)).map(([owner, data, ttlSec]) => {
  const type = typeFromName(data.type)!;
  return { name: owner, ttlSec, type, rrClass: IN, rdata: data.rdata };
});

function denialWith(authorities: readonly ResourceRecord[]): CacheEntry {
  const { query } = askQuery(CUT, 'A');
  const { message } = synthesize(query, 'test', { rcode: 3, authorities });
  const denied = new DeniedTypes(undefined, 0);
  denied.heard(A, 0, 30);
  return new CacheEntry(message, {
    denied,
    kind: DENIED,
    qtype: EVERY_TYPE,
    dnssecOk: false,
    checkingDisabled: false,
    storedDs: 0,
    lifetimeSec: 30,
  });
}

describe('an NXDOMAIN answers for a name below its own (RFC 8020)', () => {
  test('the answer below has the same records, whatever they point to, and the TTL given', () => {
    fc.assert(
      fc.property(
        fc.array(record, { minLength: 1, maxLength: 5 }),
        fc.array(label, { minLength: 1, maxLength: 8 }),
        fc.constantFrom(-1, 0, 7),
        (authorities, labels, ttlSec) => {
          const entry = denialWith(authorities);
          const below = nameFromText(`${labels.join('.')}.${CUT}`)!;
          const { query } = askQuery(`${labels.join('.')}.${CUT}`, 'AAAA');
          expect(entry.denies(query, below.length - CUT_OCTETS)).toBe(true);

          const own = decodeMessage(entry.toWire(1, ttlSec))!;
          const moved = decodeMessage(entry.toWireFor(query, ttlSec))!;
          expect(moved.questions[0]!.name).toBe(query.name);
          expect(typeName(moved.questions[0]!.qtype)).toBe('AAAA');
          expect({ ...moved, questions: [] }).toEqual({ ...own, questions: [] });
        },
      ),
    );
  });

  test('an NXDOMAIN does not answer below where a record could hold pointers that are not looked for', () => {
    const rdata = { kind: 'name', target: CUT } as const;
    const ns = { name: 'cluster.local.', ttlSec: 1, type: typeFromName('NS')!, rrClass: IN, rdata };
    const entry = denialWith([ns]);
    const { query } = askQuery(`a.${CUT}`, 'A');
    expect(entry.denies(query, 2)).toBe(false);
  });
});

describe('the question about a name above', () => {
  test.each([{ edns: 1232, dnssecOk: true, checkingDisabled: true }, {}])(
    'the question about a name above keeps the flags of the query with %o',
    (options) => {
      const asked = askQuery(`WWW.Example.${CUT}`, 'AAAA', options).query;
      const above = questionAbove(asked, CUT_OCTETS);
      const direct = askQuery(CUT, 'A', options).query;
      expect(Buffer.from(above.msg)).toEqual(Buffer.from(direct.msg));
      const { nameOctets, qtype, dnssecOk, optAt, nameHash, payloadOctets } = direct;
      expect(above).toMatchObject({ nameOctets, qtype, dnssecOk, optAt, nameHash, payloadOctets });
    },
  );
});
