/**
 * unbound as an upstream over TLS or HTTPS, with a certificate of the test's own.
 */
import type { Endpoint, Lab } from './lab.ts';
import { Child, run } from './process.ts';

const TLS_PORT = 8853;

export class SecureUnbound {
  readonly endpoint: Endpoint;
  /** Its certificate, which is its own authority. */
  readonly certificate: string;
  readonly #lab: Lab;
  readonly #configuration: string;

  private constructor(lab: Lab, endpoint: Endpoint, certificate: string, configuration: string) {
    this.#lab = lab;
    this.endpoint = endpoint;
    this.certificate = certificate;
    this.#configuration = configuration;
  }

  /** Every name below `example.` has an A record. The certificate is for `name` and the address. */
  static async start(
    lab: Lab,
    host: string,
    name: string,
    kind: 'tls' | 'https' = 'tls',
  ): Promise<SecureUnbound> {
    const path = (file: string): string => `${lab.directory}/${name}-${file}`;
    const openssl =
      'openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 ' +
      `-subj /CN=${name} -addext subjectAltName=DNS:${name},IP:${host} ` +
      `-keyout ${path('key.pem')} -out ${path('cert.pem')}`;
    const made = await run(lab, openssl.split(' '));
    if (made.code !== 0) throw new Error(made.stderr);
    const configuration = lab.write(
      `${name}-unbound.conf`,
      `server:
  username: ""
  chroot: ""
  pidfile: ""
  do-daemonize: no
  use-syslog: no
  interface: ${host}@${TLS_PORT}
  ${kind}-port: ${TLS_PORT}
  tls-service-key: ${path('key.pem')}
  tls-service-pem: ${path('cert.pem')}
  access-control: 127.0.0.0/8 allow
  local-zone: "example." redirect
  local-data: "example. 300 A 192.0.2.1"
  extended-statistics: yes
remote-control:
  control-enable: yes
  control-interface: ${path('control')}
  control-use-cert: no
`,
    );
    const unbound = new SecureUnbound(
      lab,
      { host, port: TLS_PORT },
      path('cert.pem'),
      configuration,
    );
    const child = new Child(lab, 'unbound', ['unbound', '-d', '-c', configuration]);
    await child.ready(async () => (await unbound.#control('status')).includes('is running'));
    return unbound;
  }

  /** A counter of its own. */
  async statistic(name: string): Promise<number> {
    const text = await this.#control('stats_noreset');
    return Number(
      new RegExp(`^total\\.${name}=(\\d+)|^${name}=(\\d+)`, 'm').exec(text)?.[2] ?? NaN,
    );
  }

  async #control(command: string): Promise<string> {
    const argv = ['unbound-control', '-c', this.#configuration, command];
    return (await run(this.#lab, argv)).stdout;
  }
}
