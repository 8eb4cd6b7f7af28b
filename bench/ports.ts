/** Free ports on 127.0.0.1. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { randomInt } from 'node:crypto';

/** Below Linux's ephemeral ports, so that no client's socket takes one between choice and use. */
const PORT_MIN = 20_000;
const PORT_MAX = 32_000;
const TRIES_MAX = 100;
const given = new Set<number>();

/** A port that nobody uses over UDP or TCP, and that this process has not given out before. */
export async function freePort(): Promise<number> {
  for (let i = 0; i < TRIES_MAX; i++) {
    const port = randomInt(PORT_MIN, PORT_MAX);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`no free port among ${TRIES_MAX} between ${PORT_MIN} and ${PORT_MAX}`);
}

async function isFree(port: number): Promise<boolean> {
  const datagrams = createSocket('udp4');
  const streams = createServer();
  try {
    datagrams.bind(port, '127.0.0.1');
    await once(datagrams, 'listening');
    streams.listen(port, '127.0.0.1');
    await once(streams, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    datagrams.close();
    streams.close();
  }
}
