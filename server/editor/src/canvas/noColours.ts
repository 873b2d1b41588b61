/** In the place of d3-color (vite.config.ts): views move by numbers alone, so nothing is read as a colour. */
const none = (): null => null;

export { none as color, none as cubehelix, none as gray, none as hcl, none as hsl, none as lab, none as lch, none as rgb };
