/**
 * An upstream over TCP that answers each query after a pause, so that many are outstanding at once.
 * A program of its own: `slow-upstream.js PORT PAUSE_MS`, on 127.0.0.1. It pipelines, as RFC 7766
 * asks, and tells once in REPORT_MS on stdout, as a line of JSON, what it holds.
 *
 * Answers every question with one A record; reads no more of a message than the question.
 */
import { createServer, type Socket } from 'node:net';

/** One line of its output. */
export interface UpstreamReport {
  readonly connections: number;
  /** Queries received and not answered yet. */
  readonly outstanding: number;
}

const REPORT_MS = 50;
const HEADER_SIZE = 12;
/** Pointer to the question's name, type A, class IN, TTL 1 s, 4 octets, 192.0.2.1. */
const ANSWER = Buffer.of(0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 192, 0, 2, 1);

const [port, pauseMs] = process.argv.slice(2).map(Number);
const connections = new Set<Socket>();
let outstanding = 0;

createServer({ noDelay: true }, (socket) => {
  connections.add(socket);
  socket.on('close', () => connections.delete(socket));
  socket.on('error', () => socket.destroy());
  let received: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    const responses: Buffer[] = [];
    while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
      const end = 2 + received.readUInt16BE(0);
      responses.push(respond(received.subarray(2, end)));
      received = received.subarray(end);
    }
    outstanding += responses.length;
    setTimeout(() => {
      outstanding -= responses.length;
      if (!socket.destroyed) socket.write(Buffer.concat(responses));
    }, pauseMs);
  });
}).listen(port, '127.0.0.1');

setInterval(() => {
  const report: UpstreamReport = { connections: connections.size, outstanding };
  process.stdout.write(`${JSON.stringify(report)}\n`);
}, REPORT_MS);

/** The response to `query` with its length in front. */
function respond(query: Buffer): Buffer {
  let end = HEADER_SIZE;
  while (end < query.length && query[end] !== 0) end += 1 + query[end]!;
  const question = query.subarray(0, end + 5);
  const msg = Buffer.concat([Buffer.alloc(2), question, ANSWER]);
  msg.writeUInt16BE(msg.length - 2, 0);
  msg[4] = 0x80 | (query[2]! & 0x01); // QR, and RD as it came
  msg[5] = 0x80; // RA, NOERROR
  msg.writeUInt16BE(1, 6); // QDCOUNT
  msg.writeUInt16BE(1, 8); // ANCOUNT
  msg.writeUInt32BE(0, 10); // NSCOUNT, ARCOUNT: no OPT
  return msg;
}
