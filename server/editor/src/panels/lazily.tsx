/** Panels whose code comes when they are first opened, so that the page is there sooner. */
import { type ComponentType, lazy, Suspense } from "react";

/** A component that is loaded when it is first shown. */
export function lazily(load: () => Promise<ComponentType>): ComponentType {
  const Loaded = lazy(async () => ({ default: await load() }));
  return function Lazily() {
    return (
      <Suspense fallback={<p className="panel__wait quiet small">Opening.</p>}>
        <Loaded />
      </Suspense>
    );
  };
}
