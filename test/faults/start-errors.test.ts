/** Errors that keep the daemon from starting: exit code 1, and one clear line on stderr for each. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, describe, test } from 'vitest';
import { launchMain } from '../harness/daemon.ts';
import { useLab } from '../harness/lab.ts';
import { DNS_PORT } from '../harness/pair.ts';
import { within } from '../harness/timing.ts';

const lab = useLab();
const HOST = lab.address(1);

interface Failure {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function startWith(...args: string[]): Promise<Failure> {
  const child = launchMain(lab, args);
  const { code } = await within('it ends', child.ended, 10_000);
  return { code, stdout: child.stdout, stderr: child.stderr };
}

let written = 0;

/** A message: one line that says what is wrong, perhaps with the place's own line quoted below it. */
function expectOneClearError({ code, stderr }: Failure, says: RegExp): void {
  expect(code).toBe(1);
  const [first = '', ...rest] = stderr.trimEnd().split('\n');
  expect(first).toMatch(says);
  expect(stderr).not.toMatch(/^\s+at |node:internal|Error: .*\n\s+at/m);
  // Below it at most the place: the line of the Corefile, and what to do.
  expect(rest.length).toBeLessThanOrEqual(2);
  for (const line of rest) expect(line).toMatch(/^\s+(\d+ )?\|/);
}

describe('a wrong Corefile: the file, the line, and what is wrong', () => {
  test.each([
    { what: 'an unknown directive', text: '.:53 {\n  forwrad . 1.1.1.1\n}', says: /:2.*forwrad/ },
    {
      what: 'an unknown option',
      text: '.:53 {\n  forward . 127.0.0.1 {\n    max_fail 3\n  }\n}',
      says: /:3.*max_fail/,
    },
    { what: 'a missing brace', text: '.:53 {\n  errors\n', says: /:\d.*}/ },
    { what: 'a brace too many', text: '.:53 {\n  errors\n}\n}\n', says: /:4.*}/ },
    { what: 'a wrong value', text: '.:53 {\n  cache 0\n}', says: /:2.*0/ },
    {
      what: 'an upstream of a kind that we do not ask',
      text: '.:53 {\n  forward . quic://192.0.2.1\n}',
      says: /:2.*quic:\/\//,
    },
    { what: 'an empty file', text: '', says: /server block/ },
    { what: 'a comment alone', text: '# nothing\n', says: /server block/ },
    {
      what: 'one zone twice',
      text: `a.test:${DNS_PORT} {\n bind ${HOST}\n errors\n}\na.test:${DNS_PORT} {\n bind ${HOST}\n}\n`,
      says: /cannot serve dns:\/\/a\.test\.:5300 on .*already defined/,
    },
    { what: 'a scheme we do not serve', text: 'quic://.:853 {\n errors\n}', says: /:1.*quic:\/\// },
    { what: 'an import of nothing', text: 'import nowhere\n', says: /:1.*nowhere/ },
  ])('$what', async ({ text, says }) => {
    const path = lab.write(`wrong-${++written}`, text);
    const failure = await startWith('-conf', path);
    expectOneClearError(failure, says);
    expect(failure.stderr).toContain(path);
  });
});

describe('a Corefile that cannot be read', () => {
  test('it is missing', async () => {
    const path = join(lab.directory, 'missing');
    expectOneClearError(
      await startWith('-conf', path),
      /open .*missing: no such file or directory/,
    );
  });

  test('it is a directory', async () => {
    expectOneClearError(await startWith('-conf', lab.directory), /directory/);
  });
});

describe('a command line that cannot be understood', () => {
  test.each([
    { args: ['-cnf', 'x'], says: /-cnf.*-conf/ },
    { args: ['-conf'], says: /-conf/ },
    { args: ['-conf', 'x', '-dns.port', '70000'], says: /70000/ },
    { args: ['-conf', 'x', 'y'], says: /"y"/ },
    { args: ['-conf', 'x', '-log-format', 'xml'], says: /xml.*text, json/ },
  ])('$args', async ({ args, says }) => {
    expectOneClearError(await startWith(...args), says);
  });
});

function corefile(host: string, port: number, more: string = ''): string {
  const lines = ` bind ${host}\n ${more}\n forward . 127.0.0.1:9\n`;
  return lab.write(`taken-${++written}`, `.:${port} {\n${lines}}\n`);
}

describe('an address that is unavailable', () => {
  test('UDP is taken', async () => {
    const taken = createSocket('udp4');
    lab.defer(() => taken.close());
    taken.bind(DNS_PORT, lab.address(2));
    await once(taken, 'listening');
    const failure = await startWith('-conf', corefile(lab.address(2), DNS_PORT));
    expectOneClearError(failure, /udp 127\.[\d.]+:5300: bind: address already in use/);
  });

  test('TCP is taken', async () => {
    const taken = createServer().listen(DNS_PORT, lab.address(3));
    lab.defer(() => taken.close());
    await once(taken, 'listening');
    const failure = await startWith('-conf', corefile(lab.address(3), DNS_PORT));
    expectOneClearError(failure, /tcp 127\.[\d.]+:5300: bind: address already in use/);
  });

  test('no interface has it', async () => {
    const failure = await startWith('-conf', corefile('192.0.2.55', DNS_PORT));
    expectOneClearError(failure, /192\.0\.2\.55:5300: bind: cannot assign requested address/);
  });
});
