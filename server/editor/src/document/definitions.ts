/** Definitions: make one of chosen nodes, unpack a use, and what it takes and gives. */
export * from "./exposed";
export { makeDefinition, whyNotMake, type FirstOutput } from "./make";
export { definitionNameFault, freshDefinitionName } from "./names";
export { unpack } from "./unpack";
