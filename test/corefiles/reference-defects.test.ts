/**
 * Where node-cache is wrong, by Corefiles: what is not tested elsewhere in this form. The whole list,
 * with the test of each, is in docs/reference-defects.md.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import { ServedCorefile } from './served-corefile.ts';

const directory = mkdtempSync(join(tmpdir(), 'defects-'));
const AT = 'dns://:53';
const FORWARD = 'forward . 192.0.2.53';
let served: ServedCorefile | undefined;

afterAll(() => rmSync(directory, { recursive: true }));

afterEach(() => {
  served?.close();
  served = undefined;
  rmSync(join(directory, 'Corefile'), { force: true });
});

function serving(text: string): ServedCorefile {
  const file = join(directory, 'Corefile');
  writeFileSync(file, text);
  served = new ServedCorefile(file);
  return served;
}

const block = (...lines: string[]): string => `. {\n${lines.join('\n')}\n}\n`;

test('4: an answer of one class is never given to a question of another', async () => {
  const node = serving(block('cache 30', FORWARD));
  expect((await node.ask(AT, 'a.test A')).upstreams).toBe('192.0.2.53:53 udp');
  expect((await node.ask(AT, 'a.test A CH')).upstreams).toBe('192.0.2.53:53 udp');
  expect((await node.ask(AT, 'a.test A')).upstreams).toBe('');
});

test('5: a key in upper case is the zone that it names', async () => {
  const node = serving(`Corp.TEST {\n${FORWARD}\n}\n`);
  expect((await node.ask(AT, 'a.corp.test A')).answer).toBe('NOERROR @ 3600 A 192.0.2.1');
  expect((await node.ask(AT, 'a.CORP.test A')).question).toBe('a.CORP.test. A 1');
});

test.each([
  ['name exact a.test b.test'],
  ['name suffix .test .example'],
  ['type A AAAA'],
  ['edns0 local set 0xffee abcd'],
])('6: after "continue %s" alone the client sees its own question', async (rule) => {
  for (const cache of [[], ['cache 30']]) {
    const node = serving(block(...cache, `rewrite continue ${rule}`, FORWARD));
    for (const name of ['a.test', 'fail.test', 'nx.test']) {
      expect((await node.ask(AT, `${name} A`)).question).toBe(`${name}. A 1`);
    }
    node.close();
  }
});

test.each(['REFUSED', 'FORMERR', 'NOTIMP', 'SERVFAIL', 'NXDOMAIN'])(
  '8: a template with rcode %s sends one message',
  async (rcode) => {
    const node = serving(block('errors', `template ANY ANY {\nrcode ${rcode}\n}`));
    const { answer, messages } = await node.ask(AT, 'a.test A');
    expect({ answer, messages }).toEqual({ answer: rcode, messages: 1 });
  },
);

test('9: a client without EDNS gets no OPT, whatever made the answer', async () => {
  const node = serving(
    block('template ANY ANY e.test {\nrcode NXDOMAIN\nederror 15 "blocked"\n}', FORWARD),
  );
  for (const name of ['a.test', 'e.test', 'fail.test']) {
    expect((await node.ask(AT, `${name} A plain`)).hasOpt, name).toBe(false);
    expect((await node.ask(AT, `${name} A`)).hasOpt, name).toBe(true);
  }
});

test('11: a TTL of 0 is kept for 5 s, as by CoreDNS, unless MINTTL says otherwise', async () => {
  const floor = serving(block('cache 30', FORWARD));
  expect((await floor.ask(AT, 'zero.test A')).answer).toBe('NOERROR @ 5 A 192.0.2.1');
  expect((await floor.ask(AT, 'zero.test A')).upstreams).toBe('');
  floor.close();
  const none = serving(block('cache {\nsuccess 9984 30 0\n}', FORWARD));
  expect((await none.ask(AT, 'zero.test A')).answer).toBe('NOERROR @ 0 A 192.0.2.1');
  expect((await none.ask(AT, 'zero.test A')).upstreams).toBe('192.0.2.53:53 udp');
});

test('12: an NXDOMAIN without SOA is not kept (RFC 2308 section 5), and those who ask at once share it', async () => {
  const node = serving(block('cache 30', FORWARD));
  const asked = await Promise.all([1, 2, 3].map(() => node.ask(AT, 'bare.test A')));
  expect(asked.map(({ answer }) => answer)).toEqual(['NXDOMAIN', 'NXDOMAIN', 'NXDOMAIN']);
  expect(asked[2]!.upstreams.split(', ')).toHaveLength(1);
  expect((await node.ask(AT, 'bare.test A')).upstreams).toBe('192.0.2.53:53 udp');
});

test('17: a rule for the RCODE applies with EDNS and without, with records and without', async () => {
  const node = serving(block('rewrite rcode regex .* NXDOMAIN NOERROR', FORWARD));
  for (const flags of ['', ' plain', ' tcp']) {
    for (const name of ['nx.test', 'bare.test']) {
      expect((await node.ask(AT, `${name} A${flags}`)).answer).toMatch(/^NOERROR/);
    }
  }
});
