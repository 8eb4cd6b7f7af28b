/**
 * For tests: a responder whose answers are decided by the name that is asked.
 *
 * Owns:    the stub, its queries, and waiting for what a listener does.
 */
import { QR } from '../dns/header.ts';
import { type AskOptions, queryMessage } from '../query/testing.ts';
import {
  ANSWER_LATER,
  type Client,
  NO_ANSWER,
  type ReplyPath,
  type Responder,
  type SendSlot,
} from '../query/responder.ts';

/** A query of at least 16 octets, known by its `id`. */
export function ask(name: string, id: number = 1, options: AskOptions = {}): Buffer {
  return Buffer.from(queryMessage(name, 'A', { ...options, id }));
}

export interface SeenQuery {
  readonly message: Buffer;
  readonly id: number;
  readonly path: ReplyPath | undefined;
  readonly transport: number;
  readonly family: number;
}

/**
 * Answers `now.` with the query itself, QR set, `big.N.` likewise with N octets in all; keeps
 * `later.` for {@link answerLate}; and is silent about everything else.
 */
export class StubResponder implements Responder {
  readonly seen: SeenQuery[] = [];
  batches = 0;
  #isInBatch = false;

  beginBatch(): void {
    if (this.#isInBatch) throw new Error('a batch within a batch');
    this.#isInBatch = true;
    this.batches++;
  }

  endBatch(): void {
    this.#isInBatch = false;
  }

  respond(msg: Uint8Array, at: number, end: number, client: Client, slot: SendSlot): number {
    if (!this.#isInBatch) throw new Error('not in a batch');
    const message = Buffer.from(msg.slice(at, end));
    const [first, size] = labelsOf(message);
    const octets = first === 'big' ? Number(size) : message.length;
    const isNow = first === 'now' || (first === 'big' && octets <= slot.end - slot.at);
    const isLate = first === 'later' || first === 'big';
    const path = isNow || !isLate ? undefined : client.keep();
    const { transport, family } = client;
    const id = message.length < 2 ? -1 : message.readUInt16BE(0);
    this.seen.push({ message, id, path, transport, family });
    if (!isNow) {
      if (first === 'big') setImmediate(() => this.answerLate(id, octets));
      return isLate ? ANSWER_LATER : NO_ANSWER;
    }
    slot.octets.set(answerTo(message, octets), slot.at);
    return octets;
  }

  /** Answers the query that was kept under this ID. */
  answerLate(id: number, octets?: number): void {
    const { message, path } = this.seen.find((query) => query.id === id && query.path)!;
    const answer = answerTo(message, octets ?? message.length);
    // Octets after the answer are not for the client.
    path!.send(Buffer.concat([answer, Buffer.alloc(9, 0xee)]), answer.length);
  }
}

export function answerTo(query: Buffer, octets: number = query.length): Buffer {
  const answer = Buffer.alloc(octets);
  query.copy(answer);
  answer[2] = answer[2]! | QR;
  return answer;
}

function labelsOf(message: Buffer): string[] {
  const labels: string[] = [];
  for (let at = 12; message[at] !== undefined && message[at] !== 0; at += message[at]! + 1) {
    labels.push(message.toString('latin1', at + 1, at + 1 + message[at]!));
  }
  return labels;
}

/** Waits until `is` holds; the test's own time is the limit. */
export async function until(is: () => boolean): Promise<void> {
  while (!is()) await pass(2);
}

async function pass(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
