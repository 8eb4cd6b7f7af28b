/**
 * A server that answers as CoreDNS does for a small cluster, and counts: one address, UDP and TCP. Run
 * as a program of its own: `node kube-dns.js ADDRESS`. Prints a line when it listens, and after each
 * line on its standard input (`counts` or `reset`) one line of JSON, `Counts`.
 *
 * Answers: webN.shop and *.cold in svc.cluster.local have an A record (TTL 30) and no other; all
 *          else below cluster.local does not exist (SOA of 5 s); names outside have an A record.
 *          On a connection answers come in turn, and after 10 s without a query it is closed.
 * Is not:  a full server: one question, no compression in it, no other classes.
 */
import { createSocket } from 'node:dgram';
import { createServer, type Socket } from 'node:net';

export interface Counts {
  readonly queries: number;
  /** Connections that are open. */
  readonly open: number;
  /** The most that were open at once since the last `reset`. */
  readonly openPeak: number;
}

const HEADER_SIZE = 12;
const TYPE_A = 1;
const TYPE_OPT = 41;
const NXDOMAIN = 3;
const IDLE_MS = 10_000;
const POSITIVE_TTL_SEC = 30;
const DENIAL_TTL_SEC = 5;

let queries = 0;
let open = 0;
let openPeak = 0;

function main(address: string): void {
  const udp = createSocket('udp4');
  udp.on('message', (query, from) => {
    const response = answerTo(query);
    if (response !== undefined) udp.send(response, from.port, from.address);
  });
  const tcp = createServer(serveConnection);
  udp.bind(53, address, () => {
    tcp.listen(53, address, 1024, () => process.stdout.write('listening\n'));
  });
  process.stdin.on('data', (line) => {
    const counts: Counts = { queries, open, openPeak };
    if (String(line).startsWith('reset')) openPeak = open;
    process.stdout.write(`${JSON.stringify(counts)}\n`);
  });
  process.stdin.on('end', () => process.exit()); // the lab is gone
}

function serveConnection(socket: Socket): void {
  open++;
  openPeak = Math.max(openPeak, open);
  let rest: Buffer = Buffer.alloc(0);
  socket.setNoDelay(true);
  socket.setTimeout(IDLE_MS, () => socket.end());
  socket.on('error', () => socket.destroy());
  socket.on('close', () => open--);
  socket.on('data', (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
      const end = 2 + rest.readUInt16BE(0);
      const response = answerTo(rest.subarray(2, end));
      rest = rest.subarray(end);
      if (response === undefined) continue;
      const length = Buffer.alloc(2);
      length.writeUInt16BE(response.length);
      socket.write(Buffer.concat([length, response]));
    }
  });
}

/** Undefined for what is no query. */
function answerTo(query: Buffer): Buffer | undefined {
  if (query.length < HEADER_SIZE + 5 || query.readUInt16BE(4) !== 1) return undefined;
  queries++;
  const labels: string[] = [];
  let at = HEADER_SIZE;
  while (query[at] !== undefined && query[at] !== 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + query[at]!).toLowerCase());
    at += query[at]! + 1;
  }
  const questionEnd = at + 5;
  if (questionEnd > query.length) return undefined;
  const qtype = query.readUInt16BE(at + 1);
  const { exists, inCluster } = lookUp(labels);
  const positive = exists && qtype === TYPE_A;
  const hasOpt = query.readUInt16BE(10) > 0;

  const header = Buffer.alloc(HEADER_SIZE);
  query.copy(header, 0, 0, 2);
  const recursionDesired = query.readUInt16BE(2) & 0x0100;
  header.writeUInt16BE(0x8480 | recursionDesired | (exists ? 0 : NXDOMAIN), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(positive ? 1 : 0, 6);
  header.writeUInt16BE(positive ? 0 : 1, 8);
  header.writeUInt16BE(hasOpt ? 1 : 0, 10);
  const record = positive ? A_RECORD : inCluster ? CLUSTER_SOA : ROOT_SOA;
  const question = query.subarray(HEADER_SIZE, questionEnd);
  return Buffer.concat([header, question, record, hasOpt ? OPT : Buffer.alloc(0)]);
}

function lookUp(labels: readonly string[]): { exists: boolean; inCluster: boolean } {
  const [first = '', second] = labels;
  if (!labels.join('.').endsWith('cluster.local')) return { exists: true, inCluster: false };
  const inService = labels.length === 5 && labels[2] === 'svc';
  const known = (second === 'shop' && /^web\d+$/.test(first)) || second === 'cold';
  return { exists: inService && known, inCluster: true };
}

function name(text: string): Buffer {
  const labels = text.split('.').filter(Boolean);
  return Buffer.concat([
    ...labels.map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`, 'latin1')),
    Buffer.of(0),
  ]);
}

function recordOf(owner: Buffer, type: number, ttlSec: number, data: Buffer): Buffer {
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(type, 0);
  fixed.writeUInt16BE(1, 2);
  fixed.writeUInt32BE(ttlSec, 4);
  fixed.writeUInt16BE(data.length, 8);
  return Buffer.concat([owner, fixed, data]);
}

function soaOf(zone: string): Buffer {
  const numbers = Buffer.alloc(20);
  [1, 7200, 1800, 86_400, DENIAL_TTL_SEC].forEach((n, i) => numbers.writeUInt32BE(n, 4 * i));
  const data = Buffer.concat([name(`ns.dns.${zone}`), name(`hostmaster.${zone}`), numbers]);
  return recordOf(name(zone), 6, DENIAL_TTL_SEC, data);
}

/** Its owner is the name in the question. */
const A_RECORD = recordOf(
  Buffer.of(0xc0, HEADER_SIZE),
  TYPE_A,
  POSITIVE_TTL_SEC,
  Buffer.of(10, 97, 0, 1),
);
const CLUSTER_SOA = soaOf('cluster.local');
const ROOT_SOA = soaOf('');
const OPT = Buffer.of(0, 0, TYPE_OPT, 0x04, 0xd0, 0, 0, 0, 0, 0, 0);

main(process.argv[2]!);
