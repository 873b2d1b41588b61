import { useEffect, useRef } from "react";
import { useCanvas } from "./canvasStore";
import { Mark } from "./parts";

/** A short numbered list: digits choose at once. */
export function Choice() {
  const choice = useCanvas((state) => state.choice);
  const set = useCanvas((state) => state.set);
  const box = useRef<HTMLDivElement>(null);
  const back = useRef<Element | null>(null);
  useEffect(() => {
    if (choice === null) return;
    if (document.activeElement?.closest("[role=menu]") === null) back.current = document.activeElement;
    box.current?.querySelector<HTMLElement>("[role=menuitem]")?.focus();
  }, [choice]);
  if (choice === null) return null;
  const close = (): void => {
    set({ choice: null });
    if (back.current instanceof HTMLElement) back.current.focus();
  };
  const options = choice.options;
  const take = (at: number): void => {
    const option = options[at];
    if (option === undefined) return;
    close();
    option.run();
  };
  return (
    <div
      ref={box}
      className="menu choice"
      role="menu"
      aria-label={choice.title}
      style={{ left: Math.min(choice.screen.x, window.innerWidth - 308), top: Math.min(choice.screen.y, window.innerHeight - 60 - 28 * Math.min(options.length, 12)) }}
      onBlur={(event) => { if (!event.currentTarget.contains(event.relatedTarget)) set({ choice: null }); }}
      onKeyDown={(event) => {
        event.stopPropagation();
        const items = [...(box.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
        const now = items.findIndex((item) => item === document.activeElement);
        if (event.key === "Escape") close();
        else if (event.key === "ArrowDown") items[(now + 1) % items.length]?.focus();
        else if (event.key === "ArrowUp") items[(now - 1 + items.length) % items.length]?.focus();
        else if (/^[1-9]$/.test(event.key)) take(Number(event.key) - 1);
        else return;
        event.preventDefault();
      }}
    >
      <div className="menu__head" aria-hidden="true">{choice.title}</div>
      {options.length === 0 && <p className="palette__none">Nothing here fits.</p>}
      {options.map((option, at) => (
        <button key={at} type="button" role="menuitem" tabIndex={-1} className="item choice__item" onClick={() => take(at)}>
          <kbd>{at < 9 ? at + 1 : " "}</kbd>
          <Mark type={option.type} />
          <span className="cut">{option.label}</span>
          <span className="push quiet small cut">{option.aside}</span>
        </button>
      ))}
    </div>
  );
}
