/** F6 goes from region to region: top bar, panels, canvas, the bottom, the status bar. */

/** Regions of the page that can be seen, in the order in which they stand. */
function regions(): HTMLElement[] {
  return [...document.querySelectorAll<HTMLElement>("[data-region]")].filter((region) => region.offsetParent !== null || region.tagName === "FOOTER");
}

const FOCUSABLE = "[tabindex='0'], button:not([disabled]):not([tabindex='-1']), input:not([disabled]), textarea, select, a[href]";

export function nextRegion(by: 1 | -1): void {
  const list = regions();
  if (list.length === 0) return;
  const now = list.findIndex((region) => region.contains(document.activeElement));
  for (let step = 1; step <= list.length; step += 1) {
    const from = now < 0 ? (by > 0 ? -1 : list.length) : now;
    const region = list[(((from + by * step) % list.length) + list.length) % list.length];
    const target = region?.matches(FOCUSABLE) ? region : region?.querySelector<HTMLElement>(FOCUSABLE);
    if (target) return target.focus();
  }
}

/** Gives the focus to the region of a name, when it is shown. */
export function focusRegion(name: string): void {
  requestAnimationFrame(() => {
    const region = document.querySelector<HTMLElement>(`[data-region="${CSS.escape(name)}"]`);
    (region?.matches(FOCUSABLE) ? region : region?.querySelector<HTMLElement>(FOCUSABLE))?.focus();
  });
}
