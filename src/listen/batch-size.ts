/** How many datagrams are received at once, and how long they may be. */

/** Datagrams per system call: the gain is had by 32, and twice that costs nothing but memory. */
export const BATCH_SLOTS = 64;
/** A query larger than that is cut, and refused; few answers are larger, and those go alone. */
export const SLOT_OCTETS = 4096;
