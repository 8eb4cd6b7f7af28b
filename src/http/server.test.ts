import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { HttpServer, HttpListenError, type Page, type Routes, text } from './server.ts';

const routes: Routes = new Map<string, () => Page | Promise<Page>>([
  ['/page', () => text(200, 'päge')],
  ['/late', () => Promise.resolve(text(503, 'late'))],
  [
    '/broken',
    () => {
      throw new Error('ours');
    },
  ],
  ['/rejected', () => Promise.reject(new Error('ours'))],
]);

const open: HttpServer[] = [];
function server(port = 0, host = '127.0.0.1'): HttpServer {
  const made = new HttpServer({ host, port }, routes);
  open.push(made);
  return made;
}
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(open.splice(0).map((one) => one.close()));
});

async function fetchFrom({ port }: HttpServer, path: string, method = 'GET'): Promise<Response> {
  return fetch(`http://127.0.0.1:${port}${path}`, { method });
}

describe('an HTTP server', () => {
  test.each([
    { method: 'GET', path: '/page', status: 200, body: 'päge' },
    { method: 'GET', path: '/page?x=1', status: 200, body: 'päge' },
    { method: 'HEAD', path: '/page', status: 200, body: '' },
    { method: 'GET', path: '/late', status: 503, body: 'late' },
    { method: 'GET', path: '/', status: 404, body: '404 page not found\n' },
    { method: 'GET', path: '/page/', status: 404, body: '404 page not found\n' },
    { method: 'POST', path: '/page', status: 405, body: 'Method Not Allowed\n' },
    { method: 'GET', path: '/broken', status: 500, body: 'Internal Server Error\n' },
    { method: 'GET', path: '/rejected', status: 500, body: 'Internal Server Error\n' },
  ])('$method $path is answered with $status', async ({ method, path, status, body }) => {
    const serving = server();
    await serving.listen();
    const answer = await fetchFrom(serving, path, method);
    expect(answer.status).toBe(status);
    expect(await answer.text()).toBe(body);
    expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(answer.headers.get('allow')).toBe(status === 405 ? 'GET, HEAD' : null);
  });

  test("a server that finds its port taken names the port, in CoreDNS's words", async () => {
    const first = server();
    await first.listen();
    const second = server(first.port);
    const failure = await second.listen().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(HttpListenError);
    expect(failure).toMatchObject({
      code: 'EADDRINUSE',
      address: `127.0.0.1:${first.port}`,
      message: `listen tcp 127.0.0.1:${first.port}: bind: address already in use`,
    });
    expect(second.port).toBeUndefined();
  });

  test('a server that keeps trying listens once the port is free, and reports one failure', async () => {
    const first = server();
    await first.listen();
    const second = server(first.port);
    const reported: string[] = [];
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    await second.keepTrying((error) => void reported.push(error.message));
    await vi.advanceTimersByTimeAsync(5000);
    await first.close();
    await vi.waitFor(async () => {
      await vi.advanceTimersByTimeAsync(5000);
      expect(second.port).toBeDefined();
    });
    expect(reported.length).toBe(1);
    expect((await fetchFrom(second, '/page')).status).toBe(200);
  });

  test('a server that is closed while it keeps trying stays closed', async () => {
    const first = server();
    await first.listen();
    const second = server(first.port);
    await second.keepTrying(() => undefined);
    await second.close();
    await first.close();
    expect(second.port).toBeUndefined();
  });

  test('localhost means 127.0.0.1, and an empty host all addresses', async () => {
    const local = server(0, 'localhost');
    const all = server(0, '');
    await local.listen();
    await all.listen();
    expect((await fetchFrom(local, '/page')).status).toBe(200);
    expect((await fetchFrom(all, '/page')).status).toBe(200);
  });

  test('closing a server ends its connections, idle or in the middle of a request', async () => {
    const serving = server();
    await serving.listen();
    const half: Socket = connect(serving.port!, '127.0.0.1');
    half.on('error', () => undefined);
    await once(half, 'connect');
    half.write('GET /page HT');
    await fetchFrom(serving, '/page');
    const closed = once(half, 'close');
    await serving.close();
    await closed;
    expect(serving.port).toBeUndefined();
  });

  test('a server answers nonsense with 400 and goes on', async () => {
    const serving = server();
    await serving.listen();
    const socket = connect(serving.port!, '127.0.0.1');
    socket.write('\0\0\0\r\n\r\n');
    const [answer]: unknown[] = await once(socket, 'data');
    expect(String(answer)).toMatch(/^HTTP\/1\.1 400 /);
    socket.destroy();
    expect((await fetchFrom(serving, '/page')).status).toBe(200);
  });
});
