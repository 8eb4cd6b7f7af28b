/** An incumbent serves on whatever a peer says, and hands over to the next one that asks correctly. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Channel } from '../../sys/channel.ts';
import { openDatagramSocket } from '../../sys/socket.ts';
import { acceptUnix, closeDescriptor, connectUnix, sendMessage } from '../../sys/unix-socket.ts';
import { Incumbent } from './incumbent.ts';
import { HandoverDirectory } from './directory.ts';
import {
  HELLO,
  type IncumbentEvent,
  commonVersion,
  nextIncumbentState,
  readToIncumbent,
  readToNewcomer,
} from './protocol.ts';
import { HeldDescriptors } from '../supervisor/held-descriptors.ts';
import { askIncumbent } from './newcomer.ts';

const word = fc.constantFrom(
  'hello',
  'serving',
  'offer',
  'busy',
  'refuse',
  'constructor',
  '__proto__',
);
/** Values that resemble a message. */
const almost = fc.oneof(
  fc.record({ say: word, versions: fc.array(fc.integer()) }),
  fc.record({ say: word, keys: fc.array(fc.string()), last: fc.boolean() }),
  fc.record({ say: word, reason: fc.string() }),
  fc.record({ say: word, keys: fc.anything(), versions: fc.anything(), last: fc.anything() }),
  fc.jsonValue(),
);

let path: string;
let had: number;

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'handover-'));
  closeDescriptor(aSocket());
  had = openDescriptors();
});

afterEach(async () => {
  rmSync(path, { recursive: true });
  await vi.waitFor(() => expect(openDescriptors()).toBe(had)); // nothing is left open
});

function aSocket(): number {
  const at = { host: '127.0.0.1', port: 0, sharePort: true, receiveBufferOctets: 4096 };
  return openDatagramSocket(at).fd;
}

describe('messages of the handover', () => {
  test('a message is accepted only if it is in the tables', () => {
    fc.assert(
      fc.property(almost, (value) => {
        const said = readToIncumbent(value) ?? readToNewcomer(value);
        if (said === undefined) return;
        expect(['hello', 'serving', 'offer', 'busy', 'refuse']).toContain(said.say);
        if (said.say === 'hello') expect(said.versions.every(Number.isSafeInteger)).toBe(true);
        if (said.say === 'offer')
          expect(said.keys.every((key) => typeof key === 'string')).toBe(true);
      }),
    );
  });

  test.each([
    { versions: [1], common: 1 },
    { versions: [3, 1, 2], common: 1 },
    { versions: [2, 3], common: undefined },
    { versions: [], common: undefined },
  ])('with a peer that speaks versions $versions, $common is used', ({ versions, common }) => {
    expect(commonVersion(versions)).toBe(common);
  });

  test('no order of events leads out of the states, or to a replacement without an offer', () => {
    const events = fc.array(
      fc.constantFrom<IncumbentEvent>('asked', 'prepared', 'serves', 'lost'),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(events, (sequence) => {
        let state: Parameters<typeof nextIncumbentState>[0] = 'alone';
        let wasOffered = false;
        for (const event of sequence) {
          const next = nextIncumbentState(state, event);
          if (next === undefined) continue;
          if (next === 'offered') wasOffered = true;
          if (next === 'alone') wasOffered = false;
          if (next === 'replaced') expect(wasOffered).toBe(true);
          state = next;
        }
      }),
    );
  });
});

describe('an incumbent', () => {
  test('an incumbent survives any peer', async () => {
    const directory = new HandoverDirectory(path);
    const held = new HeldDescriptors();
    held.hold('udp 127.0.0.1 0', aSocket());
    let replaced = 0;
    const daemon = new Incumbent({
      refusal: () => undefined,
      isServing: () => true,
      prepare: () => Promise.resolve(),
      batches: () => held.batches(),
      replaced: () => replaced++,
    });
    const found = await directory.find();
    if ('listener' in found) daemon.listen(found.listener);
    const conversation = fc.array(almost, { maxLength: 6 });
    const garbage = fc.uint8Array({ minLength: 1, maxLength: 200 });
    await fc.assert(
      fc.asyncProperty(conversation, garbage, async (messages, octets) => {
        const raw = connectUnix(join(path, 'handover.sock'));
        const extra = aSocket();
        for (const message of messages) {
          // A well-formed hello in the right order would make it a newcomer.
          if (readToIncumbent(message)?.say === 'hello') continue;
          sendMessage(raw, Buffer.from(JSON.stringify(message) ?? 'null'), [extra]);
        }
        sendMessage(raw, octets, [extra, extra]);
        closeDescriptor(extra);
        await new Promise((resolve) => setImmediate(resolve));
        closeDescriptor(raw);
        const { handedOver } = await askIncumbent(directory, () => undefined);
        expect([...handedOver!.descriptors.keys()]).toEqual(['udp 127.0.0.1 0']);
        for (const fd of handedOver!.descriptors.values()) closeDescriptor(fd);
        // The newcomer ends before it serves.
        daemon.close();
        daemon.listen(await directory.replace());
      }),
      { numRuns: 25 }, // each waits a tenth of a second until the previous peer is gone
    );
    expect(replaced).toBe(0);
    daemon.close();
    held.drop('udp 127.0.0.1 0');
    directory.close();
  }, 60_000);
});

describe('a newcomer', () => {
  test('a newcomer finishes with any incumbent, and takes only descriptors that are what they claim', async () => {
    const directory = new HandoverDirectory(path);
    const found = await directory.find();
    if (!('listener' in found)) throw new Error('a daemon listens already');
    const { listener } = found;
    await fc.assert(
      fc.asyncProperty(fc.array(almost, { maxLength: 6 }), async (messages) => {
        const extra = aSocket();
        const refusals: string[] = [];
        // After busy it would ask again; this peer has one conversation only.
        const said = messages.filter((message) => readToNewcomer(message)?.say !== 'busy');
        const asked = askIncumbent(directory, (why) => refusals.push(why));
        let connection: number | undefined;
        while (connection === undefined) {
          await new Promise((resolve) => setImmediate(resolve));
          connection = acceptUnix(listener);
        }
        const channel = new Channel(connection, {
          message: (value) => expect(value).toEqual(HELLO),
          closed: () => undefined,
        });
        for (const message of said) channel.send(message, [extra]);
        await new Promise((resolve) => setTimeout(resolve, 2));
        channel.close();
        closeDescriptor(extra);
        const { handedOver } = await asked;
        if (handedOver === undefined) expect(refusals).toHaveLength(1);
        for (const [key, fd] of handedOver?.descriptors ?? []) {
          expect(key).toMatch(/^udp \S* 0$/);
          closeDescriptor(fd);
        }
      }),
      { numRuns: 60 },
    );
    closeDescriptor(listener);
    directory.close();
  }, 60_000);
});
