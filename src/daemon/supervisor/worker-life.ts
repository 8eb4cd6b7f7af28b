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
 *
 * Is not:  the acts that go with it (supervisor.ts).
 */

/**
 * `waiting` for its turn to start, `starting`, `serving`; `killed`: SIGKILL is sent, and its end is
 * awaited; `stopping` with the daemon; `gone`: so is the daemon.
 */
export type WorkerState = 'waiting' | 'starting' | 'serving' | 'killed' | 'stopping' | 'gone';

/**
 * `due`: its time to start has come. `served`: it says that it serves. `late`: it does not, and should.
 * `silent`: its event loop gives no sign of life. `ended`: its process has. `refused`: the first one
 * of all has ended by itself before it served, so that what is wrong is the operator's to mend.
 * `stop`: the daemon is to end.
 */
export type WorkerEvent = 'due' | 'served' | 'late' | 'silent' | 'ended' | 'refused' | 'stop';

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
  // What it had said before it was killed may be read after that.
  killed: { served: 'killed', ended: 'waiting', stop: 'stopping' },
  // It may stop while it starts; and one that is silent then is killed all the same.
  stopping: {
    served: 'stopping',
    silent: 'stopping',
    late: 'stopping',
    stop: 'stopping',
    ended: 'gone',
  },
  gone: {},
};

/** The state after `event`; undefined if it cannot come in `state`, which is a fault of ours. */
export function nextState(state: WorkerState, event: WorkerEvent): WorkerState | undefined {
  return NEXT[state][event];
}
