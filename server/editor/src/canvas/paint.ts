/** Blocks and threads on a 2D drawing: the far view and the minimap. */
import type { FaceState } from "../state/types";
import { bundles, strength, type Block, type BlockThread } from "./blocks";
import type { Box } from "./neighbours";

const FAMILIES = ["model", "conditioning", "guidance", "control", "latents", "image", "mask", "value"];

export interface Colours {
  readonly type: ReadonlyMap<string, string>;
  readonly canvas: string;
  readonly group: string;
  readonly line: string;
  readonly work: string;
  readonly failed: string;
  readonly ink: string;
}

/** The colours of the theme that an element stands in. */
export function coloursOf(element: Element): Colours {
  const style = getComputedStyle(element);
  const value = (name: string): string => style.getPropertyValue(name).trim();
  return {
    type: new Map(FAMILIES.map((family) => [family, value(`--type-${family}`)])),
    canvas: value("--surface-canvas"),
    group: value("--surface-group"),
    line: value("--line-soft"),
    work: value("--work"),
    failed: value("--failed-line"),
    ink: value("--ink"),
  };
}

export interface Picture {
  readonly blocks: readonly Block[];
  readonly threads: readonly BlockThread[];
  readonly groups: readonly Box[];
  readonly groupOf: ReadonlyMap<string, string>;
  readonly stateOf: (id: string) => FaceState;
  readonly chosen: ReadonlySet<string>;
  readonly found: ReadonlySet<string>;
}

const paths = new Map<string, Path2D>();

function pathOf(text: string): Path2D {
  let path = paths.get(text);
  if (path === undefined) {
    if (paths.size > 6000) paths.clear();
    path = new Path2D(text);
    paths.set(text, path);
  }
  return path;
}

/** Draws what lies in `area`; the context is scaled to the graph. `zoom` says how thick a pixel is. */
export function paint(context: CanvasRenderingContext2D, picture: Picture, colours: Colours, area: Box, zoom: number, bundled: boolean): void {
  const pixel = 1 / zoom;
  const inArea = (box: Box): boolean => box.x < area.x + area.width && area.x < box.x + box.width && box.y < area.y + area.height && area.y < box.y + box.height;
  for (const group of picture.groups) {
    if (!inArea(group)) continue;
    context.fillStyle = colours.group;
    context.strokeStyle = colours.line;
    context.lineWidth = pixel;
    context.beginPath();
    context.roundRect(group.x, group.y, group.width, group.height, 12);
    context.fill();
    context.stroke();
  }
  paintThreads(context, picture, colours, area, pixel, bundled);
  for (const block of picture.blocks) {
    if (!inArea(block)) continue;
    const state = picture.stateOf(block.id);
    const share = strength(state);
    context.globalAlpha = 1;
    context.fillStyle = colours.canvas;
    context.beginPath();
    context.roundRect(block.x, block.y, block.width, block.height, Math.min(8, 3 * pixel));
    context.fill();
    context.globalAlpha = share;
    context.fillStyle = colours.type.get(block.family) ?? colours.line;
    context.fill();
    context.globalAlpha = 1;
    const ring = state === "running" ? colours.work : state === "failed" || state === "problem" || state === "missing" ? colours.failed : null;
    const mark = picture.chosen.has(block.id) || picture.found.has(block.id) ? colours.ink : ring;
    if (mark !== null) {
      context.strokeStyle = mark;
      context.lineWidth = 2 * pixel;
      context.stroke();
    }
  }
}

function paintThreads(context: CanvasRenderingContext2D, picture: Picture, colours: Colours, area: Box, pixel: number, bundled: boolean): void {
  context.globalAlpha = 0.6;
  if (bundled) {
    for (const bundle of bundles(picture.threads, picture.groupOf)) {
      context.strokeStyle = colours.type.get(bundle.family) ?? colours.line;
      context.lineWidth = Math.min(3, 0.75 + bundle.count / 12) * pixel;
      const x = (bundle.from[0] + bundle.to[0]) / 2;
      context.beginPath();
      context.moveTo(bundle.from[0], bundle.from[1]);
      context.lineTo(x, bundle.from[1]);
      context.lineTo(x, bundle.to[1]);
      context.lineTo(bundle.to[0], bundle.to[1]);
      context.stroke();
    }
  } else {
    context.lineWidth = Math.max(2, pixel);
    for (const thread of picture.threads) {
      const left = Math.min(thread.from[0], thread.to[0]) - 40, right = Math.max(thread.from[0], thread.to[0]) + 40;
      const top = Math.min(thread.from[1], thread.to[1]) - 400, bottom = Math.max(thread.from[1], thread.to[1]) + 400;
      if (left > area.x + area.width || right < area.x || top > area.y + area.height || bottom < area.y) continue;
      context.strokeStyle = colours.type.get(thread.family) ?? colours.line;
      context.stroke(pathOf(thread.path));
    }
  }
  context.globalAlpha = 1;
}
