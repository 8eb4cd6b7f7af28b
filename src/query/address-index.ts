/**
 * The index of a listening address among those of its server block: 0 for the first address that the
 * block's `bind` and keys name. Counters of each address are arrays by this index.
 */
export type AddressIndex = number & { readonly __unit: 'addressIndex' };

export const FIRST_ADDRESS: AddressIndex = 0 as AddressIndex;
