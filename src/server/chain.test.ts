import { describe, expect, test } from 'vitest';
import { TestLog } from '../directives/testing.ts';
import type { Handler } from '../directives/directive.ts';
import { REFUSED, SERVFAIL } from '../dns/rcode.ts';
import { Counter } from '../observe/counters.ts';
import type { Query } from '../query/query.ts';
import { Response } from '../query/response.ts';
import { askQuery } from '../query/testing.ts';
import { ANSWERED, LATER, PASS } from '../query/verdict.ts';
import { Chain } from './chain.ts';

const steps: string[] = [];

/** Records each query and response that it sees, and passes both on unless `parts` says otherwise. */
function handler(name: string, own: Partial<Handler> = {}): Handler {
  return {
    name,
    seesHits: false,
    onQuery: (query) => {
      steps.push(`${name}?`);
      return own.onQuery?.(query) ?? PASS;
    },
    onResponse: (query, response) => {
      steps.push(`${name}!`);
      return own.onResponse?.(query, response) ?? response;
    },
    ...(own.attach === undefined ? {} : { attach: own.attach }),
  };
}

const answering = (name: string, rcode = REFUSED): Handler =>
  handler(name, {
    onQuery: (query) => {
      query.answer(Response.empty(query, rcode, name));
      return ANSWERED;
    },
  });

interface Run {
  readonly query: Query;
  readonly responses: readonly Response[];
  readonly chain: Chain;
  readonly panics: Counter;
  readonly log: TestLog;
}

function run(...handlers: Handler[]): Run {
  steps.length = 0;
  const [panics, log] = [new Counter(), new TestLog()];
  const chain = new Chain(handlers, panics, log);
  const { query, responses } = askQuery('a.test.', 'A');
  chain.run(query, 0);
  return { query, responses, chain, panics, log };
}

describe('a query goes down the chain, its response up', () => {
  test('a response passes every handler above the one that answers', () => {
    const { responses } = run(handler('a'), handler('b'), answering('c'), handler('d'));
    expect(steps).toEqual(['a?', 'b?', 'c?', 'b!', 'a!']);
    expect(responses).toMatchObject([{ rcode: REFUSED, writer: 'c' }]);
  });

  test('a response that comes later passes the same handlers', () => {
    const { query, responses } = run(handler('a'), handler('b', { onQuery: () => LATER }));
    expect([steps, responses]).toEqual([['a?', 'b?'], []]);
    query.answer(Response.empty(query, REFUSED, 'b'));
    expect(steps).toEqual(['a?', 'b?', 'a!']);
    expect(responses.length).toBe(1);
  });

  test('handlers that look at responses alone, or at queries alone, are stepped over', () => {
    const mute: Handler = { name: 'mute', seesHits: false };
    const { responses } = run(mute, handler('a'), mute, answering('b'));
    expect(steps).toEqual(['a?', 'b?', 'a!']);
    expect(responses.length).toBe(1);
  });

  test('a handler may put another response in its place, which those above it see', () => {
    const seen: number[] = [];
    const { responses } = run(
      handler('a', { onResponse: (_, response) => (seen.push(response.rcode), response) }),
      handler('b', { onResponse: (query) => Response.empty(query, SERVFAIL, 'b') }),
      answering('c'),
    );
    expect(seen).toEqual([SERVFAIL]);
    expect(responses).toMatchObject([{ rcode: SERVFAIL, writer: 'b' }]);
  });

  test('a query sent in below comes back no higher than its floor', () => {
    steps.length = 0;
    const handlers = [handler('a'), handler('b'), handler('c'), answering('d')];
    const chain = new Chain(handlers, new Counter(), new TestLog());
    const { query, responses } = askQuery('a.test.', 'A', { ours: true });
    query.floor = 2;
    chain.run(query, 2);
    expect(steps).toEqual(['c?', 'd?', 'c!']);
    expect(responses.length).toBe(1);
  });

  test('each handler learns once where it stands', () => {
    const places: [Chain, number][] = [];
    const attach = (chain: unknown, depth: number): void =>
      void places.push([chain as Chain, depth]);
    const { chain } = run(handler('a', { attach }), answering('b'), handler('c', { attach }));
    expect(places).toEqual([
      [chain, 0],
      [chain, 2],
    ]);
  });

  test('a query that no handler answers is SERVFAIL, in CoreDNS’s words', () => {
    const { responses } = run(handler('errors'), handler('log'));
    expect(steps).toEqual(['errors?', 'log?', 'log!', 'errors!']);
    expect(responses).toMatchObject([
      { rcode: SERVFAIL, failure: { message: 'plugin/log: no next plugin found' } },
    ]);
  });
});

const broken = (): never => {
  throw new Error('broken');
};

describe('a handler that throws costs one query a SERVFAIL, and is counted and logged', () => {
  test('a handler that throws at the query costs a SERVFAIL', () => {
    const { responses, panics, log } = run(
      handler('a'),
      handler('b', { onQuery: broken }),
      answering('c'),
    );
    expect(steps).toEqual(['a?', 'b?', 'a!']);
    expect(responses).toMatchObject([{ rcode: SERVFAIL, writer: '' }]);
    expect(panics.value).toBe(1);
    expect(log.lines).toEqual([
      expect.stringMatching(/^\[ERROR\] Recovered from panic in server: a\.test\. Error: broken/),
    ]);
  });

  test('if a handler throws at the response, the handlers above still see one', () => {
    const { responses, panics } = run(
      handler('a'),
      handler('b', { onResponse: broken }),
      answering('c'),
    );
    expect(steps).toEqual(['a?', 'b?', 'c?', 'b!', 'a!']);
    expect(responses).toMatchObject([{ rcode: SERVFAIL }]);
    expect(panics.value).toBe(1);
  });

  test('a handler may throw a value that is no Error', () => {
    const { responses, log } = run(
      handler('a', {
        onQuery: () => {
          // eslint-disable-next-line no-throw-literal, typescript/only-throw-error -- the test's point
          throw 'a text';
        },
      }),
    );
    expect(responses.length).toBe(1);
    expect(log.lines[0]).toContain('a text');
  });

  test('the answer of a handler that throws after it counts', () => {
    const { responses, panics } = run(
      handler('a', {
        onQuery: (query) => {
          query.answer(Response.empty(query, REFUSED, 'a'));
          return broken();
        },
      }),
    );
    expect(responses).toMatchObject([{ rcode: REFUSED }]);
    expect(panics.value).toBe(1);
  });
});

describe('there is exactly one answer, whatever handlers do', () => {
  test.each<{ what: string; onQuery: (query: Query) => number }>([
    {
      what: 'answers twice',
      onQuery: (query) => {
        query.answer(Response.empty(query, REFUSED, 'x'));
        query.answer(Response.empty(query, SERVFAIL, 'x'));
        return ANSWERED;
      },
    },
    {
      what: 'answers, and says later',
      onQuery: (query) => {
        query.answer(Response.empty(query, REFUSED, 'x'));
        return LATER;
      },
    },
    {
      what: 'answers, and passes on to another that answers',
      onQuery: (query) => {
        query.answer(Response.empty(query, REFUSED, 'x'));
        return PASS;
      },
    },
  ])('there is one answer from a handler that $what', ({ onQuery }) => {
    const { query, responses } = run(
      handler('x', { onQuery: onQuery as Handler['onQuery'] & {} }),
      answering('y', SERVFAIL),
    );
    query.expire(Response.empty(query, SERVFAIL, ''));
    query.answer(Response.empty(query, SERVFAIL, ''));
    expect(responses).toMatchObject([{ rcode: REFUSED }]);
  });

  test('an answer after the query has expired changes nothing', () => {
    const { query, responses } = run(handler('a'), handler('b', { onQuery: () => LATER }));
    query.expire(Response.failed(query, SERVFAIL, 'late'));
    query.answer(Response.empty(query, REFUSED, 'b'));
    expect(steps).toEqual(['a?', 'b?', 'a!']);
    expect(responses).toMatchObject([{ rcode: SERVFAIL, failure: { message: 'late' } }]);
  });
});
