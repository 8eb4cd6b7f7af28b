/**
 * The messages that we accept as queries, and the answers that others deserve: raw octets over UDP and TCP.
 * Specified by RFC 1035 section 4.1, RFC 6891 section 6, RFC 9619; the details are CoreDNS's.
 */
import { describe, expect, test } from 'vitest';
import { ask, askOrSilence, askStream } from '../harness/client.ts';
import { Daemon } from '../harness/daemon.ts';
import { useLab } from '../harness/lab.ts';
import {
  BADVERS,
  CD,
  CLASS_CH,
  FORMERR,
  NOERROR,
  NOTIMP,
  QR,
  RA,
  RD,
  REFUSED,
  TYPES,
  aRecord,
  header,
  opt,
  option,
  query,
  questionOf,
  u16,
  wireName,
} from '../harness/message.ts';
import { DNS_PORT, startPair } from '../harness/pair.ts';

const lab = useLab();
const SILENCE_MS = 400;

const pair = await startPair(lab, (asked) =>
  asked.answer({ answers: asked.type === TYPES.A ? [aRecord(asked.name, 60)] : [] }),
);
const { at } = pair;

const subnet = (...octets: number[]): Buffer => option(8, Buffer.from(octets));

describe('messages that deserve silence (an answer could start a loop of answers)', () => {
  test.each([
    { octets: 0, because: 'it is empty' },
    { octets: 1, because: 'it has no ID' },
    { octets: 2, because: 'it has an ID and nothing else' },
    { octets: 11, because: 'the header is an octet short' },
  ])('$octets octets over UDP: $because', async ({ octets }) => {
    const message = query('a.example', 'A').subarray(0, octets);
    expect(await askOrSilence(lab, at, message, SILENCE_MS)).toBeUndefined();
  });

  test.each([
    { opcode: 0, what: 'a response' },
    { opcode: 4, what: 'a response to NOTIFY' },
    { opcode: 5, what: 'a response to UPDATE' },
    { opcode: 15, what: 'a response of no known opcode' },
  ])('QR=1, opcode $opcode: $what', async ({ opcode }) => {
    const message = query('a.example', 'A', { flags: QR | RD, opcode });
    expect(await askOrSilence(lab, at, message, SILENCE_MS)).toBeUndefined();
  });
});

describe('opcodes that are not served get NOTIMP (RFC 1035 section 4.1.1)', () => {
  test.each([
    { opcode: 1 },
    { opcode: 2 },
    { opcode: 3 },
    { opcode: 5 },
    { opcode: 6 },
    { opcode: 15 },
  ])('opcode $opcode: header alone, same ID and opcode', async ({ opcode }) => {
    const message = query('a.example', 'A', { id: 0x1234, opcode, flags: RD | CD });
    const reply = await ask(lab, at, message);
    expect(reply.wire).toHaveLength(12);
    expect(reply.wire).toEqual(
      header(0x1234, QR | (opcode << 11) | RD | CD | NOTIMP, [0, 0, 0, 0]),
    );
  });
});

describe('counts that no query has get FORMERR, the header alone (RFC 9619)', () => {
  const name = wireName('a.example');
  const question = Buffer.concat([name, u16(1), u16(1)]);
  const rr = aRecord('a.example', 1);
  test.each([
    { what: 'no question', octets: header(7, RD, [0, 0, 0, 0]) },
    {
      what: 'no question but an OPT',
      octets: Buffer.concat([header(7, RD, [0, 0, 0, 1]), opt()]),
    },
    {
      what: 'two questions',
      octets: Buffer.concat([header(7, RD, [2, 0, 0, 0]), question, question]),
    },
    {
      what: '65,535 questions',
      octets: Buffer.concat([header(7, RD, [0xffff, 0, 0, 0]), question]),
    },
    {
      what: 'two answers',
      octets: Buffer.concat([header(7, RD, [1, 2, 0, 0]), question, rr, rr]),
    },
    {
      what: 'two authority records',
      octets: Buffer.concat([header(7, RD, [1, 0, 2, 0]), question, rr, rr]),
    },
    {
      what: 'three additional records',
      octets: Buffer.concat([header(7, RD, [1, 0, 0, 3]), question, rr, rr, rr]),
    },
    {
      what: 'a question that is cut in its name',
      octets: Buffer.concat([header(7, RD, [1, 0, 0, 0]), name.subarray(0, 4)]),
    },
    {
      what: 'a name of 300 octets',
      octets: Buffer.concat([
        header(7, RD, [1, 0, 0, 0]),
        wireName(Array.from({ length: 50 }, () => 'label').join('.')),
        u16(1),
        u16(1),
      ]),
    },
    {
      what: 'a name that is a pointer to itself',
      octets: Buffer.concat([header(7, RD, [1, 0, 0, 0]), Buffer.of(0xc0, 12), u16(1), u16(1)]),
    },
    {
      what: 'a name that points forward',
      octets: Buffer.concat([
        header(7, RD, [1, 0, 0, 0]),
        Buffer.of(0xc0, 20),
        u16(1),
        u16(1),
        name,
      ]),
    },
    {
      what: 'a label of a reserved kind',
      octets: Buffer.concat([header(7, RD, [1, 0, 0, 0]), Buffer.of(0x41, 1, 0), u16(1), u16(1)]),
    },
  ])('$what', async ({ octets }) => {
    const overUdp = await ask(lab, at, octets);
    expect(overUdp.wire).toEqual(header(7, QR | RD | FORMERR, [0, 0, 0, 0]));
    const overTcp = await askStream(lab, at, octets);
    expect(overTcp.wire).toEqual(overUdp.wire);
  });
});

describe('a readable question with nonsense behind it gets FORMERR with the question', () => {
  test.each([
    {
      what: 'an EDNS option that runs past the end of the OPT',
      edns: { data: Buffer.concat([u16(10), u16(9), Buffer.alloc(8)]) },
    },
    { what: 'an EDNS option header that is cut', edns: { data: Buffer.of(0, 10, 0) } },
    { what: 'an OPT that runs past the end of the message', edns: { length: 4 } },
    { what: 'a client subnet of two octets', edns: { data: subnet(0, 1) } },
    { what: 'a client subnet of no known family', edns: { data: subnet(0, 9, 24, 0, 1, 2, 3) } },
  ])('$what', async ({ edns }) => {
    const message = query('MiXed.example', 'A', { edns });
    const reply = await ask(lab, at, message);
    expect(reply).toMatchObject({ rcode: FORMERR, counts: [1, 0, 0, 0] });
    expect(reply.question).toEqual({ name: 'MiXed.example', type: TYPES.A, qclass: 1 });
    expect(pair.upstream.about('mixed.example')).toHaveLength(0);
  });

  test('an additional record that is announced and missing gets FORMERR with the question', async () => {
    const message = query('a.example', 'A', { counts: [1, 0, 0, 1] });
    const reply = await ask(lab, at, message);
    expect(reply).toMatchObject({ rcode: FORMERR, counts: [1, 0, 0, 0] });
  });
});

describe('unusual queries that are answered all the same', () => {
  test('octets behind the last record are ignored', async () => {
    const message = query('trailing.example', 'A', { trailing: Buffer.from('rubbish') });
    expect(await ask(lab, at, message)).toMatchObject({ rcode: NOERROR, counts: [1, 1, 0, 0] });
  });

  test('of two OPT records the last one counts', async () => {
    const question = questionOf(query('two-opt.example', 'A'));
    const octets = Buffer.concat([
      header(9, RD, [1, 0, 0, 2]),
      question,
      opt({ version: 3, payload: 600 }),
      opt({ payload: 900 }),
    ]);
    const reply = await ask(lab, at, octets);
    expect(reply).toMatchObject({ rcode: NOERROR, opt: { payload: 900, version: 0 } });
  });

  test('a UDP query of 600 octets is answered (CoreDNS cuts it at 512 and answers FORMERR)', async () => {
    const empty = query('padded.example', 'A', { edns: { data: option(12, Buffer.alloc(0)) } });
    const padding = option(12, Buffer.alloc(600 - empty.length));
    const message = query('padded.example', 'A', { edns: { data: padding } });
    expect(message).toHaveLength(600);
    expect(await ask(lab, at, message)).toMatchObject({ rcode: NOERROR, counts: [1, 1, 0, 1] });
  });

  test('a query for the root is answered', async () => {
    expect(await ask(lab, at, query('.', 'A'))).toMatchObject({
      rcode: NOERROR,
      question: { name: '' },
    });
  });

  test('a name of 255 octets with labels of 63 is answered', async () => {
    const label = 'x'.repeat(63);
    const name = [label, label, label, 'y'.repeat(61)].join('.');
    expect(wireName(name)).toHaveLength(255);
    expect(await ask(lab, at, query(name, 'A'))).toMatchObject({ rcode: NOERROR });
  });

  test('a name with octets that are not letters, zero among them, is answered', async () => {
    const message = query('a\u0000b\u00ff c.example', 'A');
    expect(await ask(lab, at, message)).toMatchObject({
      rcode: NOERROR,
      question: { name: 'a\u0000b\u00ff c.example' },
    });
  });

  test.each([{ type: TYPES.ANY }, { type: 65 }, { type: 65_280 }, { type: 0 }])(
    'QTYPE $type is asked upstream like any other',
    async ({ type }) => {
      const name = `type${type}.example`;
      expect(await ask(lab, at, query(name, type))).toMatchObject({
        rcode: NOERROR,
        question: { name, type },
      });
      expect(pair.upstream.about(name)).toMatchObject([{ type }]);
    },
  );

  test('class CH is forwarded where the server forwards, and never answered from an IN entry', async () => {
    await ask(lab, at, query('class.example', 'A'));
    const reply = await ask(lab, at, query('class.example', 'A', { qclass: CLASS_CH }));
    expect(reply.question).toEqual({ name: 'class.example', type: TYPES.A, qclass: CLASS_CH });
    const classes = pair.upstream
      .about('class.example')
      .map(({ message }) => questionOf(message).readUInt16BE(questionOf(message).length - 2));
    expect(classes).toEqual([1, CLASS_CH]);
  });

  test('NOTIFY is passed on and its answer not kept', async () => {
    for (let i = 0; i < 2; i++) {
      const reply = await ask(lab, at, query('notify.example', 'SOA', { opcode: 4 }));
      expect(reply.rcode).toBe(NOERROR);
      expect((reply.flags >> 11) & 0x0f).toBe(4);
    }
    expect(pair.upstream.about('notify.example')).toHaveLength(2);
  });
});

describe('EDNS versions other than 0 get BADVERS (RFC 6891 section 6.1.3)', () => {
  test.each([{ version: 1 }, { version: 255 }])('version $version', async ({ version }) => {
    const message = query('vErsion.example', 'A', { flags: RD | CD, edns: { version } });
    const reply = await ask(lab, at, message);
    expect(reply).toMatchObject({
      rcode: BADVERS,
      counts: [1, 0, 0, 1],
      question: { name: 'vErsion.example' },
      opt: { version: 0 },
    });
    expect(reply.has(RD)).toBe(true);
    expect(reply.has(CD)).toBe(true);
    expect(reply.has(RA)).toBe(false);
    expect(pair.upstream.about('version.example')).toHaveLength(0);
  });
});

describe('a server without forward', () => {
  const local = { host: lab.address(200), port: DNS_PORT };
  test('a server without forward refuses classes other than IN, and names of no zone', async () => {
    const hosts = lab.write('hosts', '192.0.2.7 a.here.test\n');
    await Daemon.start(
      lab,
      `here.test:${DNS_PORT} {\n bind ${local.host}\n errors\n hosts ${hosts}\n}\n`,
    );
    expect(await ask(lab, local, query('a.here.test', 'A'))).toMatchObject({
      rcode: NOERROR,
      counts: [1, 1, 0, 0],
    });
    for (const qclass of [CLASS_CH, 4, 255, 254]) {
      const reply = await ask(lab, local, query('a.here.test', 'A', { qclass }));
      expect(reply).toMatchObject({ rcode: REFUSED, counts: [1, 0, 0, 0], question: { qclass } });
    }
    const elsewhere = await ask(lab, local, query('elsewhere.test', 'A', { edns: {} }));
    expect(elsewhere).toMatchObject({ rcode: REFUSED, counts: [1, 0, 0, 1] });
  });

  test('a server without forward refuses a question that is cut after its name', async () => {
    const octets = Buffer.concat([header(3, RD, [1, 0, 0, 0]), wireName('a.here.test')]);
    const reply = await ask(lab, local, octets);
    expect([REFUSED, FORMERR]).toContain(reply.rcode);
  });
});

test('none of these messages leaves a complaint in the log', () => {
  expect(pair.daemon.complaints).toEqual([]);
});
