/** Parts that are not needed for the first picture: they come when they are asked for, or when the page is idle. */
import { type ComponentType, useEffect, useState } from "react";

const coming: (() => Promise<unknown>)[] = [];
/** Acts come before what is only drawn: a key or a button that does nothing would be worse than a panel that is late. */
const first: (() => Promise<unknown>)[] = [];

/** A module that comes later. `now` is there once it has come. */
function part<Module>(load: () => Promise<Module>, list = coming): { readonly now: () => Module | null; readonly bring: () => Promise<Module> } {
  let module: Module | null = null;
  let asked: Promise<Module> | null = null;
  const bring = () =>
    (asked ??= load().then(
      (loaded) => (module = loaded),
      (error: unknown) => {
        asked = null;
        throw error;
      },
    ));
  list.push(bring);
  return { now: () => module, bring };
}

const AGAIN = 2000;

/** A component of a module that comes later; until then nothing is drawn, or `Meanwhile`. */
export function later<Props extends object>(load: () => Promise<ComponentType<Props>>, Meanwhile?: ComponentType<Props>): ComponentType<Props> {
  const { now, bring } = part(async () => ({ Body: await load() }));
  return function Later(props: Props) {
    const [tries, setTries] = useState(0);
    const [, setCame] = useState(false);
    useEffect(() => {
      if (now() !== null) return;
      let timer: ReturnType<typeof setTimeout> | undefined;
      let over = false;
      bring().then(
        () => void (over || setCame(true)),
        // The server is away: what it gives is asked for again.
        () => void (over || (timer = setTimeout(() => setTries(tries + 1), AGAIN))),
      );
      return () => {
        over = true;
        clearTimeout(timer);
      };
    }, [tries]);
    const came = now();
    if (came !== null) return <came.Body {...props} />;
    return Meanwhile === undefined ? null : <Meanwhile {...props} />;
  };
}

let tellMissing: () => void = () => {};
/** What is to be said when an act is called whose part cannot be brought. */
export function whenMissing(tell: () => void): void {
  tellMissing = tell;
}

/** Acts of a module that comes later: done at once when it is there. */
export function laterActs<Module>(load: () => Promise<Module>): (act: (module: Module) => void) => void {
  const { now, bring } = part(load, first);
  return (act) => {
    const module = now();
    if (module !== null) act(module);
    else void bring().then(act, () => tellMissing());
  };
}

/** Brings everything that is still to come, one after the other while the page is idle: nobody waits for it, and it is there when the server is not. */
export async function bringAll(): Promise<void> {
  for (const bring of [...first, ...coming]) {
    await idle();
    await bring().catch(() => {});
  }
}

function idle(): Promise<unknown> {
  return new Promise((done) => {
    if (typeof requestIdleCallback === "function") requestIdleCallback(done, { timeout: 200 });
    else setTimeout(done, 50);
  });
}
