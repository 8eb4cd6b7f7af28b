/**
 * `/debug/pprof/`: profiles of this process on demand, under the paths that Go has them at, in V8's forms.
 *
 * Owns:    that profiles are short, and one at a time: DNS goes on meanwhile, a little slower.
 * Is not:  in Go's form: what Chrome's DevTools and speedscope.app read is not what `go tool pprof` reads.
 */
import { getHeapSnapshot } from 'node:v8';
import type { Session } from 'node:inspector/promises';
import type { HostPort } from '../net/host-port.ts';
import type { SocketSource } from '../sys/socket-source.ts';
import type { Endpoint } from './endpoint.ts';
import {
  type AnyPage,
  HttpServer,
  type Page,
  type PageRequest,
  type Routes,
  text,
} from './server.ts';

const CPU_SECONDS = 30;
const HEAP_SECONDS = 5;
const SECONDS_MAX = 300;
/** The client hears nothing while a profile is taken. */
const STALLED_MS = (SECONDS_MAX + 30) * 1000;
/** V8's own default: a sample for so many octets. */
const SAMPLING_INTERVAL_OCTETS = 32_768;

const PATH = '/debug/pprof';
const INDEX = `Profiles of nodelocald, in V8's forms: open them in Chrome's DevTools or in speedscope.app.

${PATH}/profile?seconds=30     CPU, as .cpuprofile
${PATH}/heap?seconds=5         what was allocated meanwhile and is still there, as .heapprofile
${PATH}/allocs?seconds=5       what was allocated meanwhile, as .heapprofile
${PATH}/heapsnapshot           every object, as .heapsnapshot: DNS stands still while it is made
${PATH}/cmdline                the command line

One at a time, ${SECONDS_MAX} seconds at most.
`;

/** Profiles that Go has and V8 does not. */
const ABSENT: Readonly<Record<string, string>> = {
  block: 'nothing blocks on a lock: there is one thread',
  mutex: 'nothing blocks on a lock: there is one thread',
  goroutine: 'there are no goroutines',
  threadcreate: 'threads are made at start alone',
  trace: `an execution trace is Go's; ${PATH}/profile shows where time goes`,
  symbol: 'profiles name their functions themselves',
};

/** The listener of `pprof`. */
export function pprofServer(at: HostPort, sockets?: SocketSource): HttpServer {
  return new HttpServer(at, pprofRoutes(), sockets, { stalledMs: STALLED_MS });
}

/** Profiles at one address. */
export function pprofEndpoint(at: HostPort): Endpoint {
  return {
    at,
    kind: 'pprof',
    directive: 'pprof',
    open: ({ sockets }) => pprofServer(at, sockets),
  };
}

/** A new set of routes, which takes one profile at a time. */
export function pprofRoutes(): Routes {
  const profiler = new Profiler();
  const index = (): Page => text(200, INDEX);
  return new Map<string, (request: PageRequest) => AnyPage | Promise<AnyPage>>([
    [PATH, index],
    [`${PATH}/`, index],
    [`${PATH}/cmdline`, () => text(200, process.argv.join('\0'))],
    [`${PATH}/profile`, (request) => profiler.during(request, CPU_SECONDS, cpuProfile)],
    [`${PATH}/heap`, (request) => profiler.during(request, HEAP_SECONDS, heapProfile(false))],
    [`${PATH}/allocs`, (request) => profiler.during(request, HEAP_SECONDS, heapProfile(true))],
    [`${PATH}/heapsnapshot`, () => profiler.snapshot()],
    ...Object.entries(ABSENT).map(
      ([name, why]) => [`${PATH}/${name}`, () => text(501, `${name}: ${why}\n`)] as const,
    ),
  ]);
}

/** How to begin a kind of profile, and to end it with its result. */
interface Kind {
  readonly extension: string;
  begin(session: Session): Promise<void>;
  end(session: Session): Promise<unknown>;
}

const cpuProfile: Kind = {
  extension: 'cpuprofile',
  begin: async (session) => {
    await session.post('Profiler.enable');
    await session.post('Profiler.start');
  },
  end: async (session) => (await session.post('Profiler.stop')).profile,
};

function heapProfile(includeCollected: boolean): Kind {
  return {
    extension: 'heapprofile',
    begin: async (session) => {
      await session.post('HeapProfiler.enable');
      await session.post('HeapProfiler.startSampling', {
        samplingInterval: SAMPLING_INTERVAL_OCTETS,
        includeObjectsCollectedByMajorGC: includeCollected,
        includeObjectsCollectedByMinorGC: includeCollected,
      });
    },
    end: async (session) => (await session.post('HeapProfiler.stopSampling')).profile,
  };
}

class Profiler {
  #busy = false;

  /** A profile of the time that the request says, or of that until its client has gone. */
  async during({ query, gone }: PageRequest, otherwise: number, kind: Kind): Promise<Page> {
    const seconds = readSeconds(query.get('seconds'), otherwise);
    if (seconds === undefined) {
      return text(400, `seconds: expected a whole number from 1 to ${SECONDS_MAX}\n`);
    }
    if (this.#busy) return occupied();
    this.#busy = true;
    // Loaded when first needed: few nodes are ever profiled.
    const { Session: Inspector } = await import('node:inspector/promises');
    const session = new Inspector();
    try {
      session.connect();
      await kind.begin(session);
      await passed(seconds, gone);
      return download(kind.extension, JSON.stringify(await kind.end(session)));
    } finally {
      session.disconnect();
      this.#busy = false;
    }
  }

  snapshot(): AnyPage {
    if (this.#busy) return occupied();
    this.#busy = true;
    const body = getHeapSnapshot();
    body.once('close', () => {
      this.#busy = false;
    });
    return download('heapsnapshot', body);
  }
}

function occupied(): Page {
  return text(503, 'another profile is being taken\n');
}

function download<Body>(extension: string, body: Body): Page<Body> {
  return {
    status: 200,
    contentType: 'application/json',
    body,
    fileName: `nodelocald.${extension}`,
  };
}

function readSeconds(value: string | null, otherwise: number): number | undefined {
  if (value === null) return otherwise;
  const seconds = /^\d{1,3}$/.test(value) ? Number(value) : 0;
  return seconds >= 1 && seconds <= SECONDS_MAX ? seconds : undefined;
}

/** Resolves after that time, or when the client has gone. */
function passed(seconds: number, gone: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (gone.aborted) {
      resolve();
      return;
    }
    const timer = setTimeout(resolve, seconds * 1000);
    timer.unref();
    gone.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
