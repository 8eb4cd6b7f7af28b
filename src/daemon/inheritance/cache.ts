/**
 * The way of the caches from one worker to the next: by the journal after a crash, by a snapshot to a
 * successor (src/cache/carry/journal.ts, snapshot.ts, restore.ts).
 *
 * Owns:    who may have what: a cache is known by all that its block says, so that only a block of the
 *          same text takes it over. What fails here costs a warm cache, and nothing else.
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
import type { Supervision } from '../ipc/supervisor-link.ts';

/** Under which the supervisor holds the journal. */
const JOURNAL_KEY = 'journal';
/** A predecessor serves meanwhile; after a crash queries wait in the sockets. The rest is read later. */
const PATIENCE_MS = { snapshot: 1000, journal: 100 } as const;
const CLOCK_OFFSET_DS = toDs(SHARED_CLOCK_OFFSET_MS);

export class CacheLegacy {
  readonly #supervision: Supervision;
  readonly #hashSeed: number;
  readonly #log: Log;
  readonly #journal: Journal | undefined;
  /** What the journal held when we came. */
  #left: Uint8Array | undefined;
  /** What a predecessor has handed over. */
  #snapshot: Uint8Array | undefined;

  /** `hashSeed` is that of the listeners. */
  constructor(supervision: Supervision, hashSeed: number, log: Log) {
    this.#supervision = supervision;
    this.#hashSeed = hashSeed;
    this.#log = log;
    this.#snapshot = supervision.leftOnce(SNAPSHOT_KEY);
    try {
      this.#journal = this.#openJournal();
    } catch (error) {
      log.warning(`the cache cannot be kept for a restart: ${reasonOf(error)}`);
    }
  }

  #openJournal(): Journal {
    let fd = this.#supervision.leftFile(JOURNAL_KEY);
    if (fd !== undefined && fstatSync(fd).size !== JOURNAL_OCTETS) {
      closeDescriptor(fd); // that of another version
      fd = undefined;
    }
    const isNew = fd === undefined;
    fd ??= createMemoryFile(JOURNAL_KEY, JOURNAL_OCTETS);
    try {
      const memory = mapMemoryFile(fd, JOURNAL_OCTETS);
      if (isNew) this.#supervision.leaveFile(JOURNAL_KEY, fd);
      // A copy, since what is kept from now on is written over the oldest.
      else this.#left = memory.slice();
      return new Journal(memory, CLOCK_OFFSET_DS);
    } finally {
      closeDescriptor(fd);
    }
  }

  /** What these caches keep from now on is written to the journal. */
  follow(generation: Generation): void {
    for (const [tag, cache] of cachesOf(generation)) cache.log = this.#journal?.logFor(tag);
  }

  /**
   * Fills the caches with what was left for them, before they serve. Resolves when that is done, or has
   * taken long enough; a second call does nothing.
   */
  async fill(generation: Generation): Promise<void> {
    const [snapshot, left] = [this.#snapshot, this.#left];
    this.#snapshot = undefined;
    this.#left = undefined;
    const octets = snapshot ?? left;
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
    const whose = from === 'snapshot' ? 'a predecessor' : 'the worker before';
    this.#log.info(`cache: ${kept} answers taken over from ${whose}, of ${read}, in ${ms} ms`);
  }

  /** Writes all that the caches hold into memory, and has it held. Never rejects. */
  async leave(generation: Generation): Promise<void> {
    let fd: number | undefined;
    try {
      const file = createMemoryFile(SNAPSHOT_KEY, 0);
      fd = file;
      let at = 0;
      await takeSnapshot(cachesOf(generation), CLOCK_OFFSET_DS, (segment) => {
        writeSync(file, segment, 0, segment.length, at);
        at += segment.length;
      });
      this.#supervision.leaveFile(SNAPSHOT_KEY, file);
    } catch (error) {
      this.#log.warning(`the cache cannot be handed over: ${reasonOf(error)}`);
    } finally {
      if (fd !== undefined) closeDescriptor(fd);
    }
  }
}

/** The caches of a generation, by a tag that says from which text they were made. */
function cachesOf({ heirlooms }: Generation): (readonly [tag: Uint8Array, cache: AnswerCache])[] {
  return [...heirlooms].flatMap(([key, heirloom]) =>
    heirloom instanceof AnswerCache ? [[tagOf(key), heirloom] as const] : [],
  );
}

function tagOf(key: string): Uint8Array {
  return createHash('sha256').update(key).digest().subarray(0, TAG_OCTETS);
}
