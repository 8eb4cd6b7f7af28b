import { describe, expect, test } from 'vitest';
import type { Handler, HitPart } from '../directives/directive.ts';
import { QueryView } from '../dns/question.ts';
import type { HitSource } from '../query/hit-source.ts';
import { type Client, UDP } from '../query/responder.ts';
import { HitPath, hitPathOf } from './hit-path.ts';

const source: HitSource = { answer: () => 0 };
const cache: Handler = { name: 'cache', seesHits: false, hits: source };
const client: Client = {
  transport: UDP,
  family: 1,
  keep: () => {
    throw new Error('a hit path keeps no client');
  },
};
const handler = (name: string, onHits?: HitPart): Handler =>
  onHits === undefined ? { name, seesHits: false } : { name, seesHits: false, onHits };

describe('a block’s hits have a walk of their own', () => {
  test.each([
    { handlers: [cache], has: true, because: 'no handler stands above the cache' },
    { handlers: [handler('errors'), cache], has: true, because: 'errors has no use for hits' },
    { handlers: [handler('a')], has: false, because: 'there is no cache' },
    {
      handlers: [{ name: 'log', seesHits: true }, cache],
      has: false,
      because: 'log must see them all',
    },
    {
      handlers: [cache, { name: 'below', seesHits: true }],
      has: true,
      because: 'what is below the cache never sees hits',
    },
  ])('whether the block has a walk of hits is $has: $because', ({ handlers, has }) => {
    expect(hitPathOf(handlers) !== undefined).toBe(has);
  });
});

describe('the work of handlers above the cache on hits', () => {
  test('a hit stays as it is where no handler above the cache has a part in hits', () => {
    const path = new HitPath(source, [handler('errors')]);
    expect(path).toMatchObject({ payloadOctetsMax: 65535, writer: 'cache' });
    expect(path.mustWalk(new QueryView(0), client)).toBe(false);
    expect(path.arrange(new Uint8Array(20), 0, 12, 20)).toBe(12);
  });

  test('the lowest payload size counts, and one handler that wants the query is enough', () => {
    const path = new HitPath(source, [
      handler('a', { payloadOctetsMax: 1400, wants: () => false }),
      handler('b', { payloadOctetsMax: 1232, wants: () => true }),
    ]);
    expect(path.payloadOctetsMax).toBe(1232);
    expect(path.mustWalk(new QueryView(0), client)).toBe(true);
  });

  test('the lowest handler arranges first, and the highest counts as the writer', () => {
    const steps: string[] = [];
    const arranging = (name: string): Handler =>
      handler(name, {
        arrange: (_out, _at, octets) => {
          steps.push(name);
          return octets + 1;
        },
      });
    const path = new HitPath(source, [handler('errors'), arranging('b'), arranging('c')]);
    expect(path.arrange(new Uint8Array(20), 0, 12, 20)).toBe(14);
    expect(steps).toEqual(['c', 'b']);
    expect(path.writer).toBe('b');
  });
});
