/**
 * The parts of a tls:// listener besides its socket: streams, and the certificate for them.
 *
 * Owns:    following the files, over reloads of the Corefile too; and what is logged and counted about them.
 */
import type { TlsServing } from '../../directives/contributions.ts';
import { FollowedCertificate } from '../../tls/certificate.ts';
import type { TcpSettings } from '../../listen/tcp.ts';
import { TlsStreams } from '../../listen/tls.ts';
import type { Log } from '../../observe/log.ts';
import type { Metrics } from '../../observe/metrics.ts';
import { reasonOf } from '../../observe/reason.ts';
import { type KeyPair, readKeyPair } from '../../tls/key-pair.ts';

export class TlsPlace {
  readonly streams: TlsStreams;
  readonly #server: string;
  readonly #metrics: Metrics;
  readonly #log: Log;
  #serving: TlsServing;
  #certificate: FollowedCertificate;

  /** `settings` are those of its listener, which may change. Throws what readKeyPair throws. */
  constructor(
    server: string,
    serving: TlsServing,
    settings: TcpSettings,
    metrics: Metrics,
    log: Log,
  ) {
    this.#server = server;
    this.#metrics = metrics;
    this.#log = log;
    this.#serving = serving;
    const failures = metrics.counter('nodelocald_tls_handshake_failures_total', { server });
    for (const result of ['ok', 'failed']) this.#loads(result);
    const pair = readKeyPair(serving);
    this.streams = new TlsStreams(pair, serving.clientAuth, settings, failures);
    this.#showEnd(pair);
    this.#certificate = this.#followed();
  }

  /** Another Corefile may name other files, and ask clients for something else. */
  follow(serving: TlsServing): void {
    if (JSON.stringify(serving) === JSON.stringify(this.#serving)) return;
    try {
      const pair = readKeyPair(serving);
      this.#serving = serving;
      this.#use(pair);
    } catch (error) {
      this.#failed(reasonOf(error));
      return;
    }
    this.#certificate.stop();
    this.#certificate = this.#followed();
  }

  close(): void {
    this.#certificate.stop();
  }

  #followed(): FollowedCertificate {
    return new FollowedCertificate(this.#serving, {
      loaded: (pair) => {
        this.#use(pair);
        this.#loads('ok').value++;
        this.#log.info(`plugin/tls: ${this.#server}: certificate reloaded: ${this.#serving.cert}`);
      },
      failed: (reason) => this.#failed(reason),
    });
  }

  #use(pair: KeyPair): void {
    this.streams.use(pair, this.#serving.clientAuth);
    this.#showEnd(pair);
  }

  #failed(reason: string): void {
    this.#loads('failed').value++;
    this.#log.error(
      `plugin/tls: ${this.#server}: could not load TLS cert, the previous one stays: ${reason}`,
    );
  }

  #showEnd({ notAfterSec }: KeyPair): void {
    const server = this.#server;
    this.#metrics.gauge('nodelocald_tls_certificate_not_after_seconds', { server }).value =
      notAfterSec;
  }

  #loads(result: string): { value: number } {
    const labels = { server: this.#server, result };
    return this.#metrics.counter('nodelocald_tls_certificate_loads_total', labels);
  }
}
