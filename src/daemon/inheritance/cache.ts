/**
 * The answers that the next worker inherits: after a crash from a journal, after a handover from the
 * incumbent's snapshot (src/cache/carry/journal.ts, snapshot.ts, restore.ts).
 *
 * Owns:    which cache inherits what: a cache is identified by the full text of its block, so only a
 *          block with the same text inherits it. A failure here costs a warm cache, and nothing else.
 */
import { createHash } from 'node:crypto';
import { fstatSync, writeSync } from 'node:fs';
import { JOURNAL_OCTETS, Journal } from '../../cache/carry/journal.ts';
import { AnswerCache } from '../../cache/answer-cache.ts';
import { TAG_OCTETS } from '../../cache/carry/record.ts';
import { restore, tagKey } from '../../cache/carry/restore.ts';
import { takeSnapshot } from '../../cache/carry/snapshot.ts';
import type { Log } from '../../observe/log.ts';
import { reasonOf } from '../../observe/reason.ts';
import { SHARED_CLOCK_OFFSET_MS, nowMs, toDs } from '../../sys/clock.ts';
import { createMemoryFile, mapMemoryFile } from '../../sys/shared-memory.ts';
import { closeDescriptor } from '../../sys/unix-socket.ts';
import type { Generation } from '../serving/generation.ts';
import { SNAPSHOT_KEY } from '../handover/protocol.ts';
import type { SupervisorLink } from '../ipc/supervisor-link.ts';

/** The key under which the supervisor holds the journal. */
const JOURNAL_KEY = 'journal';
/** An incumbent serves meanwhile; after a crash, queries wait in the sockets. The rest is read later. */
const PATIENCE_MS = { snapshot: 1000, journal: 100 } as const;
const CLOCK_OFFSET_DS = toDs(SHARED_CLOCK_OFFSET_MS);

export class CacheInheritance {
  readonly #supervisor: SupervisorLink;
  readonly #hashSeed: number;
  readonly #log: Log;
  readonly #journal: Journal | undefined;
  /** The journal as the previous worker wrote it; undefined once it is read. */
  #inherited: Uint8Array | undefined;
  /** The snapshot that the incumbent has handed over; undefined once it is read. */
  #snapshot: Uint8Array | undefined;

  /** `hashSeed` is the seed of the listeners. */
  constructor(supervisor: SupervisorLink, hashSeed: number, log: Log) {
    this.#supervisor = supervisor;
    this.#hashSeed = hashSeed;
    this.#log = log;
    this.#snapshot = supervisor.inheritOnce(SNAPSHOT_KEY);
    try {
      this.#journal = this.#openJournal();
    } catch (error) {
      log.warning(`the cache will not survive a crash: ${reasonOf(error)}`);
    }
  }

  #openJournal(): Journal {
    let fd = this.#supervisor.inheritFile(JOURNAL_KEY);
    if (fd !== undefined && fstatSync(fd).size !== JOURNAL_OCTETS) {
      closeDescriptor(fd); // written by another version
      fd = undefined;
    }
    const isNew = fd === undefined;
    fd ??= createMemoryFile(JOURNAL_KEY, JOURNAL_OCTETS);
    try {
      const memory = mapMemoryFile(fd, JOURNAL_OCTETS);
      if (isNew) this.#supervisor.passOnFile(JOURNAL_KEY, fd);
      // A copy, because new answers will overwrite the oldest ones.
      else this.#inherited = memory.slice();
      return new Journal(memory, CLOCK_OFFSET_DS);
    } finally {
      closeDescriptor(fd);
    }
  }

  /** Writes to the journal whatever these caches keep from now on. */
  record(generation: Generation): void {
    for (const [tag, cache] of cachesOf(generation)) cache.log = this.#journal?.logFor(tag);
  }

  /**
   * Fills the caches with inherited answers, before they serve. Resolves when all are read or the time
   * limit has passed; the rest is read later. A second call does nothing.
   */
  async fill(generation: Generation): Promise<void> {
    const [snapshot, inherited] = [this.#snapshot, this.#inherited];
    this.#snapshot = undefined;
    this.#inherited = undefined;
    const octets = snapshot ?? inherited;
    if (octets === undefined) return;
    const from = snapshot === undefined ? 'journal' : 'snapshot';
    await Promise.race([
      this.#restore(generation, octets, from),
      new Promise((resolve) => setTimeout(resolve, PATIENCE_MS[from])),
    ]);
  }

  async #restore(
    generation: Generation,
    octets: Uint8Array,
    from: 'snapshot' | 'journal',
  ): Promise<void> {
    const beganMs = nowMs();
    const { read, kept } = await restore(octets, {
      caches: new Map(cachesOf(generation).map(([tag, cache]) => [tagKey(tag), cache])),
      hashSeed: this.#hashSeed,
      clockOffsetDs: CLOCK_OFFSET_DS,
      from,
    });
    const ms = Math.ceil(nowMs() - beganMs);
    const how = from === 'snapshot' ? 'handed over by the incumbent' : 'inherited';
    this.#log.info(`cache: ${kept} answers ${how}, of ${read}, in ${ms} ms`);
  }

  /** Writes everything that the caches hold into memory that the supervisor holds. Never rejects. */
  async writeSnapshot(generation: Generation): Promise<void> {
    let fd: number | undefined;
    try {
      const file = createMemoryFile(SNAPSHOT_KEY, 0);
      fd = file;
      let at = 0;
      await takeSnapshot(cachesOf(generation), CLOCK_OFFSET_DS, (segment) => {
        writeSync(file, segment, 0, segment.length, at);
        at += segment.length;
      });
      this.#supervisor.passOnFile(SNAPSHOT_KEY, file);
    } catch (error) {
      this.#log.warning(`the cache cannot be handed over: ${reasonOf(error)}`);
    } finally {
      if (fd !== undefined) closeDescriptor(fd);
    }
  }
}

/** The caches of a generation, by a tag that identifies the text they were made from. */
function cachesOf({ kept }: Generation): (readonly [tag: Uint8Array, cache: AnswerCache])[] {
  return [...kept].flatMap(([key, value]) =>
    value instanceof AnswerCache ? [[tagOf(key), value] as const] : [],
  );
}

function tagOf(key: string): Uint8Array {
  return createHash('sha256').update(key).digest().subarray(0, TAG_OCTETS);
}
