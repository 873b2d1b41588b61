/** Whether a card is being shaken: to and fro at least three times within half a second. */

const TURNS = 4;
const WITHIN = 600;
const LEAST = 12;

export interface Shake {
  /** Takes a position and a time in ms; true once when the card has been shaken. */
  readonly move: (x: number, at: number) => boolean;
}

/** A counter of turns for one drag. */
export function shake(): Shake {
  let last: number | null = null;
  let extreme = 0;
  let way = 0;
  let turns: number[] = [];
  return {
    move(x, at) {
      if (last === null) {
        last = x;
        extreme = x;
        return false;
      }
      const step = x - last;
      last = x;
      if (step === 0) return false;
      const now = Math.sign(step);
      if (way !== 0 && now !== way) {
        if (Math.abs(x - step - extreme) >= LEAST) turns.push(at);
        extreme = x - step;
      }
      way = now;
      turns = turns.filter((turn) => at - turn <= WITHIN);
      if (turns.length < TURNS) return false;
      turns = [];
      return true;
    },
  };
}
