/**
 * `nxdomain_cut kubernetes` never changes an answer: for any cluster and any questions of its pods,
 * a node answers as the cluster's DNS does (docs/ndots.md).
 */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { typeFromName } from '../../src/dns/rrtype.ts';
import { type Cluster, ZONE, answerOfCluster } from './cluster-model.ts';
import { type Authority, Node, told, toldOf } from './node.ts';

/** Few and suggestive, so that services are called like namespaces, top-level domains and kinds. */
const word = fc.constantFrom('com', 'web', 'db', 'prod', 'dev', 'svc', 'pod', 'dns', 'local');
const endpoint = fc.constantFrom('web-0', 'com', 'example');
const PORTS = ['_http._tcp', '_sql._tcp'];

const cluster: fc.Arbitrary<Cluster> = fc
  .uniqueArray(word, { minLength: 1, maxLength: 4 })
  .chain((namespaces) =>
    fc.record({
      namespaces: fc.constant(namespaces),
      services: fc.uniqueArray(
        fc.record({
          name: word,
          namespace: fc.constantFrom(...namespaces),
          headless: fc.boolean(),
          endpoints: fc.uniqueArray(endpoint, { maxLength: 3 }),
          ports: fc.subarray(PORTS),
        }),
        { selector: ({ name, namespace }) => `${name}.${namespace}`, maxLength: 8 },
      ),
      pods: fc.subarray(namespaces.map((namespace) => `10-0-0-1.${namespace}`)),
      deniesEmpty: fc.boolean(),
    }),
  );

/** Names that a program may ask for, half of which exist. */
function nameIn({ namespaces, services, pods }: Cluster): fc.Arbitrary<string> {
  const namespace = fc.oneof(fc.constantFrom(...namespaces), word);
  const there = services.flatMap(({ name, namespace, endpoints, ports }) =>
    ['', ...[...endpoints, ...ports].map((below) => `${below}.`)].map(
      (below) => `${below}${name}.${namespace}.svc.`,
    ),
  );
  const known = [...there, ...pods.map((pod) => `${pod}.pod.`), 'ns.dns.', 'dns-version.', ''];
  const parents = [...namespaces.map((n) => `${n}.svc.`), ...namespaces.map((n) => `${n}.pod.`)];
  const top = fc.constantFrom('svc.', 'pod.', 'dns.', '', ...parents);
  const typed = fc.array(fc.oneof(word, endpoint), { minLength: 1, maxLength: 4 });
  return fc
    .oneof(
      fc.constantFrom(...known),
      top,
      typed.map((labels) => `${labels.join('.')}.`),
      fc.tuple(typed, namespace).map(([labels, n]) => `${labels.join('.')}.${n}.svc.`),
      fc.tuple(typed, top).map(([labels, t]) => `${labels.join('.')}.${t}`),
      fc.tuple(typed, fc.constantFrom(...known)).map(([labels, t]) => `${labels.join('.')}.${t}`),
    )
    .map((relative) => `${relative}${ZONE}`);
}

const type = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom('A', 'AAAA') },
  { weight: 2, arbitrary: fc.constantFrom('SRV', 'TXT', 'MX', 'SOA', 'DS') },
);
type Question = readonly [name: string, type: string];

function questionsIn(model: Cluster): fc.Arbitrary<Question[]> {
  return fc.array(fc.tuple(nameIn(model), type), { minLength: 1, maxLength: 40 });
}

/** A cluster, the questions that it is asked, and a name to be asked for after them. */
const asked = cluster.chain((model) =>
  fc.record({ model: fc.constant(model), asked: questionsIn(model), last: nameIn(model) }),
);

const RUNS = 100;
const CUT = `cache {\n denial 9984 5\n nxdomain_cut kubernetes cluster.local\n}`;

function nodeBefore(upstream: Authority): Node {
  return new Node([{ zone: ZONE, cache: CUT, upstream }]);
}

/** The answer of an empty cache. */
function truthOf(model: Cluster, qname: string, qtype: string): string {
  const { rcode = 0, answers, authorities } = answerOfCluster(model, qname, typeFromName(qtype)!);
  return told({ rcode, answers: answers ?? [], authorities: authorities ?? [] });
}

/**
 * NXDOMAIN for one type answers all types, with or without cuts (RFC 2308): so CoreDNS's SOA and TXT
 * are only asked of a node that has not asked anything else.
 */
const QUIRKY: readonly string[] = ['SOA', 'TXT'];

describe('with nxdomain_cut kubernetes', { timeout: 60_000 }, () => {
  test('every answer is that of the cluster’s DNS', () => {
    fc.assert(
      fc.property(asked, ({ model, asked }) => {
        const truths = asked.map(([qname, qtype]) => truthOf(model, qname, qtype));
        const node = nodeBefore((n, t) => answerOfCluster(model, n, t));
        try {
          for (const [i, [qname, qtype]] of asked.entries()) {
            if (QUIRKY.includes(qtype)) continue;
            expect(`${qname} ${qtype}: ${toldOf(node.ask(qname, qtype))}`).toBe(
              `${qname} ${qtype}: ${truths[i]!}`,
            );
          }
        } finally {
          node.end();
        }
      }),
      { numRuns: RUNS },
    );
  });

  test('TXT and SOA, which CoreDNS answers otherwise, deny and prove nothing of other names', () => {
    fc.assert(
      fc.property(asked, ({ model, asked, last }) => {
        const node = nodeBefore((n, t) => answerOfCluster(model, n, t));
        const truth = truthOf(model, last, 'A');
        try {
          for (const [qname, qtype] of asked) if (qname !== last) node.ask(qname, qtype);
          expect(`${last} A: ${toldOf(node.ask(last, 'A'))}`).toBe(`${last} A: ${truth}`);
        } finally {
          node.end();
        }
      }),
      { numRuns: RUNS },
    );
  });

  test('every change in the cluster is seen when the denial’s 5 s and the answer’s 30 s are over', () => {
    fc.assert(
      fc.property(
        cluster,
        asked,
        asked,
        (before, { asked: first }, { model: after, asked: then }) => {
          let model = before;
          const node = nodeBefore((n, t) => answerOfCluster(model, n, t));
          const truths = then.map(([qname, qtype]) => truthOf(after, qname, qtype));
          try {
            for (const [qname, qtype] of first) node.ask(qname, qtype);
            model = after;
            node.pass(30_000);
            for (const [i, [qname, qtype]] of then.entries()) {
              if (QUIRKY.includes(qtype)) continue;
              expect(`${qname} ${qtype}: ${toldOf(node.ask(qname, qtype))}`).toBe(
                `${qname} ${qtype}: ${truths[i]!}`,
              );
            }
          } finally {
            node.end();
          }
        },
      ),
      { numRuns: RUNS },
    );
  });

  test('a name that did not exist is seen when the denial’s 5 s are over', () => {
    fc.assert(
      fc.property(asked, asked, ({ asked: first }, { model: after, asked: then }) => {
        let model: Cluster = { namespaces: [], services: [], pods: [], deniesEmpty: false };
        const node = nodeBefore((n, t) => answerOfCluster(model, n, t));
        const addressed = then.filter(([, qtype]) => qtype === 'A' || qtype === 'AAAA');
        const truths = addressed.map(([qname, qtype]) => truthOf(after, qname, qtype));
        try {
          for (const [qname, qtype] of first) node.ask(qname, qtype);
          model = after;
          node.pass(5000);
          for (const [i, [qname, qtype]] of addressed.entries()) {
            expect(`${qname} ${qtype}: ${toldOf(node.ask(qname, qtype))}`).toBe(
              `${qname} ${qtype}: ${truths[i]!}`,
            );
          }
        } finally {
          node.end();
        }
      }),
      { numRuns: RUNS },
    );
  });
});
