/** The whole page: the frame around graph or app, the phone view below 720 px, dialogs and menus above all. */
import { type ComponentType, type ReactNode, useEffect, useRef, useState } from "react";
import { Sprite } from "../marks";
import { later } from "../marks/later";
import { useWorkspace } from "../state/workspace";
import { DialogHost } from "./Dialog";
import { BottomDock, LeftDock, Rail, RightDock } from "./Docks";
import { MenuHost } from "./Menu";
import { LiveRegion, Notices } from "./Notices";
import { useActive } from "./RunButton";
import { StatusBar } from "./StatusBar";
import { usePageTitle } from "./title";
import { TopBar } from "./TopBar";
import { useDrops } from "./drops";
import { usePreferences, showPanel } from "../state/preferences";

export interface FrameProps {
  /** The graph of the tab that is shown. */
  readonly canvas: ComponentType;
  /** At the right end of the status bar, such as the zoom. */
  readonly statusEnd?: ReactNode;
}

export function useWidth(): number {
  const [width, setWidth] = useState(() => window.innerWidth);
  useEffect(() => {
    const look = () => setWidth(window.innerWidth);
    window.addEventListener("resize", look);
    return () => window.removeEventListener("resize", look);
  }, []);
  return width;
}

const AppView = later(async () => (await import("./AppView")).AppView);
const FirstRun = later(async () => (await import("./FirstRun")).FirstRun);
const Phone = later(async () => (await import("./Phone")).Phone);

const PHONE = 720;
const ONE_SIDE = 1100;

export function Frame({ canvas: Canvas, statusEnd }: FrameProps) {
  const width = useWidth();
  const dropping = useDrops();
  const ready = useWorkspace((state) => state.ready);
  return (
    <>
      <Sprite />
      {width < PHONE ? <Phone /> : <Desk canvas={Canvas} statusEnd={statusEnd} narrow={width < ONE_SIDE} ready={ready} />}
      <PageTitle />
      <LiveRegion />
      <MenuHost />
      <DialogHost />
      {dropping && <div className="dropping">Drop a workflow, or a picture: one with a workflow inside opens it</div>}
    </>
  );
}

/** On its own, so that a step of a run does not draw the frame again. */
function PageTitle() {
  const tab = useWorkspace((state) => state.tabs.find((one) => one.id === state.current));
  usePageTitle(tab, useActive(tab));
  return null;
}

function Desk({ canvas: Canvas, statusEnd, narrow, ready }: FrameProps & { readonly narrow: boolean; readonly ready: boolean }) {
  const tab = useWorkspace((state) => state.tabs.find((one) => one.id === state.current));
  const left = usePreferences((state) => state.open.left);
  const right = usePreferences((state) => state.open.right);
  const opened = useRef<{ left: string | null; right: string | null; last: "left" | "right" }>({ left, right, last: "right" });
  const shown = tab !== undefined;
  useEffect(() => {
    // One side at a time where there is little room: the one that was opened last stays.
    const before = opened.current;
    const last = left !== before.left && left !== null ? "left" : right !== before.right && right !== null ? "right" : before.last;
    opened.current = { left, right, last };
    if (narrow && shown && left !== null && right !== null) showPanel(last === "left" ? "right" : "left", null);
  }, [narrow, shown, left, right]);
  const app = tab?.view === "app";
  return (
    <div className={`app${app ? " app--view" : ""}`}>
      <TopBar />
      <Notices />
      {app && tab ? (
        <AppView key={tab.id} tab={tab} />
      ) : (
        <>
          <Rail />
          <LeftDock />
          {tab ? (
            <main className="work" aria-label="Graph">
              <Canvas key={tab.id} />
              <BottomDock />
            </main>
          ) : (
            <div className="work">{ready && <FirstRun />}</div>
          )}
          {tab && <RightDock />}
        </>
      )}
      <StatusBar end={app ? null : statusEnd} />
    </div>
  );
}
