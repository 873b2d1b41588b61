/**
 * In the place of d3-transition (vite.config.ts), of which the first load has no use: all that moves by it is the view, so a
 * transition here moves one element by steps of its own, and knows nothing of attributes, styles and colours.
 */
import { selection } from "d3-selection";

type Listener = (this: Element) => void;
type Tween = (this: Element) => (at: number) => void;
interface Chosen {
  node(): Element | null;
  each(act: (this: Element) => void): Chosen;
}

const moves = new WeakMap<Element, Move>();

/** A movement of an element; one that begins ends the one before. */
class Move {
  private time = 250;
  private easing = (at: number): number => at;
  private readonly tweens: Tween[] = [];
  private readonly listeners = new Map<string, Listener>();
  private state: "waits" | "moves" | "over" = "waits";
  private frame: number;

  constructor(
    private readonly chosen: Chosen,
    private readonly element: Element,
  ) {
    interrupt(element);
    moves.set(element, this);
    // What is said of it now holds when it begins.
    this.frame = requestAnimationFrame((now) => this.begin(now));
  }

  selection(): Chosen {
    return this.chosen;
  }

  duration(milliseconds: number): this {
    this.time = milliseconds;
    return this;
  }

  ease(easing: (at: number) => number): this {
    this.easing = easing;
    return this;
  }

  /** Names such as `end.zoom`, with spaces between them. */
  on(names: string, listener: Listener): this {
    for (const name of names.split(" ")) this.listeners.set(name, listener);
    return this;
  }

  tween(_name: string, tween: Tween): this {
    this.tweens.push(tween);
    return this;
  }

  stop(): void {
    cancelAnimationFrame(this.frame);
    const moved = this.state === "moves";
    this.state = "over";
    if (moved) this.tell("interrupt");
  }

  private begin(began: number): void {
    this.state = "moves";
    this.tell("start");
    const steps = this.tweens.map((tween) => tween.call(this.element));
    const step = (now: number): void => {
      const at = this.time > 0 ? Math.min(1, Math.max(0, (now - began) / this.time)) : 1;
      for (const move of steps) if (this.state === "moves") move(at === 1 ? 1 : this.easing(at));
      if (this.state !== "moves") return; // a step may begin another movement
      if (at < 1) {
        this.frame = requestAnimationFrame(step);
        return;
      }
      this.state = "over";
      moves.delete(this.element);
      this.tell("end");
    };
    if (this.state === "moves") step(began);
  }

  private tell(what: string): void {
    for (const [name, listener] of this.listeners) if (name.split(".")[0] === what) listener.call(this.element);
  }
}

/** Ends the movement of an element where it stands. */
export function interrupt(element: Element): void {
  const move = moves.get(element);
  moves.delete(element);
  move?.stop();
}

/** A movement of the first element that is chosen. */
export function transition(this: Chosen): Move | Chosen {
  const element = this.node();
  return element === null ? this : new Move(this, element);
}

Object.assign(selection.prototype, {
  interrupt(this: Chosen): Chosen {
    return this.each(function () {
      interrupt(this);
    });
  },
  transition,
});
