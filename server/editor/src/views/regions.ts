/** F6 goes from region to region: top bar, panels, canvas, the bottom, the status bar. */

/** Regions of the page that can be seen, in the order in which they stand. */
function regions(): HTMLElement[] {
  return [...document.querySelectorAll<HTMLElement>("[data-region]")].filter(
    // One inside another is no stop of its own: from the outer one the next would be the inner, again and again.
    (region) => !region.parentElement?.closest("[data-region]") && (region.offsetParent !== null || region.tagName === "FOOTER"),
  );
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

/** Where the keys go in a panel that was opened by its key: its search, or the row that is a tab stop. */
const FIRST = [".search input", "[data-row][tabindex='0']", FOCUSABLE];

/** Gives the focus to the region of a name, when it is shown; one whose code is on its way is waited for. */
export function focusRegion(name: string, tries = 120): void {
  requestAnimationFrame(() => {
    const region = document.querySelector<HTMLElement>(`[data-region="${CSS.escape(name)}"]`);
    if (region?.querySelector(".panel__wait") && tries > 0) return focusRegion(name, tries - 1);
    if (region?.matches(FOCUSABLE)) return region.focus();
    FIRST.map((selector) => region?.querySelector<HTMLElement>(selector)).find((found) => found)?.focus();
  });
}
