import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readToSupervisor, readToWorker } from './protocol.ts';

const HELLO = {
  say: 'hello',
  keys: ['udp :: 53'],
  last: true,
  takesOver: false,
  restarts: { exit: 1 },
};

describe('messages between supervisor and worker', () => {
  test.each([
    HELLO,
    { say: 'stop', signal: 'SIGTERM' },
    { say: 'reload', signal: 'SIGHUP' },
    { say: 'stop', signal: 'SIGTERM', more: 'of a later version' },
  ])('a message to the worker is none to the supervisor: %j', (message) => {
    expect(readToWorker(message)).toEqual(message);
    expect(readToSupervisor(message)).toBeUndefined();
  });

  test.each([
    { say: 'alive' },
    { say: 'serving' },
    { say: 'hold', key: 'corefile' },
    { say: 'drop', key: 'corefile' },
    { say: 'ending', code: 0 },
  ])('a message to the supervisor is none to the worker: %j', (message) => {
    expect(readToSupervisor(message)).toEqual(message);
    expect(readToWorker(message)).toBeUndefined();
  });

  test.each([
    { message: { ...HELLO, keys: [1] }, because: 'a key is text' },
    { message: { ...HELLO, keys: 'udp' }, because: 'keys are a list' },
    { message: { ...HELLO, restarts: { exit: '1' } }, because: 'a count is a number' },
    { message: { ...HELLO, restarts: null }, because: 'counts are an object' },
    { message: { say: 'stop' }, because: 'the signal is missing' },
    { message: { say: 'hold', key: null }, because: 'a key is text' },
    { message: { say: 'ending', code: 0.5 }, because: 'an exit code is whole' },
    { message: { say: 'toString' }, because: 'it is a method of objects, and no message' },
    { message: { say: 'news' }, because: 'no table has it' },
    { message: ['alive'], because: 'a message is an object' },
    { message: null, because: 'null is an object, and no message' },
  ])('$message is no message: $because', ({ message }) => {
    expect([readToWorker(message), readToSupervisor(message)]).toEqual([undefined, undefined]);
  });

  test('any value is a message or not, and never an error', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.jsonValue(), fc.record({ say: fc.constantFrom('hello', 'hold', 'stop') })),
        (value) => {
          for (const read of [readToWorker, readToSupervisor]) {
            const message = read(value);
            expect(message === undefined || message === value).toBe(true);
          }
        },
      ),
    );
  });
});
