/** Puts the parts together. */
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { registerCommands } from "./keys/commands";
import { listenToKeys } from "./keys/dispatch";
import { registerPanels } from "./keys/panels";
import { panels } from "./panels";
import { start } from "./state/start";
import { commands, panelCommands } from "./views/commands";
import { Frame } from "./views/Frame";
import { followTheme } from "./views/theme";
import "./styles/tokens.css";
import "./styles/components.css";
import "./styles/widgets.css";
import "./styles/views.css";

registerPanels(panels);
registerCommands([...commands, ...panelCommands()]);
followTheme();
listenToKeys();
void start();

const root = document.getElementById("app");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <Frame canvas={() => <main className="canvas" data-scope="canvas" tabIndex={0} />} />
    </StrictMode>,
  );
}
