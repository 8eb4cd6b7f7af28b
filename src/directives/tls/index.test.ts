import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { AUTHORITY, FIRST, SECOND } from '../../../test/harness/certificates.ts';
import { TLS_SERVING } from '../contributions.ts';
import { contributed, parseAs, refusal } from '../testing.ts';
import { tls } from './index.ts';

const directory = mkdtempSync(join(tmpdir(), 'tls-'));
afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const cert = file('cert.pem', FIRST.cert);
const key = file('key.pem', FIRST.key);
const otherKey = file('other-key.pem', SECOND.key);
const ca = file('ca.pem', AUTHORITY);
const noPem = file('no.pem', 'nothing\n');

describe('tls CERT KEY [CA]', () => {
  test.each([
    { use: `tls ${cert} ${key}`, is: { ca: undefined, clientAuth: 'nocert' } },
    { use: `tls ${cert} ${key} {\n}`, is: { ca: undefined, clientAuth: 'nocert' } },
    { use: `tls ${cert} ${key} ${ca}`, is: { ca, clientAuth: 'nocert' } },
    ...['nocert', 'request', 'require', 'verify_if_given', 'require_and_verify'].map((mode) => ({
      use: `tls ${cert} ${key} ${ca} {\n client_auth ${mode}\n}`,
      is: { ca, clientAuth: mode },
    })),
    {
      use: `tls ${cert} ${key} {\n client_auth request\n client_auth require\n}`,
      is: { ca: undefined, clientAuth: 'require' },
    },
  ])('$use', ({ use, is }) => {
    const config = parseAs(tls, use);
    expect(config).toEqual({ cert, key, ...is });
    expect(contributed(tls, TLS_SERVING, use)).toEqual([config]);
  });

  test.each([
    ['tls', 'tls: Wrong argument count'],
    [`tls ${cert}`, 'tls: Wrong argument count'],
    [`tls ${cert} ${key} ${ca} x`, 'tls: Wrong argument count'],
    [`tls ${cert} ${key} {\n foo\n}`, '2:2: tls: "foo" is not an option'],
    [`tls ${cert} ${key} {\n client_auth\n}`, 'client_auth: Wrong argument count'],
    [`tls ${cert} ${key} {\n client_auth none bogus\n}`, 'client_auth: Wrong argument count'],
    [
      `tls ${cert} ${key} {\n client_auth none\n}`,
      "2:14: tls: client_auth: unknown authentication type 'none'; expected nocert, request",
    ],
    [
      `tls ${directory}/none ${key}`,
      `tls: could not load TLS cert: open ${directory}/none: no such file or directory`,
    ],
    [`tls ${cert} ${directory}/none`, 'no such file or directory'],
    [`tls ${cert} ${key} ${directory}/none`, 'no such file or directory'],
    [`tls ${cert} ${otherKey}`, 'could not load TLS cert: error:05800074:x509 certificate'],
    [`tls ${noPem} ${key}`, 'could not load TLS cert: '],
    [`tls ${cert} ${noPem}`, 'could not load TLS cert: '],
    [`tls ${cert} ${key} ${noPem}`, `${noPem}: no PEM data`],
    [`tls ${directory} ${key}`, 'EISDIR'],
  ])('%s is refused: %s', (use, message) => {
    expect(refusal(tls, use)).toContain(message);
  });
});
