/**
 * The states of an attempt: it ends exactly once.
 *
 *   underWay --lag--> slow --doubt--> doubted         (underWay --doubt--> doubted)
 *       ^---- resend ---'---- resend ----'
 *
 *   underWay, slow, doubted --answer--> answered
 *                           --fail----> failed
 *                           --withdraw--> withdrawn
 *
 * slow: it may only wait behind another query. doubted: its owner counts on it no longer, and still
 * takes its answer. resend: it waits again, over a connection that nothing is known against.
 */
export type AttemptState = 'underWay' | 'slow' | 'doubted' | 'answered' | 'failed' | 'withdrawn';
export type AttemptEvent = 'lag' | 'doubt' | 'resend' | 'answer' | 'fail' | 'withdraw';

const ENDS = { answer: 'answered', fail: 'failed', withdraw: 'withdrawn' } as const;

const NEXT: Record<AttemptState, Partial<Record<AttemptEvent, AttemptState>>> = {
  underWay: { lag: 'slow', doubt: 'doubted', ...ENDS },
  slow: { doubt: 'doubted', resend: 'underWay', ...ENDS },
  doubted: { resend: 'underWay', ...ENDS },
  answered: {},
  failed: {},
  withdrawn: {},
};

/** The next state; the same one where the event means nothing, as every event does after the end. */
export function nextAttemptState(state: AttemptState, event: AttemptEvent): AttemptState {
  return NEXT[state][event] ?? state;
}
