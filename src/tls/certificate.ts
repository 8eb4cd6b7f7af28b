/**
 * A certificate and its key, read again when their files change.
 *
 * Owns:    noticing it within two seconds, by time, size and inode, which also tells kubelet's swap of
 *          a Secret's symlink; and keeping what is in use until there is a whole new pair.
 * Is not:  TLS: whoever uses the pair is told of a new one.
 */
import { fileStamp } from '../files/file-stamp.ts';
import { Poll } from '../files/poll.ts';
import { reasonOf } from '../observe/reason.ts';
import { type KeyPair, type KeyPairFiles, readKeyPair } from './key-pair.ts';

/** Three stat() a second cost nothing, and a renewed certificate is served at once. */
const LOOK_EVERY_MS = 1000;

export interface CertificateEvents {
  loaded(pair: KeyPair): void;
  /** Told once for each state of the files. The pair before stays in use. */
  failed(reason: string): void;
}

export class FollowedCertificate {
  readonly files: KeyPairFiles;
  readonly #events: CertificateEvents;
  readonly #poll: Poll = new Poll(() => this.#look());
  /** The stamp of the files as the caller has read them; every look comes after it. */
  readonly #first: Promise<void>;
  #seen: string | undefined;
  #loaded: string | undefined;
  #told: string | undefined;

  /** Begins to look. The caller has read the files for the first time. */
  constructor(files: KeyPairFiles, events: CertificateEvents, everyMs: number = LOOK_EVERY_MS) {
    this.files = files;
    this.#events = events;
    this.#poll.start(everyMs);
    this.#first = this.#stamp().then((stamp) => {
      this.#seen = stamp;
      this.#loaded = stamp;
    });
  }

  stop(): void {
    this.#poll.stop();
  }

  /** Never rejects. */
  look(): Promise<void> {
    return this.#poll.look();
  }

  async #look(): Promise<void> {
    await this.#first;
    const stamp = await this.#stamp();
    if (this.#poll.isStopped || stamp === this.#loaded) return;
    // Files are replaced one after the other: what has just changed may be half of the change.
    const isSettled = stamp === this.#seen;
    this.#seen = stamp;
    if (stamp === this.#told) return;
    try {
      const pair = readKeyPair(this.files);
      this.#loaded = stamp;
      this.#told = undefined;
      this.#events.loaded(pair);
    } catch (error) {
      if (!isSettled) return;
      this.#told = stamp;
      this.#events.failed(reasonOf(error));
    }
  }

  async #stamp(): Promise<string> {
    const { cert, key, ca } = this.files;
    const files = ca === undefined ? [cert, key] : [cert, key, ca];
    const stamps = await Promise.all(files.map(fileStamp));
    return stamps.join();
  }
}
