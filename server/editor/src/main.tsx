/** Puts the parts together. */
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Canvas, commands as canvasCommands, leaveKeysToRegistry } from "./canvas";
import { registerCommands } from "./keys/commands";
import { listenToKeys } from "./keys/dispatch";
import { registerPanels } from "./keys/panels";
import { commands as panelsCommands, panels } from "./panels";
import { start } from "./state/start";
import { commands, panelCommands } from "./views/commands";
import { showConflicts } from "./views/Conflict";
import { Frame } from "./views/Frame";
import { followTheme } from "./views/theme";
import "./styles/tokens.css";
import "./styles/components.css";
import "./styles/canvas.css";
import "./styles/widgets.css";
import "./styles/views.css";
import "./styles/panels.css";

registerPanels(panels);
leaveKeysToRegistry();
registerCommands([...commands, ...canvasCommands, ...panelsCommands, ...panelCommands()]);
followTheme();
showConflicts();
listenToKeys();
void start();

const root = document.getElementById("app");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <Frame canvas={Canvas} />
    </StrictMode>,
  );
}
