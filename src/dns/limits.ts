/** The sizes that the DNS protocol itself sets, in octets. A limit of our own stands where it is used. */

/** The longest message: over TCP its length has two octets (RFC 1035 section 4.2.2). */
export const MESSAGE_OCTETS_MAX = 0xffff;
/** The longest RDATA: RDLENGTH has two octets (RFC 1035 section 3.2.1). */
export const RDATA_OCTETS_MAX = 0xffff;
/** The longest name in wire form, with its length octets and the root's (RFC 1035 section 3.1). */
export const NAME_OCTETS_MAX = 255;
/** The longest label, without its length octet (RFC 1035 section 3.1). */
export const LABEL_OCTETS_MAX = 63;
/** The longest character-string, without its length octet (RFC 1035 section 3.3). */
export const CHARACTER_STRING_OCTETS_MAX = 255;
/** The longest UDP answer without EDNS, and the least an EDNS client accepts (RFC 6891 6.2.3). */
export const PAYLOAD_OCTETS_MIN = 512;
/** An OPT record without options: root owner, type, payload size, RCODE and flags, RDLENGTH. */
export const OPT_OCTETS = 11;
