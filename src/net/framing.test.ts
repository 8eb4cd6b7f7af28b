import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LENGTH_OCTETS, joined, messageEnd, writeLength } from './framing.ts';

describe('messages in a stream (RFC 1035 section 4.2.2)', () => {
  test.each([
    { octets: [], end: 0, because: 'there is nothing' },
    { octets: [0], end: 0, because: 'the length has not come as a whole' },
    { octets: [0, 2, 7], end: 0, because: 'an octet is missing' },
    { octets: [0, 2, 7, 7], end: 4, because: 'it is there' },
    { octets: [0, 2, 7, 7, 0], end: 4, because: 'the next one has begun' },
    { octets: [0, 0], end: 2, because: 'it is empty' },
  ])('in $octets the first message ends at $end, since $because', ({ octets, end }) => {
    expect(messageEnd(Uint8Array.from(octets), 0)).toBe(end);
  });

  test('whatever the chunks, the messages that were written are found', () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 600 }), { maxLength: 6 });
    fc.assert(
      fc.property(messages, fc.integer({ min: 1, max: 50 }), (written, step) => {
        const stream = Buffer.concat(
          written.map((message) => {
            const framed = Buffer.alloc(LENGTH_OCTETS + message.length);
            writeLength(framed, 0, message.length);
            framed.set(message, LENGTH_OCTETS);
            return framed;
          }),
        );
        const found: Uint8Array[] = [];
        let partial: Buffer | undefined;
        for (let from = 0; from < stream.length; from += step) {
          const data = joined(partial, stream.subarray(from, from + step));
          let at = 0;
          for (let end = messageEnd(data, at); end !== 0; end = messageEnd(data, at)) {
            found.push(new Uint8Array(data.subarray(at + LENGTH_OCTETS, end)));
            at = end;
          }
          partial = data.subarray(at);
        }
        expect(found).toEqual(written);
      }),
    );
  });
});
