/** `/metrics` over HTTPS: what the file may say, and what is served then. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type RequestOptions, get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { AUTHORITY, CLIENT, FIRST, SECOND, STRANGER } from '../../test/harness/certificates.ts';
import { HttpServer, text } from './server.ts';
import { readWebConfig } from './web-config.ts';

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'web-config-'));
  file = join(folder, 'web.yml');
  writeFileSync(join(folder, 'tls.crt'), FIRST.cert);
  writeFileSync(join(folder, 'tls.key'), FIRST.key);
  writeFileSync(join(folder, 'ca.crt'), AUTHORITY);
});
afterEach(() => rmSync(folder, { recursive: true }));

const FILES = 'cert_file: tls.crt, key_file: tls.key';
const write = (...fields: readonly string[]): void =>
  writeFileSync(file, `tls_server_config: {${[FILES, ...fields].join(', ')}}`);

describe('the web configuration file', () => {
  test.each([
    { more: [], clientAuth: 'nocert', minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3' },
    { more: ['client_ca_file: ca.crt'], clientAuth: 'require_and_verify' },
    { more: ['client_ca_file: ""'], clientAuth: 'nocert' },
    {
      more: ['client_ca_file: ca.crt', 'client_auth_type: VerifyClientCertIfGiven'],
      clientAuth: 'verify_if_given',
    },
    { more: ['min_version: TLS13', 'max_version: TLS13'], minVersion: 'TLSv1.3' },
  ])('a configuration with $more is read', ({ more, ...expected }) => {
    write(...more);
    const config = readWebConfig(file);
    expect(config).toMatchObject(expected);
    expect(config.files).toMatchObject({
      cert: join(folder, 'tls.crt'),
      key: join(folder, 'tls.key'),
    });
  });

  test.each([
    { text: '', says: 'the file must be a mapping' },
    { text: '- a', says: 'the file must be a mapping' },
    { text: '{a', says: 'Flow map' },
    { text: 'tls_server_config:', says: 'tls_server_config must be a mapping' },
    { text: 'tls_server_config: {cert_file: a}', says: 'needs cert_file and key_file' },
    { text: `tls_server_config: {cert_file: 1, key_file: b}`, says: 'cert_file must be the path' },
    {
      text: `tls_server_config: {${FILES}}\nbasic_auth_users: {a: b}`,
      says: 'basic_auth_users is not supported, only tls_server_config',
    },
    {
      text: `tls_server_config: {${FILES}, cipher_suites: []}`,
      says: 'cipher_suites is not supported, only cert_file, key_file',
    },
    {
      text: `tls_server_config: {${FILES}, min_version: TLS10}`,
      says: 'min_version: "TLS10" is none of TLS12, TLS13',
    },
    {
      text: `tls_server_config: {${FILES}, client_auth_type: x}`,
      says: 'client_auth_type: "x" is',
    },
  ])('a configuration of $text is refused: $says', ({ text: content, says }) => {
    writeFileSync(file, content);
    expect(() => readWebConfig(file)).toThrow(`${file}: `);
    expect(() => readWebConfig(file)).toThrow(says);
  });

  test('a configuration that is missing is refused', () => {
    expect(() => readWebConfig(file)).toThrow('ENOENT');
  });
});

describe('a server that speaks TLS by it', () => {
  const open: HttpServer[] = [];
  const failures: string[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((server) => server.close()));
  });

  function server(): HttpServer {
    const tls = {
      read: () => readWebConfig(file),
      failed: (why: string) => void failures.push(why),
    };
    const routes = new Map([['/metrics', () => text(200, 'counted')]]);
    const made = new HttpServer({ host: '127.0.0.1', port: 0 }, routes, undefined, { tls });
    open.push(made);
    return made;
  }

  /** The body, or why there is none; and the name on the certificate. */
  async function ask({ port }: HttpServer, more: RequestOptions = {}): Promise<string[]> {
    const options = {
      port,
      host: '127.0.0.1',
      path: '/metrics',
      ca: AUTHORITY,
      agent: false,
      ...more,
    };
    return new Promise((resolve) => {
      get(options, (response) => {
        const socket = response.socket as unknown as {
          getPeerCertificate(): { subject: { CN: string } };
        };
        const name = socket.getPeerCertificate().subject.CN;
        response.on('data', (body: Buffer) => resolve([String(body), name]));
      }).on('error', () => resolve(['nothing']));
    });
  }

  test('a server with TLS serves its pages, and renewed certificates as they come', async () => {
    write();
    const serving = server();
    await serving.listen();
    const [body, name] = await ask(serving);
    expect(body).toBe('counted');
    writeFileSync(join(folder, 'tls.crt'), SECOND.cert);
    writeFileSync(join(folder, 'tls.key'), SECOND.key);
    await vi.waitFor(async () => expect((await ask(serving))[1]).not.toBe(name), 15_000);
    expect((await ask(serving))[0]).toBe('counted');
  }, 20_000);

  test.each([
    { type: 'RequireAndVerifyClientCert', who: 'nobody', gets: 'nothing' },
    { type: 'RequireAndVerifyClientCert', who: 'client', gets: 'counted' },
    { type: 'RequireAndVerifyClientCert', who: 'stranger', gets: 'nothing' },
    { type: 'VerifyClientCertIfGiven', who: 'nobody', gets: 'counted' },
    { type: 'VerifyClientCertIfGiven', who: 'stranger', gets: 'nothing' },
    { type: 'RequireAnyClientCert', who: 'stranger', gets: 'counted' },
    { type: 'RequireAnyClientCert', who: 'nobody', gets: 'nothing' },
  ])('under $type, a client with certificate of $who gets $gets', async ({ type, who, gets }) => {
    write('client_ca_file: ca.crt', `client_auth_type: ${type}`);
    const serving = server();
    await serving.listen();
    const shows = who === 'nobody' ? {} : who === 'client' ? CLIENT : STRANGER;
    expect((await ask(serving, shows))[0]).toBe(gets);
  });

  test('an unusable configuration is a reason not to listen, and is reported as one', async () => {
    writeFileSync(file, '');
    const serving = server();
    const failed = await serving.listen().catch((error: unknown) => String(error));
    expect(failed).toContain('listen tcp 127.0.0.1:0: ');
    expect(failed).toContain('web.yml: the file must be a mapping');
    expect(serving.port).toBeUndefined();
  });
});
