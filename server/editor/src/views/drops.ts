/** Files that are dropped anywhere: a workflow or a picture with one comes into a tab of its own, another picture into the graph. */
import { useEffect, useState } from "react";
import { acceptFiles } from "../canvas/dropActs";

export function useDrops(): boolean {
  const [over, setOver] = useState(false);
  useEffect(() => {
    let depth = 0;
    const files = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    const enter = (event: DragEvent) => {
      if (!files(event)) return;
      depth += 1;
      setOver(true);
    };
    const leave = (event: DragEvent) => {
      if (!files(event)) return;
      depth -= 1;
      if (depth <= 0) setOver(false);
    };
    const above = (event: DragEvent) => {
      if (files(event)) event.preventDefault();
    };
    const drop = (event: DragEvent) => {
      depth = 0;
      setOver(false);
      // A field or the canvas that took it has said so.
      if (event.defaultPrevented || !files(event)) return;
      event.preventDefault();
      void acceptFiles([...(event.dataTransfer?.files ?? [])]);
    };
    window.addEventListener("dragenter", enter);
    window.addEventListener("dragleave", leave);
    window.addEventListener("dragover", above);
    window.addEventListener("drop", drop);
    return () => {
      window.removeEventListener("dragenter", enter);
      window.removeEventListener("dragleave", leave);
      window.removeEventListener("dragover", above);
      window.removeEventListener("drop", drop);
    };
  }, []);
  return over;
}
