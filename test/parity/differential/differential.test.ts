/**
 * Random questions to the daemon and to dnsdist, both before the same odd upstream: their answers are
 * compared field by field, and a difference that no row of differences.ts explains is a failure.
 *
 * `DIFFERENTIAL_SEED=7 DIFFERENTIAL_QUESTIONS=50000 npx vitest run --project system test/parity/differential`
 * asks others, and more.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { DatagramClient, askStream } from '../../harness/client.ts';
import { Daemon } from '../../harness/daemon.ts';
import { FakeUpstream } from '../../harness/fake-upstream.ts';
import { type Endpoint, useLab } from '../../harness/lab.ts';
import { type Answer, FIELDS, answerOf } from './answer.ts';
import { DIFFERENCES, type Difference, SERVFAIL_SEC, TTL_MAX_SEC } from './differences.ts';
import { startDnsdist } from './dnsdist.ts';
import { Draw } from './draw.ts';
import { oddUpstream } from './odd-upstream.ts';
import { type Question, drawQuestion } from './questions.ts';

const SEED = Number(process.env['DIFFERENTIAL_SEED'] ?? 1);
const QUESTIONS = Number(process.env['DIFFERENTIAL_QUESTIONS'] ?? 5000);
/** Questions under way at once: both servers see misses wait for each other, and hits overtake them. */
const CLIENTS = 8;
/** glibc's. */
const PATIENCE_MS = 5000;
const RUN_MS = 120_000;
/** Of differences without an explanation: enough to see the kind. */
const SHOWN_MAX = 20;

const lab = useLab();
const unexplained: string[] = [];
const used = new Set<Difference>();
let silent = 0;
let asked = 0;

async function octetsFrom(to: Endpoint, question: Question): Promise<Buffer | undefined> {
  if (question.transport === 'tcp') return (await askStream(lab, to, question.message)).wire;
  const client = await DatagramClient.open(lab, to);
  client.send(question.message);
  const octets = await client.nextOctets(PATIENCE_MS);
  client.close();
  return octets;
}

function compare(question: Question, ours: Answer, theirs: Answer, elapsedSec: number): void {
  for (const field of FIELDS) {
    if (ours[field] === theirs[field]) continue;
    const difference = DIFFERENCES.find(
      (row) => row.fields.includes(field) && row.explains({ question, ours, theirs, elapsedSec }),
    );
    if (difference === undefined) {
      unexplained.push(
        `${question.text}: ${field} is "${ours[field]}", and dnsdist's "${theirs[field]}"`,
      );
    } else {
      used.add(difference);
    }
  }
}

beforeAll(async () => {
  const at = { host: lab.address(1), port: 5300 };
  const upstreamAt = { host: lab.address(9), port: 5300 };
  const upstream = await FakeUpstream.start(lab, upstreamAt, oddUpstream(SEED));
  const dnsdist = await startDnsdist(lab, lab.address(2), upstream.endpoint);
  await Daemon.start(
    lab,
    `.:${at.port} {
    errors
    bind ${at.host}
    cache {
        success 10000 ${TTL_MAX_SEC} 0
        denial 10000 ${TTL_MAX_SEC} 0
        servfail ${SERVFAIL_SEC}s
    }
    forward . ${upstream.to}
}
`,
  );
  const draw = new Draw(SEED);
  const began = performance.now();
  const client = async (): Promise<void> => {
    while (asked < QUESTIONS) {
      asked++;
      const question = drawQuestion(draw);
      const [ours, theirs] = await Promise.all([
        octetsFrom(at, question),
        octetsFrom(dnsdist, question),
      ]);
      if (ours === undefined || theirs === undefined) silent++;
      const elapsedSec = (performance.now() - began) / 1000;
      compare(question, answerOf(ours), answerOf(theirs), elapsedSec);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
}, RUN_MS);

describe(`${QUESTIONS} random questions with seed ${SEED}`, () => {
  test('the daemon and dnsdist answer each of them', () => {
    expect({ asked, silent }).toEqual({ asked: QUESTIONS, silent: 0 });
  });

  test('the daemon answers as dnsdist does, but for differences that are explained', () => {
    expect(unexplained.slice(0, SHOWN_MAX)).toEqual([]);
  });

  test.each(DIFFERENCES)('this difference occurs: $because', (difference) => {
    expect(used.has(difference), 'nothing needs this explanation: take it out').toBe(true);
  });
});
