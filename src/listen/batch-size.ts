/** How many datagrams are received at once, and how long they may be. */

/** Datagrams per system call: 32 bring the whole gain, and twice that costs only memory. */
export const BATCH_SLOTS = 64;
/** A larger query is cut, and refused; few answers are larger, and each of them is sent alone. */
export const SLOT_OCTETS = 4096;
