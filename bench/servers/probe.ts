/** Asks a server again and again until it answers: readiness, and the time of the first answer. */
import { createSocket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeQuery, type Question } from './message.ts';

/** Between two queries, in ms; so exact is the time of a first answer. */
const EVERY_MS = 2;

/**
 * Resolves to true with the first response to `question`, over UDP from 127.0.0.1, that satisfies
 * `isAnswer`, or to false after `limitMs` or as soon as `givesUp` says so.
 */
export async function answersWithin(
  port: number,
  question: Question,
  isAnswer: (msg: Buffer) => boolean,
  limitMs: number,
  givesUp: () => boolean,
): Promise<boolean> {
  const socket = createSocket('udp4');
  const ended = new AbortController();
  socket.on('message', (msg: Buffer) => {
    if (isAnswer(msg)) ended.abort();
  });
  socket.on('error', () => {}); // ECONNREFUSED until the server listens
  const endMs = performance.now() + limitMs;
  try {
    for (let id = 1; !ended.signal.aborted && performance.now() < endMs && !givesUp(); id++) {
      socket.send(encodeQuery(question, id & 0xffff), port, '127.0.0.1', () => {});
      await sleep(EVERY_MS, undefined, { signal: ended.signal }).catch(() => {});
    }
  } finally {
    socket.close();
  }
  return ended.signal.aborted;
}
