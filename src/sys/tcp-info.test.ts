/** The kernel's facts about TCP connections, over loopback; undefined where it cannot be asked. */
import { once } from 'node:events';
import { type AddressInfo, type Server, Socket, connect, createServer } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadLibc } from './libc.ts';
import { isAcknowledged, setUserTimeout } from './tcp-info.ts';

const IPPROTO_TCP = 6;
const TCP_USER_TIMEOUT = 18;
const libc = loadLibc();

let server: Server;
let socket: Socket;

beforeEach(async () => {
  server = createServer((peer) => peer.resume());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  await once(socket, 'connect');
});

afterEach(() => {
  socket.destroy();
  server.close();
});

test('TCP_USER_TIMEOUT has the value that was set', () => {
  setUserTimeout(socket, 4000);
  if (libc === undefined) return;
  const { _handle: handle } = socket as Socket & { readonly _handle: { readonly fd: number } };
  const value = new Int32Array(1);
  expect(libc.getsockopt(handle.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, value, Int32Array.of(4))).toBe(
    0,
  );
  expect(value[0]).toBe(4000);
});

test('a living peer acknowledges all that it was sent, also right after it was written', async () => {
  const expected = libc === undefined ? undefined : true;
  expect(isAcknowledged(socket)).toBe(expected);
  socket.write('octets');
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(isAcknowledged(socket)).toBe(expected);
});

test('whether a closed socket is acknowledged is unknown', () => {
  socket.destroy();
  expect(isAcknowledged(socket)).toBeUndefined();
  setUserTimeout(socket, 1);
  expect(isAcknowledged(new Socket())).toBeUndefined();
});
