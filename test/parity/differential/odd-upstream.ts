/**
 * One upstream with the oddities of many: what it answers is decided by the name that it is asked for,
 * so two forwarders that ask it get the same.
 *
 * Owns:    the kinds of answers, each a function named by the first label of the names it is for.
 */
import type { Asked } from '../../harness/fake-upstream.ts';
import {
  AA,
  AD,
  FORMERR,
  NOTIMP,
  NXDOMAIN,
  RA,
  REFUSED,
  SERVFAIL,
  TC,
  TYPES,
  type ResponseOptions,
  aRecord,
  aaaaRecord,
  cnameRecord,
  nsRecord,
  opt,
  option,
  responseTo,
  soaRecord,
  txtRecord,
  u16,
  u32,
  wireName,
} from '../../harness/message.ts';
import { Draw } from './draw.ts';

const ZONE = 'odd.test';
const YXDOMAIN = 6;
const NOTAUTH = 9;
const PRIVATE_TYPE = 65_280;
const EDE = 15;
const LATE_MS = 40;

type Act = (asked: Asked, draw: Draw) => void;

/** Sends `options` as the answer, with an OPT if the query had one. */
function say(asked: Asked, options: ResponseOptions): void {
  const additionals = [...(options.additionals ?? []), ...(asksEdns(asked) ? [opt()] : [])];
  const full = responseTo(asked.message, { ...options, additionals });
  const room = asked.transport === 'tcp' ? 65_535 : payloadOf(asked);
  if (full.length <= room) asked.raw(full);
  else
    asked.raw(
      responseTo(asked.message, {
        ...options,
        flags: TC | RA,
        answers: [],
        authorities: [],
        additionals: asksEdns(asked) ? [opt()] : [],
      }),
    );
}

function asksEdns(asked: Asked): boolean {
  return asked.message.readUInt16BE(10) > 0;
}

function payloadOf(asked: Asked): number {
  if (!asksEdns(asked)) return 512;
  let at = 12;
  while (asked.message[at]! !== 0) at += asked.message[at]! + 1;
  return Math.max(512, asked.message.readUInt16BE(at + 5 + 3));
}

function addresses(asked: Asked, draw: Draw, owner: string = asked.name): Buffer[] {
  const count = 1 + draw.below(6);
  return Array.from({ length: count }, (_, i) => {
    const ttlSec = 20 + draw.below(300);
    return asked.type === TYPES.AAAA
      ? aaaaRecord(owner, ttlSec, i + 1)
      : aRecord(owner, ttlSec, `192.0.2.${i + 1}`);
  });
}

const soa = (draw: Draw): Buffer => soaRecord(ZONE, 30 + draw.below(200), 60);

function chain(asked: Asked, draw: Draw): { answers: Buffer[]; end: string } {
  let owner = asked.name;
  const answers: Buffer[] = [];
  for (let left = 1 + draw.below(4); left > 0; left--) {
    const target = `t${draw.below(1000)}.${ZONE}`;
    answers.push(cnameRecord(owner, 20 + draw.below(300), target));
    owner = target;
  }
  return { answers, end: owner };
}

function rawRecord(name: string, type: number, ttlSec: number, data: Buffer): Buffer {
  return Buffer.concat([wireName(name), u16(type), u16(1), u32(ttlSec), u16(data.length), data]);
}

function noise(draw: Draw, octets: number): Buffer {
  return Buffer.from(Array.from({ length: octets }, () => draw.below(256)));
}

/** By the letters that a name begins with. */
export const KINDS: Readonly<Record<string, Act>> = {
  addr: (asked, draw) => say(asked, { answers: addresses(asked, draw) }),
  many: (asked, draw) =>
    say(asked, {
      answers: Array.from({ length: 30 + draw.below(40) }, (_, i) =>
        aRecord(asked.name, 60, `198.51.100.${i + 1}`),
      ),
    }),
  chain: (asked, draw) => {
    const { answers, end } = chain(asked, draw);
    say(asked, { answers: [...answers, ...addresses(asked, draw, end)] });
  },
  dangling: (asked, draw) =>
    say(asked, { answers: chain(asked, draw).answers, authorities: [soa(draw)] }),
  nxchain: (asked, draw) =>
    say(asked, { rcode: NXDOMAIN, answers: chain(asked, draw).answers, authorities: [soa(draw)] }),
  nodata: (asked, draw) => say(asked, { authorities: [soa(draw)] }),
  nx: (asked, draw) => say(asked, { rcode: NXDOMAIN, authorities: [soa(draw)] }),
  nxbare: (asked) => say(asked, { rcode: NXDOMAIN }),
  empty: (asked) => say(asked, {}),
  onlya: (asked, draw) =>
    asked.type === TYPES.A
      ? say(asked, { answers: addresses(asked, draw) })
      : say(asked, { rcode: NXDOMAIN, authorities: [soa(draw)] }),
  referral: (asked) => say(asked, { authorities: [nsRecord(ZONE, 300, `ns.${ZONE}`)] }),
  servfail: (asked) => say(asked, { rcode: SERVFAIL }),
  refused: (asked) => say(asked, { rcode: REFUSED }),
  formerr: (asked) => say(asked, { rcode: FORMERR }),
  notimp: (asked) => say(asked, { rcode: NOTIMP }),
  yxdomain: (asked) => say(asked, { rcode: YXDOMAIN }),
  notauth: (asked) => say(asked, { rcode: NOTAUTH }),
  big: (asked, draw) =>
    say(asked, { answers: [txtRecord(asked.name, 60, 1000 + draw.below(5000))] }),
  txt: (asked, draw) => {
    const text = noise(draw, draw.below(200));
    const data = Buffer.concat([Buffer.of(text.length), text]);
    say(asked, { answers: [rawRecord(asked.name, TYPES.TXT, 60, data)] });
  },
  srv: (asked, draw) => {
    const data = Buffer.concat([u16(1), u16(2), u16(draw.below(65_536)), wireName(`host.${ZONE}`)]);
    say(asked, {
      answers: [rawRecord(asked.name, TYPES.SRV, 60, data)],
      additionals: [aRecord(`host.${ZONE}`, 60)],
    });
  },
  private: (asked, draw) =>
    say(asked, {
      answers: [rawRecord(asked.name, PRIVATE_TYPE, 60, noise(draw, draw.below(100)))],
    }),
  zero: (asked) => say(asked, { answers: [aRecord(asked.name, 0)] }),
  huge: (asked) => say(asked, { answers: [aRecord(asked.name, 0x7fff_ffff)] }),
  negative: (asked) => say(asked, { answers: [aRecord(asked.name, 0x8000_0005)] }),
  upper: (asked) => say(asked, { answers: [aRecord(asked.name.toUpperCase(), 60)] }),
  pointers: (asked, draw) => {
    const pointer = Buffer.of(0xc0, 12);
    const answers = Array.from({ length: 1 + draw.below(4) }, (_, i) =>
      Buffer.concat([pointer, u16(TYPES.A), u16(1), u32(60), u16(4), Buffer.of(192, 0, 2, i)]),
    );
    say(asked, { answers });
  },
  twice: (asked, draw) => {
    const answers = addresses(asked, draw);
    say(asked, { answers });
    if (asked.transport === 'udp') say(asked, { answers });
  },
  wrongid: (asked, draw) => {
    const answers = addresses(asked, draw);
    const id = asked.message.readUInt16BE(0) ^ 0x0f0f;
    if (asked.transport === 'udp')
      asked.answer({ id, answers: [aRecord(asked.name, 60, '203.0.113.6')] });
    say(asked, { answers });
  },
  late: (asked, draw) => {
    setTimeout(() => say(asked, { answers: addresses(asked, draw) }), LATE_MS);
  },
  trailing: (asked, draw) => {
    const full = responseTo(asked.message, { answers: addresses(asked, draw) });
    asked.raw(Buffer.concat([full, noise(draw, 1 + draw.below(20))]));
  },
  authentic: (asked, draw) => say(asked, { flags: RA | AD, answers: addresses(asked, draw) }),
  authority: (asked, draw) => say(asked, { flags: RA | AA, answers: addresses(asked, draw) }),
  norecursion: (asked, draw) => say(asked, { flags: 0, answers: addresses(asked, draw) }),
  explained: (asked, draw) =>
    asked.answer({
      rcode: draw.once(2) ? SERVFAIL : NXDOMAIN,
      authorities: [soa(draw)],
      additionals: asksEdns(asked) ? [opt({ data: option(EDE, u16(draw.below(25))) })] : [],
    }),
  glue: (asked, draw) =>
    say(asked, {
      answers: addresses(asked, draw),
      authorities: [nsRecord(ZONE, 300, `ns.${ZONE}`)],
      additionals: [aRecord(`ns.${ZONE}`, 300)],
    }),
};

/** Its behaviour: `KIND-NUMBER.odd.test`; whatever is not spelled like that is REFUSED. */
export function oddUpstream(seed: number): (asked: Asked) => void {
  return (asked) => {
    const name = asked.name.toLowerCase();
    const kind = KINDS[name.slice(0, Math.max(0, name.indexOf('-')))];
    if (kind === undefined) asked.answer({ rcode: REFUSED });
    else kind(asked, Draw.of(name, seed));
  };
}
