/** Where cards and threads stand. */
export * from "./paths";
export * from "./sizes";
export * from "./threads";
export * from "./tidy";
