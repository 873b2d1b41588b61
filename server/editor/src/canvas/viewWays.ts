/** In the place of d3-interpolate (vite.config.ts), of which the view's movements need only this: ways from one view to another. */

/** The middle of what is seen, and how wide that is. */
type View = readonly [x: number, y: number, width: number];

/** From one view to another so that each moment widens by the same factor, and one point stands still on the screen. */
export function interpolateZoom(from: View, to: View): (at: number) => View {
  const [x, y, width] = from;
  const [toX, toY, toWidth] = to;
  return (at) => {
    const now = width * (toWidth / width) ** at;
    const share = Math.abs(toWidth - width) < 1e-9 * width ? at : (now - width) / (toWidth - width);
    return [x + (toX - x) * share, y + (toY - y) * share, now];
  };
}

export { interpolateZoom as interpolate };
