/**
 * The life of a worker, as its supervisor sees it: which event leads where.
 *
 *   waiting --due--> starting --served--> serving --stop--> stopping --ended--> gone
 *      ^                |  |                 |                 ^
 *      |              late '------ ended ----|---> waiting     |
 *      |                v                    |                 |
 *      |             killed <--silent--------+--ended--> waiting
 *      '-----ended------'---------------- stop ----------------'
 *
 *   waiting --stop--> gone      starting --refused--> gone      starting --stop--> stopping
 *   gone --replaced--> idle --stop--> gone
 *
 * Owns:    the table of states and events.
 * Is not:  the acts that go with it (supervisor.ts).
 */

/**
 * `waiting` for its turn to start, `starting`, `serving`; `killed`: SIGKILL is sent, and its end is
 * awaited; `stopping` with the daemon; `gone`: the daemon ends; `idle`: the replacement serves, and the
 * daemon's process stays without a worker until a signal ends it.
 */
export type WorkerState =
  'waiting' | 'starting' | 'serving' | 'killed' | 'stopping' | 'gone' | 'idle';

/**
 * `due`: its time to start has come. `served`: it says that it serves. `late`: it does not, and should.
 * `silent`: its event loop gives no sign of life. `ended`: its process has ended. `refused`: the very
 * first worker has ended by itself before it served, an error that the operator must correct.
 * `stop`: the daemon is to end. `replaced`: it has ended all but its process.
 */
export type WorkerEvent =
  'due' | 'served' | 'late' | 'silent' | 'ended' | 'refused' | 'stop' | 'replaced';

const NEXT: Readonly<Record<WorkerState, Partial<Record<WorkerEvent, WorkerState>>>> = {
  waiting: { due: 'starting', stop: 'gone' },
  starting: {
    served: 'serving',
    late: 'killed',
    ended: 'waiting',
    refused: 'gone',
    stop: 'stopping',
  },
  serving: { silent: 'killed', ended: 'waiting', stop: 'stopping' },
  // Messages that it sent before it was killed may be read afterwards.
  killed: { served: 'killed', ended: 'waiting', stop: 'stopping' },
  // It may stop while it starts; and one that is silent then is killed all the same.
  stopping: {
    served: 'stopping',
    silent: 'stopping',
    late: 'stopping',
    stop: 'stopping',
    ended: 'gone',
  },
  gone: { replaced: 'idle' },
  idle: { stop: 'gone' },
};

/** The state after `event`; undefined if it cannot come in `state`, which is a bug. */
export function nextState(state: WorkerState, event: WorkerEvent): WorkerState | undefined {
  return NEXT[state][event];
}
